//! From an expression as it was read to one that can be evaluated: names, functions and types are checked.

use super::names::{self, FUNCTIONS, Known, Vocabulary};
use super::node::{Loop, Node, Order, Over, Quantifier, Sum, TextTest};
use super::{Mistake, Place};
use crate::limits;
use cel::common::ast::{CallExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr, SourceInfo, operators};

/// What is known of a value before there is an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// Nothing: it depends on the event.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Text,
    Object,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double => "a number with a fraction",
            Self::Text => "a text",
            Self::Object => "an object",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Any | Self::Int | Self::Double)
    }

    /// Whether the two can ever be equal.
    fn compares_with(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any || (self.is_number() && other.is_number())
    }
}

type Checked = Result<(Node, Type), Mistake>;

/// Goes through an expression, the innermost parts first.
pub(super) struct Checker<'a> {
    vocabulary: Vocabulary,
    text: &'a str,
    source: &'a SourceInfo,
    /// The loops' variables, the innermost last.
    variables: Vec<&'a str>,
    depth: usize,
}

impl<'a> Checker<'a> {
    pub(super) fn new(vocabulary: Vocabulary, text: &'a str, source: &'a SourceInfo) -> Self {
        Self { vocabulary, text, source, variables: Vec::new(), depth: 0 }
    }

    /// The whole rule, which must be true or false.
    pub(super) fn rule(mut self, expression: &'a IdedExpr) -> Result<Node, Mistake> {
        let (node, found) = self.node(expression)?;
        need(found, Type::Bool, Place::START, &format!("the {} as a whole", self.vocabulary.noun()))?;
        Ok(node)
    }

    fn node(&mut self, expression: &'a IdedExpr) -> Checked {
        if self.depth == limits::FILTER_DEPTH {
            return Err(self.mistake(expression, "this is nested too deeply"));
        }
        self.depth += 1;
        let checked = match &expression.expr {
            Expr::Literal(literal) => self.literal(expression, literal),
            Expr::Ident(name) => self.name(expression, name),
            Expr::Select(select) => self.field(expression, select),
            Expr::Call(call) => self.call(expression, call),
            Expr::List(_) => {
                Err(self.mistake(expression, "a list can only stand to the right of in, or be looped over"))
            }
            Expr::Map(_) | Expr::Struct(_) => {
                Err(self.mistake(expression, format!("objects cannot be written in a {}", self.vocabulary.noun())))
            }
            Expr::Comprehension(_) | Expr::Unspecified => Err(self.mistake(expression, "this means nothing here")),
        };
        self.depth -= 1;
        checked
    }

    fn literal(&self, expression: &IdedExpr, literal: &LiteralValue) -> Checked {
        Ok(match literal {
            LiteralValue::Null => (Node::Null, Type::Null),
            LiteralValue::Boolean(is) => (Node::Bool(*is.inner()), Type::Bool),
            LiteralValue::Int(number) => (Node::Int(*number.inner()), Type::Int),
            LiteralValue::Double(number) => (Node::Double(*number.inner()), Type::Double),
            LiteralValue::String(text) => (Node::Text(text.inner().into()), Type::Text),
            LiteralValue::UInt(_) => {
                return Err(self.mistake(expression, "leave the u out: numbers have one kind here"));
            }
            LiteralValue::Bytes(_) => return Err(self.mistake(expression, "leave the b out: events hold texts")),
        })
    }

    fn name(&self, expression: &IdedExpr, name: &str) -> Checked {
        if let Some(index) = self.variables.iter().rev().position(|variable| *variable == name) {
            return Ok((Node::Element(index), Type::Any));
        }
        if let Some(object) = self.vocabulary.object(name) {
            return Ok((Node::Object(object), Type::Object));
        }
        if let Some(known) = self.vocabulary.known(name) {
            return Ok((Node::Known(known), known.kind()));
        }
        if self.vocabulary.has_fields(name) {
            let fields = fields_of(name).join(", ");
            return Err(self.mistake(expression, format!("{name} has several values; write one of {fields}")));
        }
        let all: Vec<_> = self.vocabulary.all().into_iter().chain(self.variables.iter().copied()).collect();
        Err(self.mistake(expression, format!("unknown name {name}; {}", names::instead(name, all))))
    }

