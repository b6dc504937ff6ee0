//! What a person's own template makes of an event. It may do a bounded amount of work, reads nothing but the event, and
//! what it prints is escaped for what it makes: nothing that a visitor has typed ends a string of a JSON text.

use super::FormError;
use super::words::Words;
use crate::limits;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter};
use std::collections::BTreeMap;

/// The name under which the environment has its only template.
const NAME: &str = "template";

/// What a template can name: the event's own keys, and what is made for it.
const EVENT: [&str; 9] =
    ["app", "accountId", "subscription", "userAgent", "event", "properties", "timestamp", "visitorId", "uniqueId"];
const MADE: [&str; 3] = ["title", "facts", "time"];

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
    escaping: Escaping,
    /// It names one of [`MADE`], which cost something to make.
    wants_words: bool,
}

/// How what is printed is written, by what the template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escaping {
    /// As the inside of a JSON string.
    Json,
    /// As text of HTML or XML.
    Markup,
    /// As a value of a form.
    Form,
    /// As it is.
    None,
}

impl Template {
    /// Compiles a template.
    pub(super) fn new(text: &str, content_type: &str) -> Result<Self, FormError> {
        let escaping = Escaping::of(content_type);
        let mut environment = Environment::new();
        // Errors name what is undefined.
        environment.set_debug(true);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(limits::TEMPLATE_FUEL));
        environment.remove_global("debug");
        environment.set_auto_escape_callback(move |_| escaping.mode());
        environment.set_formatter(move |out, state, value| print(escaping, out, state, value));
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| of_error(&error))?;
        let names = environment.get_template(NAME).map_err(|error| of_error(&error))?.undeclared_variables(false);
        let known = |name: &String| {
            let name = name.as_str();
            EVENT.contains(&name) || MADE.contains(&name) || environment.globals().any(|(global, _)| global == name)
        };
        if let Some(unknown) = names.iter().filter(|name| !known(name)).min() {
            let problem = format!("no event has {unknown:?}; there are {} and {}", EVENT.join(", "), MADE.join(", "));
            return Err(FormError::new(problem));
        }
        let wants_words = MADE.iter().any(|name| names.contains(*name));
        Ok(Self { environment, escaping, wants_words })
    }

    /// Applies it to an event.
    pub(super) fn apply(&self, body: &[u8]) -> Result<Vec<u8>, FormError> {
        let unreadable = |error| FormError::unreadable(&error);
        let mut context: BTreeMap<String, Value> = serde_json::from_slice(body).map_err(unreadable)?;
        if self.wants_words {
            add_words(&mut context, &Words::of(&serde_json::from_slice(body).map_err(unreadable)?));
        }
        let made = self.environment.get_template(NAME).and_then(|template| template.render(Value::from_pairs(context)));
        let made = made.map_err(|error| of_error(&error))?;
        self.check(&made)?;
        Ok(made.into_bytes())
    }

    fn check(&self, made: &str) -> Result<(), FormError> {
        if made.len() > limits::EVENT_BODY_BYTES {
            let most = limits::EVENT_BODY_BYTES;
            return Err(FormError::new(format!("it makes {} bytes of this event, more than {most}", made.len())));
        }
        if self.escaping == Escaping::Json {
            serde_json::from_str::<serde::de::IgnoredAny>(made)
                .map_err(|error| FormError::new(format!("what it makes of this event is not JSON: {error}")))?;
        }
        Ok(())
    }
}

fn add_words(context: &mut BTreeMap<String, Value>, words: &Words) {
    let fact = |(name, value): &(&str, String)| Value::from_pairs([("name", *name), ("value", value.as_str())]);
    context.insert(String::from("title"), Value::from(words.title.as_str()));
    context.insert(String::from("facts"), words.facts.iter().map(fact).collect());
    context.insert(String::from("time"), Value::from(words.time.as_str()));
}

