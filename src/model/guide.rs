//! A guide as receivers see it: `guideProperties`.

use serde::{Deserialize, Serialize};

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