    fn field(&mut self, expression: &'a IdedExpr, select: &'a SelectExpr) -> Checked {
        let place = self.place_after_dot(expression);
        if let Some(known) = self.known_field(select, place)? {
            return Ok((Node::Known(known), known.kind()));
        }
        let (of, found) = self.node(&select.operand)?;
        if !matches!(found, Type::Any | Type::Object) {
            let problem = format!("there is no {} in {}: only objects have fields", select.field, found.name());
            return Err(Mistake::new(place, problem));
        }
        let known = match of {
            Node::Object(object) => self.vocabulary.field(object, &select.field),
            _ => Type::Any,
        };
        Ok((Node::Field { of: Box::new(of), name: select.field.as_str().into(), place }, known))
    }

    /// A field of `app` or `subscription`.
    fn known_field(&self, select: &SelectExpr, place: Place) -> Result<Option<Known>, Mistake> {
        let Expr::Ident(object) = &select.operand.expr else { return Ok(None) };
        if self.variables.contains(&object.as_str()) || !self.vocabulary.has_fields(object) {
            return Ok(None);
        }
        let name = format!("{object}.{}", select.field);
        let known = self.vocabulary.known(&name);
        known.map(Some).ok_or_else(|| {
            Mistake::new(place, format!("unknown name {name}; {}", names::instead(&name, fields_of(object))))
        })
    }

