//! The items of an agent's batch: what each may hold, and why one is rejected (docs/intake.md).

use super::ENVELOPE_BYTES;
use super::body::{Answer, NpsSource, Step};
use super::canonical;
use super::fields::{Fault, Field, FieldError};
use crate::catalog::Guides;
use crate::limits;
use crate::model::{GuideDid, GuideProperties, GuideStep, Poll, PollType, UnixMs, UserRef, is_anonymous};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// One item, checked.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// The item's own id, by which it is not taken twice.
    pub id: Option<Cow<'a, str>>,
    /// Who.
    pub visitor_id: Cow<'a, str>,
    /// For which account; "" for none.
    pub account_id: Cow<'a, str>,
    /// When: the browser's time, but never in the future.
    pub occurred_at: UnixMs,
    /// The browser's User-Agent, where a server sends the item on its behalf.
    pub user_agent: Option<Cow<'a, str>>,
    /// The page, if the item names it.
    pub url: Option<Cow<'a, str>>,
    /// What happened.
    pub what: What<'a>,
}

/// What time it is, and by how much the device's clock is off.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    now: UnixMs,
    /// What is added to the device's times.
    skew_ms: i64,
}

impl Clocks {
    /// At `now` a batch arrived that was sent at `sent_at` by the device's clock. What is small is no skew, but the way.
    pub fn of(now: UnixMs, sent_at: Option<UnixMs>) -> Self {
        let skew_ms = sent_at.map_or(0, |sent| now.0.saturating_sub(sent.0));
        let is_small = u128::from(skew_ms.unsigned_abs()) <= limits::CLOCK_SKEW.as_millis();
        Self { now, skew_ms: if is_small { 0 } else { skew_ms } }
    }
}

/// What an item tells of.
#[derive(Debug, Clone)]
pub enum What<'a> {
    /// The visitor was identified. What is known of them and of their account are JSON objects, "" for nothing.
    Identify {
        /// The visitor's metadata.
        visitor: String,
        /// The account's metadata.
        account: String,
        /// Who they were before they had a name.
        anonymous_id: Option<Cow<'a, str>>,
    },
    /// A track event, its parts as canonical JSON.
    Track {
        /// A JSON string.
        name: Cow<'a, [u8]>,
        /// A JSON object.
        properties: Vec<u8>,
    },
    /// A guide's step was shown.
    GuideSeen {
        /// Which.
        step: Box<Step>,
        /// A poll other than NPS is on it.
        poll: bool,
        /// The NPS rating is on it.
        nps: bool,
    },
    /// Something was done with a guide of this installation that raises no event.
    Guide {
        /// Which.
        guide_id: Cow<'a, str>,
        /// On which step.
        step_id: Cow<'a, str>,
        /// What.
        did: GuideDid,
    },
    /// Answers were submitted: of polls, of NPS, or of both.
    Submit {
        /// Where.
        step: Box<Step>,
        /// The polls' answers in question order.
        answers: Vec<Answer<'a>>,
        /// The part that is about NPS.
        nps: Option<NpsPart<'a>>,
    },
}

/// What a submission says about NPS: a rating, a reason, or both.
#[derive(Debug, Clone)]
pub struct NpsPart<'a> {
    /// 0 to 10.
    pub rating: Option<u8>,
    /// A JSON string; `None` when it may still come, `""` when the visitor gave none.
    pub reason: Option<Cow<'a, [u8]>>,
    /// Where it was given.
    pub source: NpsSource,
}

