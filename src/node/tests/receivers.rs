//! Receivers that exist only in simulated time: each answers as its mood of the hour says, and what it is sent is kept.

use crate::clock::Clock;
use crate::deliver::{Courier, Destination, Line, Message, Outcome, Quiet};
use crate::model::{Reason, Timings, UnixMs};
use bytes::Bytes;
use serde_json::Value;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The deadline of every attempt.
pub(super) const TIMEOUT_MS: i64 = 300_000;

/// A receiver that has sent nothing for so long is silent.
const QUIET_MS: i64 = 2000;

/// How a receiver takes what it is sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Answers with this status after so many milliseconds.
    Answers(u16, i64),
    /// Asks for a rest of so many seconds.
    Busy(u64),
    /// 404 for `visitorCreated`, 200 for everything else.
    KnowsNoVisitors,
    /// Two of three are refused with 404.
    RefusesTwoOfThree,
    /// Nobody listens.
    Refuses,
    /// Takes the request and says nothing.
    Hangs,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Status(u16),
    Rest(u64),
    Refused,
    TimedOut,
}

/// What happened, as somebody saw it who stands between Fanfare and the receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// A request has begun: to whom, and with which event.
    Began(usize, String),
    /// No byte of an answer for two seconds.
    Silent(usize, String),
    /// It has ended.
    Ended(usize, String, Answer),
    /// The node has gone down in the middle of it.
    Broken(usize, String),
    /// The webhook was switched on.
    On(usize),
}

impl Fact {
    fn receiver(&self) -> usize {
        match self {
            Self::Began(receiver, _) | Self::Silent(receiver, _) | Self::Ended(receiver, ..) => *receiver,
            Self::Broken(receiver, _) | Self::On(receiver) => *receiver,
        }
    }

    fn event(&self) -> Option<&str> {
        match self {
            Self::Began(_, event) | Self::Silent(_, event) | Self::Ended(_, event, _) | Self::Broken(_, event) => {
                Some(event)
            }
            Self::On(_) => None,
        }
    }
}

/// A fact and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: UnixMs,
    pub(super) fact: Fact,
}

struct Attempt {
    receiver: usize,
    event: String,
    silent_at: Option<UnixMs>,
    ends_at: UnixMs,
    answer: Answer,
    tell: UnboundedSender<Told>,
}

enum Told {
    Silent,
    Ended,
}

/// All receivers.
pub(super) struct Receivers {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    moods: Vec<Mood>,
    under_way: Vec<Attempt>,
    seen: Vec<Seen>,
}

