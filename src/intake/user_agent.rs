//! Which browser a User-Agent names: `browserName` and `browserVersion` of visitorCreated (docs/events.md).
//!
//! A parser of our own: the eight browsers that people use, found by the token that is theirs alone. The general
//! parsers bring thousands of regular expressions for the sake of crawlers and televisions.

use std::fmt::Write;

/// A browser, as visitorCreated shows it. Both are "" when the User-Agent names none that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Browser {
    /// E.g. "Chrome".
    pub name: &'static str,
    /// Three parts, e.g. "91.0.4472".
    pub version: String,
}

/// Token before the version, and the browser's name. The first token found decides: Edge, Opera and Samsung's browser
/// name Chrome too, and all of them name Safari.
const TOKENS: [(&str, &str); 15] = [
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edg/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("OPiOS/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Trident/", "Internet Explorer"),
    ("MSIE ", "Internet Explorer"),
];

/// The browser that `user_agent` names.
pub fn parse(user_agent: &str) -> Browser {
    let found = TOKENS.iter().find_map(|(token, name)| Some((*name, after(user_agent, token)?)));
    let (name, version) = match found {
        // Internet Explorer 11 has its own version after "rv:", and none after "MSIE".
        Some((name @ "Internet Explorer", version)) => (name, after(user_agent, "rv:").unwrap_or(version)),
        Some(found) => found,
        None => match (after(user_agent, "Version/"), after(user_agent, "Safari/")) {
            (Some(version), Some(_)) => ("Safari", version),
            _ => return Browser::default(),
        },
    };
    match three_parts(version) {
        Some(version) => Browser { name, version },
        None => Browser { name, version: String::new() },
    }
}

/// What follows `token`, when the token begins a word.
fn after<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    text.match_indices(token).find_map(|(at, _)| {
        let begins = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        begins.then(|| &text[at + token.len()..])
    })
}

/// The first three numbers; missing ones are 0. `None` when there is not even one.
fn three_parts(version: &str) -> Option<String> {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut parts = version[..end].split('.').map(|part| part.get(..part.len().min(9)).unwrap_or_default());
    let major = parts.next().filter(|part| !part.is_empty())?;
    let mut out = major.to_owned();
    for _ in 0..2 {
        let part = parts.next().filter(|part| !part.is_empty()).unwrap_or("0");
        let _ = write!(out, ".{part}");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart() {
        let webkit = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)";
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let android = "Mozilla/5.0 (Linux; Android 13; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko)";
        let cases = [
            (format!("{webkit} Chrome/91.0.4472.164 Safari/537.36"), "Chrome", "91.0.4472"),
            (format!("{webkit} HeadlessChrome/120.0.6099.28 Safari/537.36"), "Chrome", "120.0.6099"),
            (format!("{webkit} Chrome/91.0.4472.124 Safari/537.36 Edg/91.0.864.59"), "Edge", "91.0.864"),
            (format!("{webkit} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763"), "Edge", "18.17763.0"),
            (format!("{webkit} Chrome/106.0.0.0 Safari/537.36 OPR/92.0.0.0"), "Opera", "92.0.0"),
            (format!("{webkit} Version/16.5 Safari/605.1.15"), "Safari", "16.5.0"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0".to_owned(), "Firefox", "115.0.0"),
            (format!("{phone} Version/16.5.1 Mobile/15E148 Safari/604.1"), "Safari", "16.5.1"),
            (format!("{phone} CriOS/114.0.5735.99 Mobile/15E148 Safari/604.1"), "Chrome", "114.0.5735"),
            (format!("{phone} FxiOS/114.1 Mobile/15E148 Safari/605.1.15"), "Firefox", "114.1.0"),
            (format!("{phone} Version/16.0 EdgiOS/113.0.1774.50 Mobile/15E148 Safari/604.1"), "Edge", "113.0.1774"),
            (format!("{phone} OPT/3.4.1 Mobile/15E148"), "Opera", "3.4.1"),
            (format!("{android} Chrome/114.0.0.0 Mobile Safari/537.36"), "Chrome", "114.0.0"),
            (
                format!("{android} SamsungBrowser/21.0 Chrome/110.0.5481.154 Mobile Safari/537.36"),
                "Samsung Internet",
                "21.0.0",
            ),
            (format!("{android} Chrome/113.0.0.0 Mobile Safari/537.36 EdgA/113.0.1774.38"), "Edge", "113.0.1774"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko".to_owned(),
                "Internet Explorer",
                "11.0.0",
            ),
            (format!("{webkit} Chrome/x Safari/537.36"), "Chrome", ""),
            ("curl/8.0".to_owned(), "", ""),
            ("NotChrome/1.2.3".to_owned(), "", ""),
            ("Grüße Firefox/1".to_owned(), "Firefox", "1.0.0"),
            (String::new(), "", ""),
        ];
        for (user_agent, name, version) in cases {
            let browser = parse(&user_agent);
            assert_eq!((browser.name, browser.version.as_str()), (name, version), "{user_agent}");
        }
    }
}