impl Escaping {
    fn of(content_type: &str) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" | "text/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            "text/html" | "text/xml" | "application/xml" => Self::Markup,
            other if other.ends_with("+json") => Self::Json,
            other if other.ends_with("+xml") => Self::Markup,
            _ => Self::None,
        }
    }

    fn mode(self) -> AutoEscape {
        match self {
            Self::Json => AutoEscape::Custom("json".into()),
            Self::Form => AutoEscape::Custom("form".into()),
            Self::Markup => AutoEscape::Html,
            Self::None => AutoEscape::None,
        }
    }
}

/// Prints a value where the template says `{{ … }}`.
fn print(escaping: Escaping, out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let is_on = matches!(state.auto_escape(), AutoEscape::Custom(_));
    match escaping {
        Escaping::Json if is_on && !value.is_safe() => print_json(out, value),
        // What `tojson` made is safe in JSON, not in a form.
        Escaping::Form if is_on => {
            let text = value.to_string();
            form_urlencoded::byte_serialize(text.as_bytes()).try_for_each(|part| out.write_str(part))?;
            Ok(())
        }
        _ => escape_formatter(out, state, value),
    }
}

/// Text is written so that it stays within the quotes around it. A list or an object there would be neither a string nor
/// itself.
fn print_json(out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => out.write_str("null")?,
        ValueKind::Bool => out.write_str(if value.is_true() { "true" } else { "false" })?,
        ValueKind::Number => write!(out, "{value}")?,
        ValueKind::String => {
            let quoted = serde_json::Value::from(value.as_str().unwrap_or_default()).to_string();
            out.write_str(&quoted[1..quoted.len() - 1])?;
        }
        kind => {
            let problem =
                format!("a {kind} cannot be printed into JSON as it is: add | tojson, and no quotes around it");
            return Err(Error::new(ErrorKind::InvalidOperation, problem));
        }
    }
    Ok(())
}