impl Receivers {
    pub(super) fn new(clock: Arc<dyn Clock>, count: usize) -> Arc<Self> {
        let moods = vec![Mood::Answers(200, 20); count];
        let state = State { moods, ..State::default() };
        Arc::new(Self { clock, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on the receiver is in this mood.
    pub(super) fn set(&self, receiver: usize, mood: Mood) {
        self.state().moods[receiver] = mood;
    }

    pub(super) fn note(&self, fact: Fact) {
        let at = self.clock.now();
        self.state().seen.push(Seen { at, fact });
    }

    /// All facts in their order. Which of several requests begins first at the same time nobody promises: there, they are
    /// in the order of receivers and events.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let mut seen = self.state().seen.clone();
        seen.sort_by_key(|one| (one.at, one.fact.receiver()));
        let begin_together = |one: &Seen, other: &Seen| {
            let begins = |seen: &Seen| matches!(seen.fact, Fact::Began(..));
            (one.at, one.fact.receiver()) == (other.at, other.fact.receiver()) && begins(one) && begins(other)
        };
        for together in seen.chunk_by_mut(begin_together) {
            together.sort_by_key(|one| one.fact.event().map(str::to_owned));
        }
        seen
    }

    /// Requests that have not ended.
    pub(super) fn under_way(&self) -> usize {
        self.state().under_way.len()
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<UnixMs> {
        self.state().under_way.iter().map(Attempt::next).min()
    }

    /// Lets one thing happen whose time has come, if there is one; always the same of several.
    pub(super) fn advance(&self) -> bool {
        let (now, mut state) = (self.clock.now(), self.state());
        let due = |attempt: &&mut Attempt| attempt.next() <= now;
        let first = state
            .under_way
            .iter_mut()
            .filter(due)
            .min_by_key(|attempt| (attempt.next(), attempt.receiver, attempt.event.clone()));
        let Some(attempt) = first else { return false };
        let (receiver, event) = (attempt.receiver, attempt.event.clone());
        if attempt.silent_at.take().is_some() {
            attempt.tell.send(Told::Silent).unwrap();
            state.seen.push(Seen { at: now, fact: Fact::Silent(receiver, event) });
            return true;
        }
        let index = state.under_way.iter().position(|one| (one.receiver, &one.event) == (receiver, &event)).unwrap();
        let ended = state.under_way.remove(index);
        state.seen.push(Seen { at: now, fact: Fact::Ended(receiver, event, ended.answer) });
        ended.tell.send(Told::Ended).unwrap();
        true
    }

    /// The node has gone down: whatever was under way was broken off.
    pub(super) fn break_off(&self) {
        let (at, mut state) = (self.clock.now(), self.state());
        let broken = std::mem::take(&mut state.under_way);
        state.seen.extend(broken.into_iter().map(|one| Seen { at, fact: Fact::Broken(one.receiver, one.event) }));
    }

    fn begin(&self, receiver: usize, message: &Message, tell: UnboundedSender<Told>) -> Outcome {
        let (now, mut state) = (self.clock.now(), self.state());
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        let event = message.unique_id.clone();
        let number = i64::from_str_radix(&event[..8], 16).unwrap();
        let (answer, takes_ms) = answer(state.moods[receiver], body["event"].as_str().unwrap(), number);
        let silent_at = (takes_ms > QUIET_MS).then_some(UnixMs(now.0 + QUIET_MS));
        let ends_at = UnixMs(now.0 + takes_ms);
        state.seen.push(Seen { at: now, fact: Fact::Began(receiver, event.clone()) });
        state.under_way.push(Attempt { receiver, event, silent_at, ends_at, answer, tell });
        outcome(answer, takes_ms)
    }
}

impl Attempt {
    fn next(&self) -> UnixMs {
        self.silent_at.unwrap_or(self.ends_at)
    }
}

/// What a receiver in this mood answers to this event, and after how long. `number` is any number of the event's own.
fn answer(mood: Mood, event: &str, number: i64) -> (Answer, i64) {
    let ms = 5 + number % 7;
    match mood {
        Mood::Answers(status, ms) => (Answer::Status(status), ms),
        Mood::Busy(seconds) => (Answer::Rest(seconds), ms),
        Mood::KnowsNoVisitors if event == "visitorCreated" => (Answer::Status(404), ms),
        Mood::RefusesTwoOfThree if number % 3 > 0 => (Answer::Status(404), ms),
        Mood::KnowsNoVisitors | Mood::RefusesTwoOfThree => (Answer::Status(200), ms),
        Mood::Refuses => (Answer::Refused, ms),
        Mood::Hangs => (Answer::TimedOut, TIMEOUT_MS),
    }
}

fn outcome(answer: Answer, takes_ms: i64) -> Outcome {
    let (status, reason) = match answer {
        Answer::Status(status @ 200..300) => (status, Reason::Accepted),
        Answer::Status(status @ 400..500) => (status, Reason::Refused),
        Answer::Status(status) => (status, Reason::ServerError),
        Answer::Rest(_) => (429, Reason::TooManyRequests),
        Answer::Refused => (0, Reason::ConnectionRefused),
        Answer::TimedOut => (408, Reason::TimedOut),
    };
    let retry_after = if let Answer::Rest(seconds) = answer { Some(Duration::from_secs(seconds)) } else { None };
    let total_us = u32::try_from(takes_ms * 1000).unwrap();
    Outcome {
        status,
        reason,
        detail: String::new(),
        retry_after,
        timings: Timings { total_us, ..Timings::default() },
        request_headers: String::new(),
        request_body: None,
        response_headers: String::new(),
        response_body: Bytes::new(),
        response_cut: false,
    }
}

impl Courier for Receivers {
    fn attempt<'a>(
        &'a self,
        _line: &'a mut Line,
        destination: &'a Arc<Destination>,
        message: &'a Message,
        quiet: Quiet<'a>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        assert_eq!(quiet.after, Duration::from_millis(QUIET_MS as u64));
        assert_eq!(destination.timeout, Duration::from_millis(TIMEOUT_MS as u64));
        Box::pin(async move {
            let receiver = destination.endpoint.path_and_query[1..].parse().unwrap();
            let (tell, mut told) = unbounded_channel();
            let outcome = self.begin(receiver, message, tell);
            loop {
                match told.recv().await {
                    Some(Told::Silent) => (quiet.call)(),
                    Some(Told::Ended) => return outcome,
                    // The node is going down, and takes this attempt along.
                    None => std::future::pending().await,
                }
            }
        })
    }
}
