use super::*;
use crate::model::EventKind;
use cel::{Context, Value as Cel};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// An envelope around these properties.
fn body(kind: EventKind, properties: &Value) -> Vec<u8> {
    let envelope = json!({
        "app": {"id": -323_232, "name": "Acme", "platform": "web"}, "accountId": "acme",
        "subscription": {"id": 4_802_463_602_049_999_i64, "name": "S"}, "userAgent": "Mozilla/5.0",
        "event": kind.name(), "properties": properties, "timestamp": 1_626_803_875, "visitorId": "v1",
        "uniqueId": "75c32838012a8311fba2b902857c2e848d98f457",
    });
    envelope.to_string().into_bytes()
}

fn ask(filter: &str, properties: &Value) -> Result<bool, Failure> {
    let body = body(EventKind::GuideDisplayed, properties);
    Filter::parse(filter).unwrap().passes(&Facts::new(EventKind::GuideDisplayed, &body))
}

#[test]
fn events_pass_or_do_not() {
    let properties = json!({
        "guideId": "a", "language": "en-US", "nps": {"rating": 9, "reason": ""}, "share": 0.5, "flag": true, "no": null,
        "tags": ["x", "y", 3], "answers": [{"pollId": "p", "response": 7}, {"pollId": "q", "response": "good"}],
        "odd key": 1,
    });
    for (filter, passes) in [
        (r#"event == "guideDisplayed" && properties.guideId in ["a", "b"]"#, true),
        (r#"event != "guideDisplayed" || properties.guideId in ["c"]"#, false),
        ("category == 'guides' && app.platform == 'web' && app.id == -323232 && app.name == 'Acme'", true),
        ("accountId == 'acme' && visitorId == 'v1' && timestamp > 1600000000", true),
        ("subscription.id == 4802463602049999 && subscription.name == 'S' && size(uniqueId) == 40", true),
        ("userAgent.startsWith('Mozilla') && userAgent.endsWith('5.0') && userAgent.contains('/')", true),
        ("properties.nps.rating >= 9 && properties.nps.reason == ''", true),
        ("properties.share < 1 && properties.share * 2.0 == 1.0 && properties.nps.rating + 1 == 10", true),
        ("properties.flag", true),
        ("!properties.flag", false),
        ("properties.no == null && has(properties.no) && !has(properties.other)", true),
        ("'x' in properties.tags && 3.0 in properties.tags && !('z' in properties.tags)", true),
        ("'guideId' in properties && properties['odd key'] == 1 && properties.tags[1] == 'y'", true),
        ("size(properties.tags) == 3 && properties.tags.size() == 3", true),
        ("properties.answers.exists(a, a.pollId == 'p' && a.response == 7)", true),
        ("properties.answers.all(a, has(a.pollId))", true),
        ("properties.answers.exists_one(a, a.response == 'good')", true),
        ("properties.answers.exists(a, properties.tags.exists(t, t == a.response))", false),
        ("['en', 'de'].exists(l, properties.language.startsWith(l))", true),
        ("properties.nps.exists(key, key == 'rating')", true),
        ("properties.flag ? visitorId == 'v1' : false", true),
        (
            "int(properties.share * 10.0) == 5 && double(properties.nps.rating) == 9.0 && -properties.nps.rating < 0",
            true,
        ),
        ("properties.tags == properties.tags && properties.nps != properties.tags", true),
        ("visitorId\n  == 'v1' // whoever that is", true),
    ] {
        assert_eq!(ask(filter, &properties), Ok(passes), "{filter}");
    }
}

#[test]
fn a_missing_field_decides_nothing_by_itself() {
    let properties = json!({"a": 1, "list": [1]});
    for filter in ["properties.b == 1", "properties.b != 1", "!(properties.b == 1)", "properties.list[1] == 1"] {
        assert!(ask(filter, &properties).unwrap_err().is_missing(), "{filter}");
    }
    for filter in ["properties.b == 1 || properties.a == 1", "!has(properties.b) || properties.b == 2"] {
        assert_eq!(ask(filter, &properties), Ok(true), "{filter}");
    }
    assert_eq!(ask("properties.b == 1 && properties.a == 2", &properties), Ok(false));
}

#[test]
fn a_value_of_another_kind_is_a_failure_that_says_where() {
    let properties = json!({"a": 1, "b": "x", "c": [1], "big": i64::MAX});
    for (filter, failure) in [
        ("properties.a.b == 1", "line 1, column 14: an object is needed here, and the event has a whole number"),
        ("properties.a.startsWith('x')", "line 1, column 14: a text is needed here, and the event has a whole number"),
        ("true && properties.b", "line 1, column 6: true or false is needed here, and the event has a text"),
        ("properties.a\n < properties.b", "line 2, column 2: a whole number and a text have no order"),
        ("properties.big + 1 == 1", "line 1, column 16: the event's value gives no number here"),
        ("properties.a / 0 == 1", "line 1, column 14: the event's value gives no number here"),
        ("int(properties.b) == 1", "line 1, column 1: the event's value gives no number here"),
        (
            "properties.b.exists(x, true)",
            "line 1, column 14: a list or an object is needed here, and the event has a text",
        ),
    ] {
        let found = ask(filter, &properties).unwrap_err();
        assert_eq!((found.to_string().as_str(), found.is_missing()), (failure, false), "{filter}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_what_would_be_right() {
    for (filter, mistake) in [
        ("", "line 1, column 1: the filter is empty"),
        ("event ==", "line 1, column 9: the filter ends here, but something must follow"),
        ("event = 'guideDisplayed'", "line 1, column 7: a single = means nothing; to compare, write =="),
        ("event == 'x", "line 1, column 10: this text has no end"),
        ("visitorId == 'ü' && (\n  evnt == 'a')", "line 2, column 3: unknown name evnt; did you mean event?"),
        ("visitor_id == 'a'", "line 1, column 1: unknown name visitor_id; did you mean visitorId?"),
        ("guideId == 'a'", "line 1, column 1: unknown name guideId; it must be one of event, category, app.id"),
        ("app.nam == 'a'", "line 1, column 5: unknown name app.nam; did you mean app.name? It must be one of app.id, "),
        ("app == 'a'", "line 1, column 1: app has several values; write one of app.id, app.name, app.platform"),
        ("visitorId.x == 1", "line 1, column 11: there is no x in a text: only objects have fields"),
        (
            "event == 'guideDisplayd'",
            "line 1, column 10: event is never \"guideDisplayd\"; did you mean guideDisplayed?",
        ),
        ("category in ['guides', 'x']", "line 1, column 24: category is never \"x\"; it must be one of guides, polls"),
        ("'lin' == app.platform", "line 1, column 1: app.platform is never \"lin\""),
        ("visitorId == 7", "line 1, column 11: == compares a text with a whole number, which are never equal"),
        ("timestamp < '7'", "line 1, column 11: < compares a whole number with a text"),
        ("timestamp in ['7']", "line 1, column 15: in compares a whole number with a text"),
        ("visitorId in 'abc'", "line 1, column 11: right of in a list must stand"),
        ("visitorId == null", "line 1, column 11: == compares a text with null"),
        ("visitorId", "line 1, column 1: the filter as a whole must be true or false, not a text"),
        ("visitorId && true", "line 1, column 11: what stands left of && must be true or false, not a text"),
        ("!timestamp", "line 1, column 1: what follows ! must be true or false"),
        ("lower (visitorId) == 'a'", "line 1, column 1: unknown function lower; it must be one of has, size"),
        ("visitorId.startswith('a')", "line 1, column 11: unknown function startswith; did you mean startsWith?"),
        ("visitorId.matches('a.*')", "line 1, column 11: filters have no regular expressions; use contains"),
        ("has(visitorId)", "line 1, column 1: has asks for a field, such as has(properties.guideId)"),
        ("has(app.x)", "line 1, column 9: unknown name app.x"),
        ("[1, 2] == properties.a", "line 1, column 1: a list can only stand to the right of in"),
        ("properties == {'a': 1}", "line 1, column 15: objects cannot be written in a filter"),
        ("timestamp == 7u", "line 1, column 14: leave the u out"),
        ("properties.?a == 1", "line 1, column 11: leave the ? out"),
        ("visitorId + 'a' == 'ba'", "line 1, column 11: + takes numbers, not a text"),
        ("timestamp * 1.5 > 1.0", "line 1, column 11: * takes two whole numbers or two with a fraction"),
        ("properties.a.map(x, x)", "line 1, column 14: unknown function map"),
        ("properties.a.exists(1, true)", "line 1, column 21: a name for the element must stand here"),
        ("[properties.a].exists(x, x)", "line 1, column 12: a list that is looped over holds plain values"),
    ] {
        let found = Filter::parse(filter).unwrap_err().to_string();
        assert!(found.starts_with(mistake), "{filter}\n  said {found}\n  not  {mistake}");
    }
}

#[test]
fn nothing_is_too_long_too_deep_or_too_much() {
    for (before, after) in [
        ("(", ")"),
        ("!", ""),
        ("-", ""),
        ("size(", ")"),
        ("true && ", ""),
        ("1 + ", ""),
        ("true ? true : ", ""),
        ("[", "]"),
    ] {
        let times = limits::FILTER_BYTES / (before.len() + after.len()) - 2;
        // Whether it can be taken or not, it ends in an answer.
        let _ = Filter::parse(&format!("{}true{}", before.repeat(times), after.repeat(times)));
    }
    for step in [".a", "[0]", ".size()"] {
        let deep = format!("properties{} == 1", step.repeat((limits::FILTER_BYTES - 20) / step.len()));
        assert!(Filter::parse(&deep).unwrap_err().problem.contains("nested too deeply"), "{step}");
    }
    let long = format!("visitorId == '{}'", "a".repeat(limits::FILTER_BYTES));
    assert!(Filter::parse(&long).unwrap_err().problem.contains("longer than 4096 bytes"));

    let numbers: Vec<u32> = (0..2000).collect();
    let properties = json!({"list": numbers, "text": "a".repeat(500_000)});
    let looks = "properties.list.exists(a, properties.list.exists(b, properties.list.exists(c, a + b + c < 0)))";
    assert_eq!(ask(looks, &properties), Err(Failure::TooMuch(limits::FILTER_STEPS)));
    assert_eq!(ask("properties.text.contains('b')", &properties), Err(Failure::TooMuch(limits::FILTER_STEPS)));
    assert_eq!(ask("1999 in properties.list", &properties), Ok(true));
}

#[test]
fn a_body_that_cannot_be_read_passes_no_filter_that_looks_into_it() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let facts = Facts::new(EventKind::AccountCreated, deep.as_bytes());
    assert_eq!(Filter::parse("event == 'accountCreated'").unwrap().passes(&facts), Ok(true));
    assert_eq!(Filter::parse("visitorId == 'v'").unwrap().passes(&facts), Err(Failure::Unreadable));
}

#[test]
fn the_audit_log_is_asked_for_by_itself() {
    use crate::model::{Category, CategorySet, Selection};
    let interest = |categories: CategorySet, audit| Interest::of(&Selection { audit, ..categories.into() });
    assert!(!interest(CategorySet::All, false).asks_for(Category::Audit));
    let alone = interest(CategorySet::Some(0), true);
    assert!(alone.asks_for(Category::Audit) && Category::ALL.iter().all(|category| !alone.asks_for(*category)));
    let filter = Some(String::from("category == 'audit' && properties.actor.kind == 'user'"));
    let interest = Interest::of(&Selection { audit: true, filter, categories: CategorySet::All });
    let body = br#"{"properties":{"actor":{"kind":"user"}}}"#;
    assert_eq!(interest.judge(&Facts::new(EventKind::AuditRecorded, body)), Judgement::Wanted);
    assert_eq!(interest.judge(&Facts::new(EventKind::AccountCreated, body)), Judgement::Filtered);
}

#[test]
fn a_saved_filter_that_is_not_understood_lets_nothing_pass() {
    let filter = Filter::saved("visitorId.matches('a')");
    let failure = filter.passes(&Facts::new(EventKind::AccountCreated, b"{}")).unwrap_err();
    assert!(failure.to_string().contains("regular expressions"), "{failure}");
}

/// What an event's properties may hold: the names are those that the filters below ask about.
fn properties() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..4).prop_map(|n| json!(n as f64 / 2.0)),
        any::<f64>().prop_map(|n| json!(n)),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abx]", inner, 0..3).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::btree_map("[abx]", value, 0..3).prop_map(|map| json!(map))
}