/// Why an item is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// A field is missing or wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Not an object, or one with the same key twice.
    #[error("the item cannot be read: {0}")]
    Unreadable(String),
    /// A `type` that is not known.
    #[error(
        "type is none of identify, track, guideSeen, pollResponse, npsResponse, guideDismissed, guideFinished, guideSnoozed"
    )]
    UnknownType,
    /// Too long ago.
    #[error("browserTime is older than {} days", limits::EVENT_AGE_DAYS)]
    TooOld,
    /// The guide is not known, and the item does not describe it.
    #[error("guideId names no guide that is known here, and the item brings no guideProperties")]
    UnknownGuide,
    /// A guide that the installation does not have, where nothing else will do.
    #[error("guideId names no guide that is known here")]
    NotOurGuide,
    /// A rating where the installation's own guide asks for none.
    #[error("the guide asks for no NPS rating on this step")]
    NoNps,
    /// A reason whose rating has left, or never came.
    #[error("the rating that this reason belongs to has already left, or was never given")]
    LateReason,
    /// What would leave is larger than an event may be.
    #[error("the event would be larger than {} bytes", limits::EVENT_BODY_BYTES)]
    TooLarge,
}

/// Every key that an item may have; others are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawItem<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    visitor_id: Option<&'a RawValue>,
    account_id: Option<&'a RawValue>,
    browser_time: Option<&'a RawValue>,
    user_agent: Option<&'a RawValue>,
    url: Option<&'a RawValue>,
    visitor: Option<&'a RawValue>,
    account: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    properties: Option<&'a RawValue>,
    guide_id: Option<&'a RawValue>,
    guide_step_id: Option<&'a RawValue>,
    guide_properties: Option<&'a RawValue>,
    language: Option<&'a RawValue>,
    step_poll_types: Option<&'a RawValue>,
    responses: Option<&'a RawValue>,
    rating: Option<&'a RawValue>,
    reason: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    anonymous_id: Option<&'a RawValue>,
    snooze_ms: Option<&'a RawValue>,
}

impl<'a> Item<'a> {
    /// Reads and checks one item of a batch that arrived at this time.
    ///
    /// # Errors
    /// [`ItemError`], whose text is the rejection's reason.
    pub fn parse(json: &'a RawValue, clocks: Clocks, guides: Option<&Guides>) -> Result<Self, ItemError> {
        // serde would read a list as a struct, field by field.
        if !json.get().starts_with('{') {
            return Err(ItemError::Unreadable(String::from("it is not an object")));
        }
        let raw: RawItem<'a> =
            serde_json::from_str(json.get()).map_err(|error| ItemError::Unreadable(error.to_string()))?;
        let what = raw.what(clocks.now, guides)?;
        if !what.fits(json.get().len()) {
            return Err(ItemError::TooLarge);
        }
        Ok(Self {
            id: Field::new("id", raw.id).optional().map(Field::full_id).transpose()?,
            visitor_id: Field::new("visitorId", raw.visitor_id).id()?,
            account_id: text_or_empty("accountId", raw.account_id)?,
            occurred_at: raw.occurred_at(clocks)?,
            user_agent: Field::new("userAgent", raw.user_agent).optional().map(Field::text).transpose()?,
            url: Field::new("url", raw.url).optional().map(Field::text).transpose()?,
            what,
        })
    }
}

impl What<'_> {
    /// Whether its events will not be larger than an event may be, whatever else is in them.
    fn fits(&self, item_bytes: usize) -> bool {
        match self {
            Self::Identify { .. } | Self::Guide { .. } => true,
            // Numbers like 1e20 grow when they are written out.
            Self::Track { properties, .. } => properties.len() <= limits::EVENT_BODY_BYTES - ENVELOPE_BYTES,
            // A step and an answer that leave out what may be left out at most double.
            Self::GuideSeen { .. } | Self::Submit { .. } => item_bytes <= limits::EVENT_BODY_BYTES / 4,
        }
    }
}

