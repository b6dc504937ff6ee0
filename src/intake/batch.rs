//! A batch as it arrives, and its items as they go through.

use super::fields::Field;
use super::item::{Item, What};
use super::judge::{Agent, parse_version};
use super::keys::Key;
use super::problem::Refusal;
use crate::catalog::App;
use crate::limits;
use crate::model::{ExclusionId, UnixMs};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// A batch, its items not looked at yet.
pub struct Batch<'a> {
    /// Which agent.
    pub agent: Agent,
    /// When it was sent, by the device's clock, where that is stated.
    pub sent_at: Option<UnixMs>,
    /// Its items.
    pub items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBatch<'a> {
    #[serde(borrow)]
    agent_version: Option<&'a RawValue>,
    #[serde(borrow)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<RawItems<'a>>,
}

/// At most one item more than a batch may have: a list of a million empty ones costs no memory.
struct RawItems<'a>(Vec<&'a RawValue>);

impl<'a> Batch<'a> {
    /// Reads a batch.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`] with the place; [`Refusal::TooManyItems`].
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        if !text.trim_start().starts_with('{') {
            return Err(Refusal::Unreadable(String::from("it is not a JSON object")));
        }
        let raw: RawBatch<'a> = serde_json::from_str(text).map_err(|error| Refusal::Unreadable(error.to_string()))?;
        let RawItems(items) = raw.events.ok_or_else(|| Refusal::Unreadable(String::from("events is missing")))?;
        if items.len() > limits::BATCH_ITEMS {
            return Err(Refusal::TooManyItems);
        }
        // A version that is not even a string is one that cannot be read: that is no reason to lose the batch.
        let version = raw.agent_version.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        // Neither is a time that is none.
        let sent_at = Field::new("sentAt", raw.sent_at).integer().ok().map(UnixMs);
        Ok(Self { agent: Agent::Version(version.as_deref().and_then(parse_version)), sent_at, items })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawItems<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<'a>(PhantomData<&'a RawValue>);
        impl<'de: 'a, 'a> Visitor<'de> for Items<'a> {
            type Value = RawItems<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list in events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawItems<'a>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() <= limits::BATCH_ITEMS {
                        items.push(item);
                    }
                }
                Ok(RawItems(items))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// An item that passed its checks, with the keys of what may happen once only.
pub struct Taken<'a> {
    /// Its place in the batch.
    pub index: usize,
    /// The item.
    pub item: Item<'a>,
    /// Of its own id.
    pub id: Option<Key>,
    /// Of what it says about NPS.
    pub nps: Option<Key>,
    /// Of its visitor, where this may be the first sighting.
    pub visitor: Option<Key>,
    /// Of its account, where this may be the first sighting.
    pub account: Option<Key>,
    /// The rule that excludes it.
    pub excluded: Option<ExclusionId>,
    /// Its poll answers have become part of another item's.
    pub merged: bool,
}

impl<'a> Taken<'a> {
    /// Works out the keys of `item` itself in `app`.
    pub fn new(app: &App, index: usize, item: Item<'a>) -> Self {
        let subscription = app.subscription.id;
        let id = item.id.as_deref().map(|id| Key::item(subscription, app.id, id));
        let nps = match &item.what {
            What::Submit { step, nps: Some(_), .. } => {
                Some(Key::nps(subscription, app.id, &item.visitor_id, &step.guide_id, &step.step_id))
            }
            _ => None,
        };
        Self { index, item, id, nps, visitor: None, account: None, excluded: None, merged: false }
    }
}
