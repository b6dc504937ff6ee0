//! What a rule answers for what it looks at. Each step is counted, nothing is copied, and an error is absorbed where the other
//! side of `&&` or `||` decides by itself, as CEL has it.

use super::facts::Subject;
use super::node::{Loop, Node, Order, Over, Quantifier, Sum, TextTest};
use super::value::Val;
use super::{Failure, Place};
use crate::filter::names::Known;
use crate::model::EventKind;
use serde_json::Value;
use std::cmp::Ordering;

/// Bytes of text that are looked through in one step.
const BYTES_PER_STEP: usize = 32;

/// One look at one event.
pub(super) struct Evaluation<'e> {
    of: Subject<'e>,
    steps: u32,
    left: u32,
}

/// The elements that the loops around are at, the innermost first.
#[derive(Clone, Copy)]
struct Scope<'s, 'e> {
    element: Val<'e>,
    outer: Option<&'s Scope<'s, 'e>>,
}

type Answer<'e> = Result<Val<'e>, Failure>;
type Around<'s, 'e> = Option<&'s Scope<'s, 'e>>;

impl<'e> Evaluation<'e> {
    /// A look at an event that takes `steps` at most.
    pub(super) fn new(of: Subject<'e>, steps: u32) -> Self {
        Self { of, steps, left: steps }
    }

    /// Whether the event passes.
    pub(super) fn answer(mut self, rule: &'e Node) -> Result<bool, Failure> {
        let value = self.value(rule, None)?;
        truth(value, Place::START)
    }

    fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.left.checked_sub(steps));
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(Failure::TooMuch(self.steps))
    }

    fn value(&mut self, node: &'e Node, around: Around<'_, 'e>) -> Answer<'e> {
        self.spend(1)?;
        match node {
            Node::Null => Ok(Val::Null),
            Node::Bool(is) => Ok(Val::Bool(*is)),
            Node::Int(number) => Ok(Val::Int(*number)),
            Node::Double(number) => Ok(Val::Double(*number)),
            Node::Text(text) => Ok(Val::Text(text)),
            Node::Known(known) => self.known(*known),
            Node::Object(name) => self.in_object(&[name]),
            Node::Element(index) => element(around, *index),
            Node::Field { of, name, place } => {
                let of = self.value(of, around)?;
                field(of, name, *place)?.map(Val::of).ok_or_else(|| Failure::Missing(name.clone()))
            }
            Node::Index { of, index, place } => self.index((of, index), *place, around),
            Node::Has { of, name, place } => {
                let of = self.value(of, around)?;
                Ok(Val::Bool(field(of, name, *place)?.is_some()))
            }
            Node::Choose { condition, yes, no, place } => {
                let condition = self.value(condition, around)?;
                self.value(if truth(condition, *place)? { yes } else { no }, around)
            }
            Node::Negate(of, place) => {
                let of = self.value(of, around)?;
                negated(of, *place)
            }
            Node::Sum { left, right, sum, place } => {
                let (left, right) = (self.value(left, around)?, self.value(right, around)?);
                summed(left, right, *sum, *place)
            }
            Node::Size(of, place) => {
                let of = self.value(of, around)?;
                self.size(of, *place)
            }
            Node::ToInt(of, place) => to_int(self.value(of, around)?, *place),
            Node::ToDouble(of, place) => to_double(self.value(of, around)?, *place),
            _ => self.test(node, around).map(Val::Bool),
        }
    }

    /// The parts of a filter that are true or false.
    fn test(&mut self, node: &'e Node, around: Around<'_, 'e>) -> Result<bool, Failure> {
        match node {
            Node::Not(of, place) => Ok(!truth(self.value(of, around)?, *place)?),
            Node::And(left, right, place) => {
                let left = self.value(left, around).and_then(|value| truth(value, *place));
                if left == Ok(false) {
                    return Ok(false);
                }
                let right = self.value(right, around).and_then(|value| truth(value, *place));
                and(left, right)
            }
            Node::Or(left, right, place) => {
                let left = self.value(left, around).and_then(|value| truth(value, *place));
                if left == Ok(true) {
                    return Ok(true);
                }
                let right = self.value(right, around).and_then(|value| truth(value, *place));
                or(left, right)
            }
            Node::Equal(left, right) => {
                let (left, right) = (self.value(left, around)?, self.value(right, around)?);
                self.equal(left, right)
            }
            Node::Order { left, right, order, place } => {
                let (left, right) = (self.value(left, around)?, self.value(right, around)?);
                self.ordered(left, right, *order, *place)
            }
            Node::OneOf(value, these) => {
                let value = self.value(value, around)?;
                let mut found = false;
                for one in these {
                    let one = self.value(one, around)?;
                    found = found || self.equal(value, one)?;
                }
                Ok(found)
            }
            Node::In { value, of, place } => {
                let (value, of) = (self.value(value, around)?, self.value(of, around)?);
                self.is_in(value, of, *place)
            }
            Node::Compare { text, with, how, place } => {
                let (text, with) = (self.value(text, around)?, self.value(with, around)?);
                self.compare(text, with, *how, *place)
            }
            Node::Loop(the_loop) => self.looped(the_loop, around),
            value => truth(self.value(value, around)?, Place::START),
        }
    }

    fn known(&self, known: Known) -> Answer<'e> {
        match known {
            Known::Event => self.kind().map(|kind| Val::Text(kind.name())),
            Known::Category => self.kind().map(|kind| Val::Text(kind.category().name())),
            Known::AppId => self.in_object(&["app", "id"]),
            Known::AppName => self.in_object(&["app", "name"]),
            Known::AppPlatform => self.in_object(&["app", "platform"]),
            Known::SubscriptionId => self.in_object(&["subscription", "id"]),
            Known::SubscriptionName => self.in_object(&["subscription", "name"]),
            known => self.in_object(&[known.name()]),
        }
    }

    fn kind(&self) -> Result<EventKind, Failure> {
        self.of.kind().ok_or(Failure::Unreadable)
    }

    fn in_object(&self, path: &[&str]) -> Answer<'e> {
        let object = self.of.object().ok_or(Failure::Unreadable)?;
        let value = path.iter().try_fold(object, |value, name| value.get(*name));
        value.map(Val::of).ok_or(Failure::Unreadable)
    }

    fn index(&mut self, (of, index): (&'e Node, &'e Node), place: Place, around: Around<'_, 'e>) -> Answer<'e> {
        let (of, index) = (self.value(of, around)?, self.value(index, around)?);
        let found = match (of, index) {
            (Val::List(list), index) => match whole(index) {
                Some(index) => usize::try_from(index).ok().and_then(|index| list.get(index)),
                None => return Err(unfit(place, "a whole number", index)),
            },
            (Val::Object(object), Val::Text(name)) => object.get(name),
            // An object's keys are texts, so that no number and no truth finds one.
            (Val::Object(_), Val::Int(_) | Val::Double(_) | Val::Bool(_)) => None,
            (Val::Object(_), index) => return Err(unfit(place, "a text", index)),
            (of, _) => return Err(unfit(place, "a list or an object", of)),
        };
        found.map(Val::of).ok_or_else(|| Failure::Missing("element with this index".into()))
    }

    fn size(&mut self, of: Val<'e>, place: Place) -> Answer<'e> {
        let size = match of {
            Val::Text(text) => {
                self.spend(text.len() / BYTES_PER_STEP)?;
                text.chars().count()
            }
            Val::List(list) => list.len(),
            Val::Object(object) => object.len(),
            of => return Err(unfit(place, "a text, a list or an object", of)),
        };
        Ok(Val::Int(size as i64))
    }

    fn equal(&mut self, left: Val<'e>, right: Val<'e>) -> Result<bool, Failure> {
        self.spend(1)?;
        Ok(match (left, right) {
            (Val::Null, Val::Null) => true,
            (Val::Text(a), Val::Text(b)) => {
                a.len() == b.len() && {
                    self.spend(a.len() / BYTES_PER_STEP)?;
                    a == b
                }
            }
            (Val::List(a), Val::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b) {
                    if !self.equal(Val::of(a), Val::of(b))? {
                        return Ok(false);
                    }
                }
                true
            }
            (Val::Object(a), Val::Object(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for ((a_name, a), (b_name, b)) in a.iter().zip(b) {
                    self.spend(a_name.len() / BYTES_PER_STEP)?;
                    if a_name != b_name || !self.equal(Val::of(a), Val::of(b))? {
                        return Ok(false);
                    }
                }
                true
            }
            (left, right) => left.order(right) == Some(Ordering::Equal),
        })
    }

    fn ordered(&mut self, left: Val<'e>, right: Val<'e>, order: Order, place: Place) -> Result<bool, Failure> {
        if let (Val::Text(a), Val::Text(b)) = (left, right) {
            self.spend(a.len().min(b.len()) / BYTES_PER_STEP)?;
        }
        let unordered = || Failure::Unordered { place, left: left.kind(), right: right.kind() };
        let found = left.order(right).ok_or_else(unordered)?;
        Ok(match order {
            Order::Less => found.is_lt(),
            Order::LessOrEqual => found.is_le(),
            Order::Greater => found.is_gt(),
            Order::GreaterOrEqual => found.is_ge(),
        })
    }

    fn is_in(&mut self, value: Val<'e>, of: Val<'e>, place: Place) -> Result<bool, Failure> {
        match (of, value) {
            (Val::List(list), value) => {
                for one in list {
                    if self.equal(value, Val::of(one))? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Val::Object(object), Val::Text(name)) => Ok(object.contains_key(name)),
            (Val::Object(_), Val::Int(_) | Val::Double(_) | Val::Bool(_)) => Ok(false),
            (Val::Object(_), value) => Err(unfit(place, "a text", value)),
            (of, _) => Err(unfit(place, "a list or an object", of)),
        }
    }

    fn compare(&mut self, text: Val<'e>, with: Val<'e>, how: TextTest, place: Place) -> Result<bool, Failure> {
        let Val::Text(text) = text else { return Err(unfit(place, "a text", text)) };
        let Val::Text(with) = with else { return Err(unfit(place, "a text", with)) };
        let looked_at = if how == TextTest::Contains { text.len() + with.len() } else { with.len() };
        self.spend(looked_at / BYTES_PER_STEP)?;
        Ok(match how {
            TextTest::Contains => text.contains(with),
            TextTest::StartsWith => text.starts_with(with),
            TextTest::EndsWith => text.ends_with(with),
        })
    }

    fn looped(&mut self, the_loop: &'e Loop, around: Around<'_, 'e>) -> Result<bool, Failure> {
        let mut tally = Tally::new(the_loop.quantifier);
        match &the_loop.over {
            Over::These(these) => {
                for one in these {
                    let element = self.value(one, around)?;
                    if self.pass(the_loop, element, around, &mut tally)? {
                        break;
                    }
                }
            }
            Over::Value(value) => match self.value(value, around)? {
                Val::List(list) => {
                    for one in list {
                        if self.pass(the_loop, Val::of(one), around, &mut tally)? {
                            break;
                        }
                    }
                }
                Val::Object(object) => {
                    for name in object.keys() {
                        if self.pass(the_loop, Val::Text(name), around, &mut tally)? {
                            break;
                        }
                    }
                }
                value => return Err(unfit(the_loop.place, "a list or an object", value)),
            },
        }
        tally.answer
    }

    /// Looks at one element; whether the answer is known.
    fn pass(
        &mut self,
        the_loop: &'e Loop,
        element: Val<'e>,
        outer: Around<'_, 'e>,
        tally: &mut Tally,
    ) -> Result<bool, Failure> {
        self.spend(1)?;
        let scope = Scope { element, outer };
        let passes = self.value(&the_loop.test, Some(&scope)).and_then(|value| truth(value, the_loop.place));
        tally.add(passes)
    }
}

/// What a loop knows so far.
struct Tally {
    quantifier: Quantifier,
    passed: u32,
    answer: Result<bool, Failure>,
}

impl Tally {
    fn new(quantifier: Quantifier) -> Self {
        Self { quantifier, passed: 0, answer: Ok(quantifier == Quantifier::All) }
    }

    /// One more element; whether the answer is known.
    fn add(&mut self, passes: Result<bool, Failure>) -> Result<bool, Failure> {
        // What has run out of steps is over, whatever else would decide.
        if let Err(failure @ Failure::TooMuch(_)) = passes {
            return Err(failure);
        }
        let so_far = std::mem::replace(&mut self.answer, Ok(false));
        self.answer = match self.quantifier {
            Quantifier::All => and(so_far, passes),
            Quantifier::Exists => or(so_far, passes),
            Quantifier::ExistsOne => {
                self.passed += u32::from(passes?);
                Ok(self.passed == 1)
            }
        };
        Ok(match self.quantifier {
            Quantifier::All => self.answer == Ok(false),
            Quantifier::Exists => self.answer == Ok(true),
            Quantifier::ExistsOne => false,
        })
    }
}

fn element<'e>(around: Around<'_, 'e>, index: usize) -> Answer<'e> {
    let mut scopes = std::iter::successors(around, |scope| scope.outer);
    // The check has counted the loops around.
    scopes.nth(index).map(|scope| scope.element).ok_or(Failure::Unreadable)
}

fn and(left: Result<bool, Failure>, right: Result<bool, Failure>) -> Result<bool, Failure> {
    match (left, right) {
        (_, Ok(false)) | (Ok(false), _) => Ok(false),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
        (Ok(true), Ok(true)) => Ok(true),
    }
}

fn or(left: Result<bool, Failure>, right: Result<bool, Failure>) -> Result<bool, Failure> {
    match (left, right) {
        (_, Ok(true)) | (Ok(true), _) => Ok(true),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
        (Ok(false), Ok(false)) => Ok(false),
    }
}

fn truth(value: Val<'_>, place: Place) -> Result<bool, Failure> {
    match value {
        Val::Bool(is) => Ok(is),
        value => Err(unfit(place, "true or false", value)),
    }
}

fn field<'e>(of: Val<'e>, name: &str, place: Place) -> Result<Option<&'e Value>, Failure> {
    match of {
        Val::Object(object) => Ok(object.get(name)),
        of => Err(unfit(place, "an object", of)),
    }
}