    fn call(&mut self, expression: &'a IdedExpr, call: &'a CallExpr) -> Checked {
        if let Some(operator) = self.operator(expression, call) {
            return operator;
        }
        let place = self.place_of_name(expression, &call.func_name);
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            ("has", None, [of]) => self.has(of, place),
            ("size", None, [of]) | ("size", Some(of), []) if !is_list(of) => self.size(of, place),
            ("int", None, [of]) => Ok((Node::ToInt(self.convertible(of, place)?, place), Type::Int)),
            ("double", None, [of]) => Ok((Node::ToDouble(self.convertible(of, place)?, place), Type::Double)),
            ("contains", Some(text), [with]) => self.compare(text, with, TextTest::Contains, place),
            ("startsWith", Some(text), [with]) => self.compare(text, with, TextTest::StartsWith, place),
            ("endsWith", Some(text), [with]) => self.compare(text, with, TextTest::EndsWith, place),
            ("exists", Some(over), [variable, test]) => self.a_loop(over, variable, test, (Quantifier::Exists, place)),
            ("all", Some(over), [variable, test]) => self.a_loop(over, variable, test, (Quantifier::All, place)),
            ("exists_one" | "existsOne", Some(over), [variable, test]) => {
                self.a_loop(over, variable, test, (Quantifier::ExistsOne, place))
            }
            (name, ..) => Err(Mistake::new(place, wrong_call(name))),
        }
    }

    /// What the crate writes as a call of an operator.
    fn operator(&mut self, expression: &'a IdedExpr, call: &'a CallExpr) -> Option<Checked> {
        let place = self.place(expression);
        Some(match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_AND, [left, right]) => self.both(left, right, ("&&", place), Node::And),
            (operators::LOGICAL_OR, [left, right]) => self.both(left, right, ("||", place), Node::Or),
            (operators::LOGICAL_NOT, [of]) => self.not(of, place),
            (operators::CONDITIONAL, [condition, yes, no]) => self.choose(condition, (yes, no), place),
            (operators::EQUALS, [left, right]) => self.equal(left, right, ("==", place)),
            (operators::NOT_EQUALS, [left, right]) => {
                self.equal(left, right, ("!=", place)).map(|(equal, _)| (Node::Not(Box::new(equal), place), Type::Bool))
            }
            (operators::LESS, [left, right]) => self.order(left, right, (Order::Less, "<", place)),
            (operators::LESS_EQUALS, [left, right]) => self.order(left, right, (Order::LessOrEqual, "<=", place)),
            (operators::GREATER, [left, right]) => self.order(left, right, (Order::Greater, ">", place)),
            (operators::GREATER_EQUALS, [left, right]) => self.order(left, right, (Order::GreaterOrEqual, ">=", place)),
            (operators::IN, [value, of]) => self.contained(value, of, place),
            (operators::INDEX, [of, index]) => self.index(of, index, place),
            (operators::NEGATE, [of]) => self.negate(of, place),
            (operators::ADD, [left, right]) => self.sum(left, right, (Sum::Add, "+", place)),
            (operators::SUBSTRACT, [left, right]) => self.sum(left, right, (Sum::Subtract, "-", place)),
            (operators::MULTIPLY, [left, right]) => self.sum(left, right, (Sum::Multiply, "*", place)),
            (operators::DIVIDE, [left, right]) => self.sum(left, right, (Sum::Divide, "/", place)),
            (operators::MODULO, [left, right]) => self.sum(left, right, (Sum::Remainder, "%", place)),
            (operators::OPT_SELECT | operators::OPT_INDEX, _) => {
                Err(Mistake::new(place, "leave the ? out, and ask has(…) first where a field may be missing"))
            }
            _ => return None,
        })
    }

    fn both(
        &mut self,
        left: &'a IdedExpr,
        right: &'a IdedExpr,
        (sign, place): (&str, Place),
        make: fn(Box<Node>, Box<Node>, Place) -> Node,
    ) -> Checked {
        let (left, found_left) = self.node(left)?;
        need(found_left, Type::Bool, place, &format!("what stands left of {sign}"))?;
        let (right, found_right) = self.node(right)?;
        need(found_right, Type::Bool, place, &format!("what stands right of {sign}"))?;
        Ok((make(Box::new(left), Box::new(right), place), Type::Bool))
    }

    fn not(&mut self, of: &'a IdedExpr, place: Place) -> Checked {
        let (of, found) = self.node(of)?;
        need(found, Type::Bool, place, "what follows !")?;
        Ok((Node::Not(Box::new(of), place), Type::Bool))
    }

    fn choose(&mut self, condition: &'a IdedExpr, (yes, no): (&'a IdedExpr, &'a IdedExpr), place: Place) -> Checked {
        let (condition, found) = self.node(condition)?;
        need(found, Type::Bool, place, "what stands before ?")?;
        let ((yes, of_yes), (no, of_no)) = (self.node(yes)?, self.node(no)?);
        let found = if of_yes == of_no { of_yes } else { Type::Any };
        Ok((Node::Choose { condition: Box::new(condition), yes: Box::new(yes), no: Box::new(no), place }, found))
    }

    fn equal(&mut self, left: &'a IdedExpr, right: &'a IdedExpr, (sign, place): (&str, Place)) -> Checked {
        let ((a, of_a), (b, of_b)) = (self.node(left)?, self.node(right)?);
        comparable(of_a, of_b, (sign, place))?;
        self.check_word(&a, (right, &b))?;
        self.check_word(&b, (left, &a))?;
        Ok((Node::Equal(Box::new(a), Box::new(b)), Type::Bool))
    }

    fn order(
        &mut self,
        left: &'a IdedExpr,
        right: &'a IdedExpr,
        (order, sign, place): (Order, &str, Place),
    ) -> Checked {
        let ((left, of_left), (right, of_right)) = (self.node(left)?, self.node(right)?);
        for found in [of_left, of_right] {
            if !found.is_number() && found != Type::Text {
                let problem = format!("{sign} orders numbers or texts, not {}", found.name());
                return Err(Mistake::new(place, problem));
            }
        }
        comparable(of_left, of_right, (sign, place))?;
        Ok((Node::Order { left: Box::new(left), right: Box::new(right), order, place }, Type::Bool))
    }

    fn contained(&mut self, value: &'a IdedExpr, of: &'a IdedExpr, place: Place) -> Checked {
        let (value, found) = self.node(value)?;
        if let Expr::List(list) = &of.expr {
            let mut these = Vec::with_capacity(list.elements.len());
            for element in &list.elements {
                let (one, of_one) = self.node(element)?;
                comparable(found, of_one, ("in", self.place(element)))?;
                self.check_word(&value, (element, &one))?;
                these.push(one);
            }
            return Ok((Node::OneOf(Box::new(value), these), Type::Bool));
        }
        let (of, of_of) = self.node(of)?;
        if !matches!(of_of, Type::Any | Type::Object) {
            let problem = format!("right of in a list must stand, such as [\"a\", \"b\"], not {}", of_of.name());
            return Err(Mistake::new(place, problem));
        }
        Ok((Node::In { value: Box::new(value), of: Box::new(of), place }, Type::Bool))
    }

    fn index(&mut self, of: &'a IdedExpr, index: &'a IdedExpr, place: Place) -> Checked {
        let ((of, of_of), (index, of_index)) = (self.node(of)?, self.node(index)?);
        if !matches!(of_of, Type::Any | Type::Object) {
            return Err(Mistake::new(place, format!("{} has no elements", of_of.name())));
        }
        if !of_index.is_number() && of_index != Type::Text {
            return Err(Mistake::new(place, format!("an index is a text or a whole number, not {}", of_index.name())));
        }
        Ok((Node::Index { of: Box::new(of), index: Box::new(index), place }, Type::Any))
    }

    fn negate(&mut self, of: &'a IdedExpr, place: Place) -> Checked {
        let (of, found) = self.node(of)?;
        if !found.is_number() {
            return Err(Mistake::new(place, format!("- makes a number negative, not {}", found.name())));
        }
        Ok((Node::Negate(Box::new(of), place), found))
    }

    fn sum(&mut self, left: &'a IdedExpr, right: &'a IdedExpr, (sum, sign, place): (Sum, &str, Place)) -> Checked {
        let ((left, a), (right, b)) = (self.node(left)?, self.node(right)?);
        if let Some(found) = [a, b].into_iter().find(|found| !found.is_number()) {
            return Err(Mistake::new(place, format!("{sign} takes numbers, not {}", found.name())));
        }
        let found = match (a, b) {
            (Type::Int, Type::Double) | (Type::Double, Type::Int) => {
                let problem =
                    format!("{sign} takes two whole numbers or two with a fraction; write double(…) or int(…)");
                return Err(Mistake::new(place, problem));
            }
            (Type::Any, known) | (known, _) => known,
        };
        Ok((Node::Sum { left: Box::new(left), right: Box::new(right), sum, place }, found))
    }

    fn has(&mut self, of: &'a IdedExpr, place: Place) -> Checked {
        let Expr::Select(select) = &of.expr else {
            return Err(Mistake::new(place, "has asks for a field, such as has(properties.guideId)"));
        };
        match self.field(of, select)? {
            (Node::Field { of, name, place }, _) => Ok((Node::Has { of, name, place }, Type::Bool)),
            _ => Ok((Node::Bool(true), Type::Bool)),
        }
    }

    fn size(&mut self, of: &'a IdedExpr, place: Place) -> Checked {
        let (of, found) = self.node(of)?;
        if !matches!(found, Type::Any | Type::Object | Type::Text) {
            return Err(Mistake::new(place, format!("{} has no size", found.name())));
        }
        Ok((Node::Size(Box::new(of), place), Type::Int))
    }

    fn convertible(&mut self, of: &'a IdedExpr, place: Place) -> Result<Box<Node>, Mistake> {
        let (of, found) = self.node(of)?;
        if !found.is_number() && found != Type::Text {
            return Err(Mistake::new(place, format!("{} is no number", found.name())));
        }
        Ok(Box::new(of))
    }

    fn compare(&mut self, text: &'a IdedExpr, with: &'a IdedExpr, how: TextTest, place: Place) -> Checked {
        let ((text, of_text), (with, of_with)) = (self.node(text)?, self.node(with)?);
        need(of_text, Type::Text, place, "what is looked at")?;
        need(of_with, Type::Text, place, "what is looked for")?;
        Ok((Node::Compare { text: Box::new(text), with: Box::new(with), how, place }, Type::Bool))
    }

    fn a_loop(
        &mut self,
        over: &'a IdedExpr,
        variable: &'a IdedExpr,
        test: &'a IdedExpr,
        (quantifier, place): (Quantifier, Place),
    ) -> Checked {
        let Expr::Ident(name) = &variable.expr else {
            return Err(self.mistake(variable, "a name for the element must stand here, such as exists(x, x == 1)"));
        };
        let over = match &over.expr {
            Expr::List(list) => Over::These(self.constants(list)?),
            _ => {
                let (value, found) = self.node(over)?;
                if !matches!(found, Type::Any | Type::Object) {
                    return Err(Mistake::new(place, format!("{} has no elements", found.name())));
                }
                Over::Value(value)
            }
        };
        self.variables.push(name);
        let test = self.node(test);
        self.variables.pop();
        let (test, found) = test?;
        need(found, Type::Bool, place, "what each element is asked")?;
        Ok((Node::Loop(Box::new(Loop { over, test, quantifier, place })), Type::Bool))
    }

    fn constants(&self, list: &ListExpr) -> Result<Vec<Node>, Mistake> {
        let one = |element: &IdedExpr| match &element.expr {
            Expr::Literal(literal) => self.literal(element, literal).map(|(node, _)| node),
            _ => Err(self.mistake(element, "a list that is looped over holds plain values")),
        };
        list.elements.iter().map(one).collect()
    }

    /// A text that a value of the envelope is compared with must be one that it can be.
    fn check_word(&self, value: &Node, (expression, with): (&IdedExpr, &Node)) -> Result<(), Mistake> {
        let (Node::Known(known), Node::Text(word)) = (value, with) else { return Ok(()) };
        let Some(words) = known.words() else { return Ok(()) };
        if words.contains(&&**word) {
            return Ok(());
        }
        let problem = format!("{} is never {word:?}; {}", known.name(), names::instead(word, words));
        Err(self.mistake(expression, problem))
    }

    fn mistake(&self, expression: &IdedExpr, problem: impl Into<String>) -> Mistake {
        Mistake::new(self.place(expression), problem)
    }

    /// Where the crate says that an expression is: for an operator, its sign.
    fn place(&self, expression: &IdedExpr) -> Place {
        Place::of(self.text, self.offset(expression))
    }

    fn offset(&self, expression: &IdedExpr) -> usize {
        self.source.offset_for(expression.id).map_or(0, |(start, _)| start as usize)
    }

    /// The crate names the dot before a field.
    fn place_after_dot(&self, expression: &IdedExpr) -> Place {
        let after = self.offset(expression) + 1;
        let rest = self.text.get(after..).unwrap_or_default();
        Place::of(self.text, after + rest.len() - rest.trim_start().len())
    }

    /// The crate names the parenthesis behind a function's name.
    fn place_of_name(&self, expression: &IdedExpr, name: &str) -> Place {
        let before = self.text.get(..self.offset(expression)).unwrap_or_default();
        Place::of(self.text, before.trim_end().len().saturating_sub(name.len()))
    }
}