fn of_error(error: &Error) -> FormError {
    let problem = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => String::from("it does more work for this event than a template may"),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    FormError { line: error.line(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::sample;
    use crate::model::EventKind;
    use proptest::prelude::*;

    fn apply_as(content_type: &str, template: &str, body: &[u8]) -> Result<String, FormError> {
        Template::new(template, content_type)?.apply(body).map(|made| String::from_utf8(made).unwrap())
    }

    fn apply(template: &str) -> Result<String, FormError> {
        apply_as("application/json", template, &sample::documented(EventKind::NpsSubmitted))
    }

    fn problem(template: &str) -> (Option<usize>, String) {
        let FormError { line, problem } = apply(template).unwrap_err();
        (line, problem)
    }

    fn by(visitor: &str) -> Vec<u8> {
        let event = serde_json::json!({"event": "ping", "visitorId": visitor, "properties": {}, "timestamp": 1});
        event.to_string().into_bytes()
    }

    #[test]
    fn a_template_sees_the_whole_event() {
        let template = "{\"what\":\"{{ event }} in {{ app.name }}\",\"rating\":{{ properties.nps.rating }},\n\
             \"guide\":{{ properties.guideProperties | tojson }},\"at\":{{ timestamp }},\"time\":\"{{ time }}\",\n\
             \"title\":\"{{ title }}\",\"facts\":[{% for fact in facts %}\"{{ fact.name }}={{ fact.value }}\"{% if not loop.last %},{% endif %}{% endfor %}]}";
        insta::assert_snapshot!(apply(template).unwrap());
    }

    proptest! {
        /// Whatever is typed stays one string, in each way of writing one, and nothing of it is changed.
        #[test]
        fn text_stays_within_its_string(visitor in any::<String>()) {
            let template = r#"{% set copy %}{{ visitorId }}{% endset %}["{{ visitorId }}",{{ visitorId | tojson }},"{{ copy }}","{{ 'a' ~ visitorId }}"]"#;
            let made = apply_as("application/json", template, &by(&visitor)).unwrap();
            let read: Vec<String> = serde_json::from_str(&made).unwrap();
            prop_assert_eq!(read, vec![visitor.clone(), visitor.clone(), visitor.clone(), format!("a{visitor}")]);
        }

        #[test]
        fn any_template_ends(template in "(\\{\\{|\\}\\}|\\{%|%\\}|[ -~]|for|in|range|if|end){0,60}") {
            let _ = apply(&template);
        }
    }

    #[test]
    fn what_is_printed_is_escaped_for_what_is_made() {
        let body = by("<b>&\"'");
        let made = |content_type, template| apply_as(content_type, template, &body).unwrap();
        assert_eq!(made("text/plain", "{{ visitorId }}"), "<b>&\"'");
        assert_eq!(made("text/html; charset=utf-8", "{{ visitorId }}"), "&lt;b&gt;&amp;&quot;&#x27;");
        assert_eq!(made("application/problem+json", "\"{{ visitorId }}\""), r#""<b>&\"'""#);
        let form =
            made("application/x-www-form-urlencoded", "a={{ visitorId }}&b={{ visitorId | tojson }}&c={{ timestamp }}");
        let read: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        assert_eq!(read[0].1, "<b>&\"'");
        assert_eq!(serde_json::from_str::<String>(&read[1].1).unwrap(), "<b>&\"'");
        assert_eq!(read[2].1, "1");
    }

    #[test]
    fn a_template_that_cannot_be_is_refused_with_its_line() {
        let (line, text) = problem("[\n{{ event ]");
        assert!(line == Some(2) && text.starts_with("syntax error"), "{line:?} {text}");
        let (_, text) = problem("{{ visitorID }}");
        assert!(text.contains("\"visitorID\"") && text.contains("visitorId"), "{text}");
        for other in
            ["{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% macro m() %}{% endmacro %}"]
        {
            assert!(problem(other).1.starts_with("syntax error"), "{other}");
        }
    }

    #[test]
    fn what_an_event_does_not_have_is_an_error_with_its_line() {
        let (line, text) = problem("[1,\n\n\"{{ properties.guideProperties.nmae }}\"]");
        assert!(line == Some(3) && text.contains("nmae"), "{line:?} {text}");
        assert_eq!(apply("[{% if properties.x is defined %}1{% endif %}]").unwrap(), "[]");
        assert_eq!(apply("[\"{{ properties.x | default('none') }}\"]").unwrap(), "[\"none\"]");
        let (line, text) = problem("[1,\n\"{{ properties }}\"]");
        assert!(line == Some(2) && text.contains("tojson"), "{line:?} {text}");
        let (line, text) = problem("[1,\n{{ visitorId | nosuch }}]");
        assert!(line == Some(2) && text.contains("nosuch"), "{line:?} {text}");
        let (_, text) = problem("{{ visitorId }}");
        assert!(text.contains("not JSON"), "{text}");
    }

    #[test]
    fn work_and_memory_are_bounded() {
        let doubling = format!("{{% set a = 'x' * 1000 %}}{}{{{{ a }}}}", "{% set a = a ~ a %}".repeat(60));
        let loops = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
        let squaring = "{{ ('x' * 10000) | replace('x', 'x' * 10000) }}";
        for template in [&doubling, loops, squaring, "{{ 'x' * 99999999 }}"] {
            assert!(problem(template).1.contains("more work"), "{template}: {}", problem(template).1);
        }
        let large = "\"{{ 'x' * 1048576 }}\"";
        assert!(problem(large).1.contains("1048578 bytes"), "{}", problem(large).1);
    }

    /// The largest event that there is can be passed on as a whole.
    #[test]
    fn the_largest_event_is_not_too_much_work() {
        let body = serde_json::json!({"properties": {"p": "x".repeat(limits::EVENT_BODY_BYTES - 100)}}).to_string();
        assert!(apply_as("application/json", "{\"p\":{{ properties | tojson }}}", body.as_bytes()).is_ok());
    }
}