fn unfit(place: Place, needs: &'static str, found: Val<'_>) -> Failure {
    Failure::Kind { place, needs, found: found.kind() }
}

/// A number without a fraction.
fn whole(value: Val<'_>) -> Option<i64> {
    match value {
        Val::Int(number) => Some(number),
        Val::Double(number) => truncated(number).filter(|_| number.fract() == 0.0),
        _ => None,
    }
}

fn truncated(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (number > -LIMIT && number < LIMIT).then_some(number as i64)
}

fn negated<'e>(of: Val<'e>, place: Place) -> Answer<'e> {
    match of {
        Val::Int(number) => number.checked_neg().map(Val::Int).ok_or(Failure::Number(place)),
        Val::Double(number) => Ok(Val::Double(-number)),
        of => Err(unfit(place, "a number", of)),
    }
}

fn summed<'e>(left: Val<'e>, right: Val<'e>, sum: Sum, place: Place) -> Answer<'e> {
    match (left, right) {
        (Val::Int(a), Val::Int(b)) => {
            let sum = match sum {
                Sum::Add => a.checked_add(b),
                Sum::Subtract => a.checked_sub(b),
                Sum::Multiply => a.checked_mul(b),
                Sum::Divide => a.checked_div(b),
                Sum::Remainder => a.checked_rem(b),
            };
            sum.map(Val::Int).ok_or(Failure::Number(place))
        }
        (Val::Double(a), Val::Double(b)) => Ok(Val::Double(match sum {
            Sum::Add => a + b,
            Sum::Subtract => a - b,
            Sum::Multiply => a * b,
            Sum::Divide => a / b,
            Sum::Remainder => return Err(unfit(place, "a whole number", left)),
        })),
        (Val::Int(_), right) => Err(unfit(place, "a whole number", right)),
        (Val::Double(_), right) => Err(unfit(place, "a number with a fraction (write double(…))", right)),
        (left, _) => Err(unfit(place, "a number", left)),
    }
}

fn to_int<'e>(of: Val<'e>, place: Place) -> Answer<'e> {
    let number = match of {
        Val::Int(number) => Some(number),
        Val::Double(number) => truncated(number),
        Val::Text(text) => text.parse().ok(),
        of => return Err(unfit(place, "a number or a text", of)),
    };
    number.map(Val::Int).ok_or(Failure::Number(place))
}

fn to_double<'e>(of: Val<'e>, place: Place) -> Answer<'e> {
    let number = match of {
        Val::Int(number) => Some(number as f64),
        Val::Double(number) => Some(number),
        Val::Text(text) => text.parse().ok(),
        of => return Err(unfit(place, "a number or a text", of)),
    };
    number.map(Val::Double).ok_or(Failure::Number(place))
}