fn need(found: Type, needed: Type, place: Place, what: &str) -> Result<(), Mistake> {
    if found == needed || found == Type::Any {
        return Ok(());
    }
    Err(Mistake::new(place, format!("{what} must be {}, not {}", needed.name(), found.name())))
}

fn comparable(left: Type, right: Type, (sign, place): (&str, Place)) -> Result<(), Mistake> {
    if left.compares_with(right) {
        return Ok(());
    }
    Err(Mistake::new(place, format!("{sign} compares {} with {}, which are never equal", left.name(), right.name())))
}

fn is_list(expression: &IdedExpr) -> bool {
    matches!(expression.expr, Expr::List(_))
}

fn fields_of(object: &str) -> Vec<&'static str> {
    let is_of = |name: &&str| name.split('.').next() == Some(object) && name.contains('.');
    Known::ALL.iter().map(|known| known.name()).filter(is_of).collect()
}

fn wrong_call(name: &str) -> String {
    match name {
        "has" => String::from("write has(properties.guideId)"),
        "size" => String::from("write size(properties.name)"),
        "int" | "double" => format!("write {name}(properties.value)"),
        "contains" | "startsWith" | "endsWith" => format!("write visitorId.{name}(\"a\")"),
        "exists" | "all" | "exists_one" | "existsOne" => format!("write properties.list.{name}(x, x == 1)"),
        "matches" => String::from("filters have no regular expressions; use contains, startsWith or endsWith"),
        name => format!("unknown function {name}; {}", names::instead(name, FUNCTIONS)),
    }
}