/// Filters, most of them such as can be saved.
fn filters() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("properties.a"),
        Just("properties.b"),
        Just("properties.a.b"),
        Just("properties.x[0]"),
        Just("properties['a']"),
        Just("has(properties.a)"),
        Just("properties"),
        Just("visitorId"),
        Just("timestamp"),
        Just("true"),
        Just("null"),
        Just("'a'"),
        Just("1"),
        Just("-2"),
        Just("0.5"),
        Just("x"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (
                two.clone(),
                prop::sample::select(vec!["&&", "||", "==", "!=", "<", "<=", ">", ">=", "in", "+", "*", "/", "%"])
            )
                .prop_map(|((a, b), sign)| format!("({a} {sign} {b})")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("size({a})")),
            inner.clone().prop_map(|a| format!("double({a})")),
            inner.clone().prop_map(|a| format!("int({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} in [{b}, {c}])")),
            (two.clone(), prop::sample::select(vec!["contains", "startsWith", "endsWith"]))
                .prop_map(|((a, b), name)| format!("({a}).{name}({b})")),
            (two, prop::sample::select(vec!["exists", "all", "exists_one"]))
                .prop_map(|((a, b), name)| format!("({a}).{name}(x, {b})")),
            inner.prop_map(|a| format!("has(properties.x) && {a}")),
        ]
    })
}

