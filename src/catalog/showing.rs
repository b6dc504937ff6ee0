//! How, where, when and to whom a guide is shown. Receivers are told nothing of it.

use super::InvalidValue;
use super::guides::Guide;
use crate::filter::Audience;
use crate::limits;
use crate::model::{GuideHistory, GuideState, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a guide looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuideLayout {
    /// In the middle of the page, which waits behind it.
    #[default]
    Modal,
    /// Across the top of the page.
    Banner,
    /// Beside an element of the page.
    Tooltip,
}

impl GuideLayout {
    /// All names, for errors.
    pub const NAMES: &'static str = "modal, banner, tooltip";

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modal => "modal",
            Self::Banner => "banner",
            Self::Tooltip => "tooltip",
        }
    }
}

/// How, where, when and to whom a guide is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Showing {
    /// How.
    pub layout: GuideLayout,
    /// To whom; `None`: to everybody.
    pub audience: Option<Audience>,
    /// On which pages; empty: on all. `*` stands for any text.
    pub pages: Vec<String>,
    /// Once more so many days after it has ended; `None`: once.
    pub every_days: Option<u32>,
    /// Not before this.
    pub starts_at: Option<UnixMs>,
    /// Not from this on.
    pub ends_at: Option<UnixMs>,
}

/// What a step shows besides its polls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepContent {
    /// Markdown.
    pub text: String,
    /// What a tooltip points at: a CSS selector.
    pub element: Option<String>,
}

/// What a person sets of a guide's showing; the inner `None` takes a value away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowingValues {
    /// See [`Showing`].
    pub layout: Option<GuideLayout>,
    /// A rule in CEL.
    pub audience: Option<Option<String>>,
    /// See [`Showing`].
    pub pages: Option<Vec<String>>,
    /// See [`Showing`].
    pub every_days: Option<Option<i64>>,
    /// See [`Showing`].
    pub starts_at: Option<Option<UnixMs>>,
    /// See [`Showing`].
    pub ends_at: Option<Option<UnixMs>>,
}

impl Showing {
    /// Takes other values.
    pub(super) fn set(&mut self, values: ShowingValues) -> Result<(), InvalidValue> {
        self.layout = values.layout.unwrap_or(self.layout);
        if let Some(rule) = values.audience {
            let parsed = rule.as_deref().map(Audience::parse).transpose();
            let parsed = parsed.map_err(|mistake| InvalidValue::new("audience", mistake.to_string()))?;
            self.audience = parsed;
        }
        if let Some(pages) = values.pages {
            check_pages(&pages)?;
            self.pages = pages;
        }
        if let Some(days) = values.every_days {
            self.every_days = days.map(checked_days).transpose()?;
        }
        self.starts_at = values.starts_at.unwrap_or(self.starts_at);
        self.ends_at = values.ends_at.unwrap_or(self.ends_at);
        if self.starts_at.zip(self.ends_at).is_some_and(|(start, end)| end <= start) {
            return Err(InvalidValue::new("endsAt", "must be later than startsAt"));
        }
        Ok(())
    }

    fn is_time(&self, now: UnixMs) -> bool {
        self.starts_at.is_none_or(|start| start <= now) && self.ends_at.is_none_or(|end| now < end)
    }

    /// A rule that has no answer for somebody does not hold for them.
    fn is_for(&self, people: &Value) -> bool {
        self.audience.as_ref().is_none_or(|audience| audience.holds(people).unwrap_or(false))
    }
}

impl StepContent {
    /// Takes what a person has set, if it may be.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.text.len() > limits::GUIDE_TEXT_BYTES {
            return Err(format!("text must have at most {} bytes", limits::GUIDE_TEXT_BYTES));
        }
        let element = self.element.as_deref().unwrap_or("*");
        if element.trim().is_empty() || element.len() > limits::GUIDE_SELECTOR_BYTES {
            return Err(format!("element must be a CSS selector of at most {} bytes", limits::GUIDE_SELECTOR_BYTES));
        }
        Ok(())
    }
}

fn check_pages(pages: &[String]) -> Result<(), InvalidValue> {
    let wrong = |problem: String| Err(InvalidValue::new("pages", problem));
    if pages.len() > limits::GUIDE_PAGES {
        return wrong(format!("a guide names at most {} pages", limits::GUIDE_PAGES));
    }
    let is_pattern = |page: &&String| {
        let starts = ["/", "*", "http://", "https://"].iter().any(|start| page.starts_with(start));
        starts && page.len() <= limits::ID_BYTES
    };
    match pages.iter().find(|page| !is_pattern(page)) {
        Some(page) => wrong(format!(
            "{page:?} is no page: write a path like /settings/*, or an address like https://app.example.com/*"
        )),
        None => Ok(()),
    }
}

fn checked_days(days: i64) -> Result<u32, InvalidValue> {
    let days = u32::try_from(days).ok().filter(|days| (1..=limits::GUIDE_EVERY_DAYS).contains(days));
    days.ok_or_else(|| {
        InvalidValue::new("everyDays", format!("must be from 1 to {}, or null", limits::GUIDE_EVERY_DAYS))
    })
}

