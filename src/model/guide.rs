//! A guide as receivers see it: `guideProperties`.

use super::UnixMs;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The guide's facts that travel with each of its events. Fields are declared in the alphabetical order of their JSON
/// keys, because that is the order in which they leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuideProperties {
    /// Unix milliseconds.
    pub created_at: i64,
    /// Who created it.
    pub created_by_user: UserRef,
    /// The guide's id.
    pub id: String,
    /// Unix milliseconds.
    pub last_updated_at: i64,
    /// Who changed it last.
    pub last_updated_by_user: UserRef,
    /// Its name.
    pub name: String,
    /// All steps of the guide, in order.
    pub steps: Vec<GuideStep>,
}

/// A user, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// Usually an e-mail address.
    pub username: String,
}

/// One step of a guide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuideStep {
    /// The step's id.
    pub id: String,
    /// Unix milliseconds.
    pub last_updated_at: i64,
    /// Unix milliseconds of the last reset; 0: never.
    pub reset_at: i64,
    /// "building-block" or "".
    #[serde(rename = "type")]
    pub kind: String,
}

/// A poll on a step: a question with its kind of answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// Its id, unique in the guide.
    pub id: String,
    /// What kind of answer it takes.
    #[serde(rename = "type")]
    pub kind: PollType,
    /// What is asked.
    pub question: String,
    /// What a PickList offers; no other kind has choices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// One of the answers that a PickList offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// By this id the agent reports it; unique in the poll.
    pub id: String,
    /// By this text receivers are told of it.
    pub text: String,
}

/// The kinds of polls that `pollType` and `stepPollTypes` know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PollType {
    /// A number on a scale.
    NumberScale,
    /// 1 or 0.
    PositiveNegative,
    /// Text.
    FreeForm,
    /// The chosen text.
    PickList,
    /// The NPS rating.
    #[serde(rename = "NPSRating")]
    NpsRating,
    /// The reason for an NPS rating.
    #[serde(rename = "NPSReason")]
    NpsReason,
}

impl PollType {
    /// All names, for errors.
    pub const NAMES: &'static str = "NumberScale, PositiveNegative, FreeForm, PickList, NPSRating, NPSReason";

    /// Its name in bodies and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::NumberScale => "NumberScale",
            Self::PositiveNegative => "PositiveNegative",
            Self::FreeForm => "FreeForm",
            Self::PickList => "PickList",
            Self::NpsRating => "NPSRating",
            Self::NpsReason => "NPSReason",
        }
    }

    /// Whether it is one of the two that NPS is asked with.
    pub fn is_nps(self) -> bool {
        matches!(self, Self::NpsRating | Self::NpsReason)
    }
}

/// What a visitor has done with a guide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuideHistory {
    /// Last dismissed or finished.
    pub ended_at: Option<UnixMs>,
    /// Put off until then.
    pub snoozed_until: Option<UnixMs>,
    /// When which steps' polls were answered last, by the steps' ids.
    pub answered: HashMap<String, UnixMs>,
}

/// Whether a guide is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuideState {
    /// Not yet.
    Draft,
    /// Yes.
    Published,
    /// No longer.
    Archived,
}

impl GuideState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Published, Self::Archived];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Archived => "archived",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