impl<'a> RawItem<'a> {
    fn what(&self, now: UnixMs, guides: Option<&Guides>) -> Result<What<'a>, ItemError> {
        match &*Field::new("type", self.kind).text()? {
            "identify" => Ok(What::Identify {
                visitor: Field::new("visitor", self.visitor).metadata()?,
                account: Field::new("account", self.account).metadata()?,
                anonymous_id: self.anonymous_id()?,
            }),
            "track" => Ok(What::Track {
                name: Field::new("name", self.name).json_name()?,
                properties: Field::new("properties", self.properties).canonical_object()?,
            }),
            "guideSeen" => self.guide_seen(guides),
            "pollResponse" => self.poll_response(guides),
            "npsResponse" => self.nps_response(guides),
            "guideDismissed" | "guideFinished" => self.guide(GuideDid::Ended, guides),
            "guideSnoozed" => {
                let ms = Field::new("snoozeMs", self.snooze_ms).integer_in(1, i64::MAX)?.unsigned_abs();
                let until = now.after(Duration::from_millis(ms).min(limits::GUIDE_SNOOZE));
                self.guide(GuideDid::Snoozed { until }, guides)
            }
            _ => Err(ItemError::UnknownType),
        }
    }

    fn anonymous_id(&self) -> Result<Option<Cow<'a, str>>, FieldError> {
        let Some(field) = Field::new("anonymousId", self.anonymous_id).optional() else { return Ok(None) };
        let id = field.id()?;
        if is_anonymous(&id) { Ok(Some(id)) } else { Err(field.error(Fault::NotAnonymous)) }
    }

    fn guide(&self, did: GuideDid, guides: Option<&Guides>) -> Result<What<'a>, ItemError> {
        let guide_id = Field::new("guideId", self.guide_id).full_id()?;
        let step_id = Field::new("guideStepId", self.guide_step_id).full_id()?;
        if guides.is_none_or(|guides| guides.get(&guide_id).is_none()) {
            return Err(ItemError::NotOurGuide);
        }
        Ok(What::Guide { guide_id, step_id, did })
    }

    /// What is on the step says the installation's own guide; the item where that is not known.
    fn guide_seen(&self, guides: Option<&Guides>) -> Result<What<'a>, ItemError> {
        let (mut poll, mut nps) = (false, false);
        let mut count = |kind: PollType| match kind {
            PollType::NpsRating => nps = true,
            PollType::NpsReason => {}
            _ => poll = true,
        };
        let field = Field::new("stepPollTypes", self.step_poll_types);
        let (step, known) = self.step(guides)?;
        match known {
            Some(polls) => polls.iter().for_each(|poll| count(poll.kind)),
            None => {
                for raw in field.optional().map(Field::list).transpose()?.unwrap_or_default() {
                    count(Field::new("stepPollTypes", Some(raw)).one_of(PollType::NAMES)?);
                }
            }
        }
        Ok(What::GuideSeen { step, poll, nps })
    }

    /// The two NPS types among the answers are the same as an npsResponse.
    fn poll_response(&self, guides: Option<&Guides>) -> Result<What<'a>, ItemError> {
        let list = Field::new("responses", self.responses);
        let mut answers = Vec::new();
        let mut nps: Option<NpsPart<'a>> = None;
        let raw_answers = list.list()?;
        if raw_answers.is_empty() {
            return Err(list.error(Fault::Empty).into());
        }
        let (step, known) = self.step(guides)?;
        for (index, raw) in raw_answers.into_iter().enumerate() {
            let place = || format!("responses[{index}]");
            let answer = parse_answer(raw, known.unwrap_or_default()).map_err(|error| error.within(&place()))?;
            let part = || NpsPart { rating: None, reason: None, source: NpsSource::default() };
            match answer.poll_type {
                PollType::NpsRating => {
                    let rating = Field::new("response", Some(raw_response(raw)?)).integer_in(0, 10);
                    nps.get_or_insert_with(part).rating = Some(rating.map_err(|e| e.within(&place()))? as u8);
                }
                PollType::NpsReason => nps.get_or_insert_with(part).reason = Some(answer.response),
                _ => answers.push(answer),
            }
        }
        Ok(What::Submit { step, answers, nps })
    }

    fn nps_response(&self, guides: Option<&Guides>) -> Result<What<'a>, ItemError> {
        let rating = Field::new("rating", self.rating);
        let reason = Field::new("reason", self.reason).optional().map(Field::json_text).transpose()?;
        // A reason may come by itself, after its rating; nothing at all may not.
        let given = if reason.is_some() { rating.optional() } else { Some(rating) };
        let rating = given.map(|field| field.integer_in(0, 10)).transpose()?.map(|number| number as u8);
        let source =
            Field::new("source", self.source).optional().map(|field| field.one_of("web, email")).transpose()?;
        let nps = Some(NpsPart { rating, reason, source: source.unwrap_or_default() });
        let (step, known) = self.step(guides)?;
        if known.is_some_and(|polls| polls.iter().all(|poll| poll.kind != PollType::NpsRating)) {
            return Err(ItemError::NoNps);
        }
        Ok(What::Submit { step, answers: Vec::new(), nps })
    }

    /// The step that the item names, and the polls on it where the installation's own guide has such a step.
    fn step<'g>(&self, guides: Option<&'g Guides>) -> Result<(Box<Step>, Option<&'g [Poll]>), ItemError> {
        let guide_id = Field::new("guideId", self.guide_id).full_id()?.into_owned();
        let step_id = Field::new("guideStepId", self.guide_step_id).full_id()?.into_owned();
        let language = text_or_empty("language", self.language)?.into_owned();
        let brought = Field::new("guideProperties", self.guide_properties).optional();
        let (guide, polls) = match (guides.and_then(|guides| guides.get(&guide_id)), brought) {
            (Some(known), _) => (known.properties.clone(), known.polls_of(&step_id)),
            (None, Some(field)) => (parse_guide(field)?, None),
            (None, None) => return Err(ItemError::UnknownGuide),
        };
        Ok((Box::new(Step { guide_id, guide, step_id, language }), polls))
    }

    fn occurred_at(&self, Clocks { now, skew_ms }: Clocks) -> Result<UnixMs, ItemError> {
        let Some(field) = Field::new("browserTime", self.browser_time).optional() else { return Ok(now) };
        within_age(UnixMs(field.integer()?.saturating_add(skew_ms)), now).ok_or(ItemError::TooOld)
    }
}