/// What the crate's interpreter says; `None` where it has no answer.
fn reference(filter: &str, properties: &Value) -> Option<bool> {
    fn cel(value: &Value) -> Cel {
        match value {
            Value::Null => Cel::Null,
            Value::Bool(is) => Cel::Bool(*is),
            Value::Number(number) => number.as_i64().map_or_else(|| Cel::Float(number.as_f64().unwrap()), Cel::Int),
            Value::String(text) => Cel::String(Arc::new(text.clone())),
            Value::Array(list) => Cel::List(Arc::new(list.iter().map(cel).collect())),
            Value::Object(map) => {
                let entries = map.iter().map(|(name, value)| (name.clone(), cel(value)));
                Cel::from(entries.collect::<std::collections::HashMap<_, _>>())
            }
        }
    }
    let env = Arc::new(cel::Env::stdlib());
    let program = env.compile(filter).unwrap();
    let mut context = Context::with_env(env);
    context.add_variable_from_value("properties", cel(properties));
    context.add_variable_from_value("visitorId", "v1");
    context.add_variable_from_value("timestamp", 1_626_803_875_i64);
    match program.execute(&context) {
        Ok(Cel::Bool(passes)) => Some(passes),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The crate's own interpreter is the measure: the same answer, or none.
    #[test]
    fn the_answers_are_cels(filter in filters(), properties in properties()) {
        if let Ok(parsed) = Filter::parse(&filter) {
            let body = body(EventKind::GuideDisplayed, &properties);
            let ours = parsed.passes(&Facts::new(EventKind::GuideDisplayed, &body));
            prop_assert_eq!(ours.clone().ok(), reference(&filter, &properties), "{}: {:?}", filter, ours);
        }
    }

    /// Whatever is written, it is taken or refused at a place that is there.
    #[test]
    fn garbage_is_refused_with_its_place(text in prop_oneof![
        "\\PC{0,60}", "[a-z.'\"\\\\()\\[\\]{}<>=!&|?:,+*/% \n\u{fc}\u{1f600}0-9u-]{0,60}"
    ]) {
        if let Err(Mistake { place, problem }) = Filter::parse(&text) {
            let lines: Vec<&str> = text.split('\n').collect();
            let line = lines.get(place.line as usize - 1).copied();
            prop_assert!(line.is_some_and(|line| place.column as usize <= line.chars().count() + 1), "{:?} {}", text, place);
            prop_assert!(!problem.is_empty());
        }
    }

    /// Bodies are what intake has written, but nothing here relies on it.
    #[test]
    fn no_body_makes_it_panic(filter in filters(), body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(filter) = Filter::parse(&filter) {
            let _ = filter.passes(&Facts::new(EventKind::NpsSubmitted, &body));
        }
    }
}