impl Guide {
    /// The steps, by their places, that somebody who has done this with the guide may be shown now. None where the guide is
    /// not to be shown to them.
    ///
    /// Once it has ended it is over, but for steps that were reset since; until its days are over, where it comes again.
    /// A step whose polls were answered does not come again before it is reset, or the whole guide comes again.
    pub fn steps_to_show(&self, history: &GuideHistory, people: &Value, now: UnixMs) -> Vec<usize> {
        let is_snoozed = history.snoozed_until.is_some_and(|until| now < until);
        if self.state != GuideState::Published || !self.showing.is_time(now) || is_snoozed {
            return Vec::new();
        }
        let again_at = |ended: UnixMs| self.showing.every_days.map(|days| ended.after(DAY * days));
        let (ended, begins) = match history.ended_at {
            Some(ended) if again_at(ended).is_some_and(|again| again <= now) => (None, ended),
            ended => (ended, UnixMs(i64::MIN)),
        };
        let is_due = |step: &crate::model::GuideStep| {
            let answered = history.answered.get(&step.id).is_some_and(|at| *at > begins && at.0 >= step.reset_at);
            !answered && ended.is_none_or(|ended| step.reset_at > ended.0)
        };
        let steps = self.properties.steps.iter().enumerate();
        let due: Vec<usize> = steps.filter(|(_, step)| is_due(step)).map(|(place, _)| place).collect();
        if due.is_empty() || !self.showing.is_for(people) { Vec::new() } else { due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GuideProperties, GuideStep, SubscriptionId, UserRef};
    use serde_json::json;

    const NOW: UnixMs = UnixMs(1_700_000_000_000);

    fn guide(resets: &[i64]) -> Guide {
        let user = UserRef { username: String::new() };
        let step = |(place, reset_at): (usize, &i64)| GuideStep {
            id: format!("s{place}"),
            last_updated_at: 0,
            reset_at: *reset_at,
            kind: String::new(),
        };
        Guide {
            subscription: SubscriptionId(1000),
            state: GuideState::Published,
            properties: GuideProperties {
                created_at: 0,
                created_by_user: user.clone(),
                id: String::from("g"),
                last_updated_at: 0,
                last_updated_by_user: user,
                name: String::from("G"),
                steps: resets.iter().enumerate().map(step).collect(),
            },
            polls: vec![Vec::new(); resets.len()],
            contents: vec![StepContent::default(); resets.len()],
            showing: Showing::default(),
        }
    }

    fn before(days: u32) -> UnixMs {
        NOW.before(DAY * days)
    }

    fn shown(guide: &Guide, history: &GuideHistory) -> Vec<usize> {
        guide.steps_to_show(history, &json!({"visitor": {"id": "v"}, "account": {"id": ""}}), NOW)
    }

    #[test]
    fn it_is_shown_until_it_has_ended() {
        let (new, both) = (GuideHistory::default(), guide(&[0, 0]));
        assert_eq!(shown(&both, &new), [0, 1]);
        let answered = GuideHistory { answered: [(String::from("s0"), before(1))].into(), ..GuideHistory::default() };
        assert_eq!(shown(&both, &answered), [1], "what was answered is not asked again");
        let ended = GuideHistory { ended_at: Some(before(1)), ..new.clone() };
        assert_eq!(shown(&both, &ended), [0_usize; 0]);
        let snoozed = |until| GuideHistory { snoozed_until: Some(until), ..new.clone() };
        assert_eq!(shown(&both, &snoozed(NOW.after(DAY))), [0_usize; 0]);
        assert_eq!(shown(&both, &snoozed(NOW)), [0, 1]);
        for state in [GuideState::Draft, GuideState::Archived] {
            assert_eq!(shown(&Guide { state, ..both.clone() }, &new), [0_usize; 0]);
        }
    }

    #[test]
    fn what_is_reset_or_comes_again_is_shown_again() {
        let history = GuideHistory {
            ended_at: Some(before(5)),
            answered: [(String::from("s0"), before(5)), (String::from("s1"), before(5))].into(),
            snoozed_until: None,
        };
        assert_eq!(shown(&guide(&[0, before(1).0]), &history), [1], "a step that was reset since");
        assert_eq!(shown(&guide(&[0, before(9).0]), &history), [0_usize; 0], "one that was reset before");
        let mut again = guide(&[0, 0]);
        for (days, steps) in [(5, vec![0, 1]), (6, vec![])] {
            again.showing.every_days = Some(days);
            assert_eq!(shown(&again, &history), steps, "{days}");
        }
        again.showing.every_days = Some(5);
        let half = GuideHistory { answered: [(String::from("s0"), before(1))].into(), ..history };
        assert_eq!(shown(&again, &half), [1], "answered since it came again");
    }

    #[test]
    fn time_and_audience_decide() {
        let mut guide = guide(&[0]);
        guide.showing.starts_at = Some(NOW);
        assert_eq!(shown(&guide, &GuideHistory::default()), [0]);
        guide.showing.ends_at = Some(NOW);
        assert_eq!(shown(&guide, &GuideHistory::default()), [0_usize; 0]);
        guide.showing = Showing::default();
        for (rule, steps) in [("visitor.id == 'v'", vec![0]), ("visitor.agent.role == 'x'", vec![])] {
            guide.showing.audience = Some(Audience::parse(rule).unwrap());
            assert_eq!(shown(&guide, &GuideHistory::default()), steps, "{rule}");
        }
    }

    #[test]
    fn wrong_values_name_their_field() {
        let problem = |values: ShowingValues| Showing::default().set(values).unwrap_err().to_string();
        let none = ShowingValues::default;
        for (values, expected) in [
            (ShowingValues { audience: Some(Some("1".into())), ..none() }, "audience"),
            (ShowingValues { pages: Some(vec!["settings".into()]), ..none() }, "pages"),
            (ShowingValues { every_days: Some(Some(0)), ..none() }, "everyDays"),
            (ShowingValues { every_days: Some(Some(366)), ..none() }, "everyDays"),
            (ShowingValues { starts_at: Some(Some(NOW)), ends_at: Some(Some(NOW)), ..none() }, "endsAt"),
        ] {
            let found = problem(values);
            assert!(found.contains(expected), "{found}");
        }
    }
}
