//! What is one submission becomes one event: poll answers that came as several items, and a rating and its reason that
//! came one after the other (docs/intake.md).

use super::agent::Rejection;
use super::batch::Taken;
use super::item::{ItemError, What};
use super::keys::{Key, KeyMap, KeySet};
use super::nps::{HeldRating, HeldRatings};
use std::borrow::Cow;
use std::collections::HashMap;

/// What becomes of an item's NPS part.
#[derive(Debug)]
pub enum Fate<'a> {
    /// Nothing: it has none, or another item's event carries it.
    Nothing,
    /// It is carried by another item's event, but it replaced a held rating, which leaves as it is.
    Replaces(HeldRating),
    /// A reason whose rating is gone: the item is rejected.
    Rejected,
    /// A reason that completes a held rating.
    Completes {
        /// The rating.
        held: HeldRating,
        /// A JSON string.
        reason: Cow<'a, [u8]>,
    },
    /// A rating that leaves now.
    Leaves {
        /// The item that gave the rating: this one, or one before it in the batch.
        rating_of: usize,
        /// A JSON string; `None` when there is none.
        reason: Option<Cow<'a, [u8]>>,
        /// The held rating that this one takes the place of.
        replaces: Option<HeldRating>,
    },
    /// A rating that is held.
    Waits {
        /// The held rating that must leave before.
        replaces: Option<HeldRating>,
    },
}

/// Merges poll answers, and decides the fate of each item's NPS part. Rejects late reasons. The locks on the items' NPS
/// keys are held.
pub fn bring_together<'a>(items: &mut [Taken<'a>], held: &HeldRatings, rejected: &mut Vec<Rejection>) -> Vec<Fate<'a>> {
    merge_answers(items);
    items.iter_mut().for_each(in_question_order);
    let mut pass = Pass { held, gone: KeySet::default(), open: KeyMap::default(), fates: Vec::new() };
    for at in 0..items.len() {
        let fate = pass.fate(items, at);
        if matches!(fate, Fate::Rejected) {
            rejected.push((items[at].index, ItemError::LateReason));
        }
        pass.fates.push(fate);
    }
    pass.fates
}

/// Answers of the same visitor on the same step go to the first item that brings any, in the order given.
fn merge_answers(items: &mut [Taken<'_>]) {
    let mut first: HashMap<(String, String, String), usize> = HashMap::new();
    for at in 0..items.len() {
        let item = &mut items[at].item;
        let What::Submit { step, answers, .. } = &mut item.what else { continue };
        if answers.is_empty() {
            continue;
        }
        let visitor_id = item.visitor_id.to_string();
        let target = *first.entry((visitor_id, step.guide_id.clone(), step.step_id.clone())).or_insert(at);
        if target == at {
            continue;
        }
        let more = std::mem::take(answers);
        if let What::Submit { answers, .. } = &mut items[target].item.what {
            answers.extend(more);
        }
        items[at].merged = true;
    }
}

/// Answers to a known guide's polls leave in the order of its questions; others stay as they came, behind them.
fn in_question_order(taken: &mut Taken<'_>) {
    if let What::Submit { answers, .. } = &mut taken.item.what {
        answers.sort_by_key(|answer| answer.place.unwrap_or(usize::MAX));
    }
}

struct Pass<'a, 'h> {
    held: &'h HeldRatings,
    /// Keys whose held rating leaves with this batch.
    gone: KeySet<Key>,
    /// Ratings of this batch that wait, by the item that gave them.
    open: KeyMap<Key, usize>,
    fates: Vec<Fate<'a>>,
}

impl<'a> Pass<'a, '_> {
    fn fate(&mut self, items: &[Taken<'a>], at: usize) -> Fate<'a> {
        let What::Submit { nps: Some(part), answers, .. } = &items[at].item.what else { return Fate::Nothing };
        let Some(key) = items[at].nps else { return Fate::Nothing };
        match (part.rating, &part.reason) {
            (Some(_), Some(reason)) => {
                if let Some(before) = self.open.remove(&key) {
                    self.absorb(before);
                }
                Fate::Leaves { rating_of: at, reason: Some(reason.clone()), replaces: self.take_held(key) }
            }
            (Some(_), None) => {
                if let Some(before) = self.open.insert(key, at) {
                    self.leave(before);
                }
                Fate::Waits { replaces: self.take_held(key) }
            }
            (None, Some(reason)) => match (self.open.remove(&key), self.take_held(key)) {
                (Some(before), _) => {
                    self.absorb(before);
                    Fate::Leaves { rating_of: before, reason: Some(reason.clone()), replaces: None }
                }
                (None, Some(held)) => Fate::Completes { held, reason: reason.clone() },
                // The answers beside it are good; the reason that comes too late is left out.
                (None, None) if items[at].merged || !answers.is_empty() => Fate::Nothing,
                (None, None) => Fate::Rejected,
            },
            (None, None) => Fate::Nothing,
        }
    }

    fn take_held(&mut self, key: Key) -> Option<HeldRating> {
        let held = self.held.get(key)?;
        self.gone.insert(key).then_some(held)
    }

    /// An earlier rating of this batch leaves as part of a later item's event.
    fn absorb(&mut self, before: usize) {
        self.change(before, |replaces| replaces.map_or(Fate::Nothing, Fate::Replaces));
    }

    /// An earlier rating of this batch leaves as it is, because another one follows.
    fn leave(&mut self, before: usize) {
        self.change(before, |replaces| Fate::Leaves { rating_of: before, reason: None, replaces });
    }

    fn change(&mut self, before: usize, to: impl FnOnce(Option<HeldRating>) -> Fate<'a>) {
        if let Fate::Waits { replaces } = std::mem::replace(&mut self.fates[before], Fate::Nothing) {
            self.fates[before] = to(replaces);
        }
    }
}