/// The time at which something happened, taken as now when it lies in the future; `None` when it is too long ago.
pub fn within_age(time: UnixMs, now: UnixMs) -> Option<UnixMs> {
    let oldest = now.before(Duration::from_secs(limits::EVENT_AGE_DAYS * 24 * 3600));
    (time >= oldest).then_some(time.min(now))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAnswer<'a> {
    #[serde(borrow)]
    poll_id: Option<&'a RawValue>,
    poll_type: Option<&'a RawValue>,
    response: Option<&'a RawValue>,
    duration: Option<&'a RawValue>,
}

/// Reads an answer. Of a poll among `known`, the poll says what kind of answer it takes, not the item.
fn parse_answer<'a>(raw: &'a RawValue, known: &[Poll]) -> Result<Answer<'a>, FieldError> {
    let fields: RawAnswer<'_> = Field::new("answer", Some(raw)).fields()?;
    let poll_id = Field::new("pollId", fields.poll_id).full_id()?;
    let place = known.iter().position(|poll| poll.id == poll_id);
    let poll = place.map(|place| &known[place]);
    let poll_type = match poll {
        Some(poll) => poll.kind,
        None => Field::new("pollType", fields.poll_type).one_of(PollType::NAMES)?,
    };
    let response = Field::new("response", fields.response);
    let response = match (poll_type, poll) {
        (PollType::NumberScale | PollType::PositiveNegative | PollType::NpsRating, _) => {
            Cow::Owned(response.integer()?.to_string().into_bytes())
        }
        (PollType::PickList, Some(poll)) => Cow::Owned(choice(poll, response)?),
        (PollType::FreeForm | PollType::PickList | PollType::NpsReason, _) => response.json_text()?,
    };
    let duration = Field::new("duration", fields.duration).optional();
    Ok(Answer {
        duration_ms: duration.map(|field| field.integer_in(0, i64::MAX)).transpose()?.unwrap_or(0),
        poll_id,
        poll_type,
        response,
        place,
    })
}

