//! A filter as it is evaluated: checked, and without a name that is still to be looked up.

use super::Place;
use super::names::Known;
use std::sync::Arc;

/// A part of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// A text.
    Text(Arc<str>),
    /// A value of the envelope.
    Known(Known),
    /// An object that is looked at, by its name: an event's properties, a visitor, an account.
    Object(&'static str),
    /// The element that a loop looks at: the innermost is 0.
    Element(usize),
    /// `of.name`
    Field { of: Box<Node>, name: Arc<str>, place: Place },
    /// `of[index]`
    Index { of: Box<Node>, index: Box<Node>, place: Place },
    /// `has(of.name)`
    Has { of: Box<Node>, name: Arc<str>, place: Place },
    /// `!x`
    Not(Box<Node>, Place),
    /// `a && b`
    And(Box<Node>, Box<Node>, Place),
    /// `a || b`
    Or(Box<Node>, Box<Node>, Place),
    /// `a ? b : c`
    Choose { condition: Box<Node>, yes: Box<Node>, no: Box<Node>, place: Place },
    /// `a == b`; `!=` is its opposite.
    Equal(Box<Node>, Box<Node>),
    /// `a < b` and its like.
    Order { left: Box<Node>, right: Box<Node>, order: Order, place: Place },
    /// `-x`
    Negate(Box<Node>, Place),
    /// `a + b` and its like.
    Sum { left: Box<Node>, right: Box<Node>, sum: Sum, place: Place },
    /// `a in [b, c]`
    OneOf(Box<Node>, Vec<Node>),
    /// `a in b`
    In { value: Box<Node>, of: Box<Node>, place: Place },
    /// `size(x)`
    Size(Box<Node>, Place),
    /// `a.contains(b)` and its like.
    Compare { text: Box<Node>, with: Box<Node>, how: TextTest, place: Place },
    /// `int(x)`
    ToInt(Box<Node>, Place),
    /// `double(x)`
    ToDouble(Box<Node>, Place),
    /// `list.exists(x, test)` and its like.
    Loop(Box<Loop>),
}

/// `over.exists(x, test)` and its like.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loop {
    pub(super) over: Over,
    pub(super) test: Node,
    pub(super) quantifier: Quantifier,
    pub(super) place: Place,
}

/// What a loop goes through.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Over {
    /// Constants that stand in the filter.
    These(Vec<Node>),
    /// A value: a list's elements, an object's keys.
    Value(Node),
}

/// How many elements must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    Exists,
    ExistsOne,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a text is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}