/// The text of the choice that the response names by its id, as JSON. A response that is the text already is good too.
fn choice(poll: &Poll, response: Field<'_>) -> Result<Vec<u8>, FieldError> {
    let chosen = response.text()?;
    let by_id = poll.choices.iter().find(|choice| choice.id == chosen);
    let found = by_id.or_else(|| poll.choices.iter().find(|choice| choice.text == chosen));
    let choice = found.ok_or_else(|| response.error(Fault::NotAChoice))?;
    let mut out = Vec::with_capacity(choice.text.len() + 2);
    canonical::append_string(&mut out, &choice.text);
    Ok(out)
}

fn raw_response(raw: &RawValue) -> Result<&RawValue, FieldError> {
    let fields: RawAnswer<'_> = Field::new("answer", Some(raw)).fields()?;
    fields.response.ok_or_else(|| Field::new("response", None).error(Fault::Missing))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawGuide<'a> {
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    created_by_user: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    last_updated_at: Option<&'a RawValue>,
    last_updated_by_user: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    steps: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStep<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    last_updated_at: Option<&'a RawValue>,
    reset_at: Option<&'a RawValue>,
    #[serde(rename = "type")]
    kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawUser<'a> {
    #[serde(borrow)]
    username: Option<&'a RawValue>,
}

/// Reads `guideProperties` as an item brings it.
fn parse_guide(field: Field<'_>) -> Result<GuideProperties, FieldError> {
    let raw: RawGuide<'_> = field.fields()?;
    let read = || -> Result<GuideProperties, FieldError> {
        let mut steps = Vec::new();
        for (index, step) in Field::new("steps", raw.steps).list()?.into_iter().enumerate() {
            steps.push(parse_step(step).map_err(|error| error.within(&format!("steps[{index}]")))?);
        }
        Ok(GuideProperties {
            created_at: Field::new("createdAt", raw.created_at).integer()?,
            created_by_user: parse_user("createdByUser", raw.created_by_user)?,
            id: Field::new("id", raw.id).full_id()?.into_owned(),
            last_updated_at: Field::new("lastUpdatedAt", raw.last_updated_at).integer()?,
            last_updated_by_user: parse_user("lastUpdatedByUser", raw.last_updated_by_user)?,
            name: Field::new("name", raw.name).id()?.into_owned(),
            steps,
        })
    };
    read().map_err(|error| error.within("guideProperties"))
}

fn parse_step(raw: &RawValue) -> Result<GuideStep, FieldError> {
    let fields: RawStep<'_> = Field::new("step", Some(raw)).fields()?;
    let reset_at = Field::new("resetAt", fields.reset_at).optional();
    Ok(GuideStep {
        id: Field::new("id", fields.id).full_id()?.into_owned(),
        last_updated_at: Field::new("lastUpdatedAt", fields.last_updated_at).integer()?,
        reset_at: reset_at.map(Field::integer).transpose()?.unwrap_or(0),
        kind: text_or_empty("type", fields.kind)?.into_owned(),
    })
}

fn parse_user(name: &'static str, raw: Option<&RawValue>) -> Result<UserRef, FieldError> {
    let fields: RawUser<'_> = Field::new(name, raw).fields()?;
    let username = Field::new("username", fields.username).id().map_err(|error| error.within(name))?;
    Ok(UserRef { username: username.into_owned() })
}

fn text_or_empty<'a>(name: &'static str, raw: Option<&'a RawValue>) -> Result<Cow<'a, str>, FieldError> {
    Field::new(name, raw).optional().map_or(Ok(Cow::Borrowed("")), Field::id)
}
