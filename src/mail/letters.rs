//! What a mail says. A letter's template is plain text: its first line is the subject, empty lines separate paragraphs,
//! and a paragraph that is a link becomes a button in the HTML form. So both forms say the same.

use minijinja::{AutoEscape, Environment, Value, context};

/// A mail's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// For mail readers without HTML.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// Why somebody is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// They may join a subscription.
    Invitation {
        /// Who invites.
        by: &'a str,
        /// The subscription's name.
        subscription: &'a str,
        /// The token of the link.
        token: &'a str,
    },
    /// They asked for another password.
    PasswordReset {
        /// The token of the link.
        token: &'a str,
    },
    /// Their password was changed.
    PasswordChanged,
    /// They gave this address as their new one.
    EmailChange {
        /// The token of the link.
        token: &'a str,
    },
    /// Their address was changed: this goes to the old one.
    EmailChanged {
        /// The new address.
        to: &'a str,
    },
    /// Deliveries to a webhook of theirs are failing.
    WebhookWarning {
        /// The webhook's id and name.
        webhook: (&'a str, &'a str),
        /// Deliveries that failed in a row.
        failed: u64,
        /// When the first of them failed.
        since: &'a str,
        /// What the receiver last answered.
        answers: &'a str,
    },
    /// A webhook of theirs was turned off.
    WebhookTurnedOff {
        /// The webhook's id and name.
        webhook: (&'a str, &'a str),
        /// Why, as a part of a sentence.
        why: &'a str,
        /// What the receiver last answered.
        answers: &'a str,
    },
    /// The second factor was switched on or off.
    SecondFactor {
        /// Whether it is on now.
        on: bool,
    },
}

/// Writes letters.
#[derive(Debug, Clone)]
pub struct Letters {
    templates: Environment<'static>,
    public_url: String,
}

const TEMPLATES: [(&str, &str); 9] = [
    ("invitation.txt", include_str!("letters/invitation.txt")),
    ("password_reset.txt", include_str!("letters/password_reset.txt")),
    ("password_changed.txt", include_str!("letters/password_changed.txt")),
    ("email_change.txt", include_str!("letters/email_change.txt")),
    ("email_changed.txt", include_str!("letters/email_changed.txt")),
    ("second_factor.txt", include_str!("letters/second_factor.txt")),
    ("webhook_warning.txt", include_str!("letters/webhook_warning.txt")),
    ("webhook_turned_off.txt", include_str!("letters/webhook_turned_off.txt")),
    ("letter.html", include_str!("letters/letter.html")),
];

impl Letters {
    /// Letters whose links start with this URL.
    #[expect(clippy::expect_used, reason = "the templates are part of the program, and a test writes every letter")]
    pub fn new(public_url: &str) -> Self {
        let mut templates = Environment::new();
        templates.set_auto_escape_callback(
            |name| {
                if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
            },
        );
        for (name, source) in TEMPLATES {
            templates.add_template(name, source).expect("a template of ours");
        }
        Self { templates, public_url: public_url.trim_end_matches('/').to_owned() }
    }

    /// The page of a link: `page` is a path of the console.
    pub fn link(&self, page: &str, token: &str) -> String {
        format!("{}/{page}?token={token}", self.public_url)
    }

    /// Writes one.
    pub fn write(&self, occasion: Occasion<'_>) -> Letter {
        let url = &self.public_url;
        let (template, values) = match occasion {
            Occasion::Invitation { by, subscription, token } => {
                ("invitation.txt", context! { by, subscription, url, link => self.link("invitation", token) })
            }
            Occasion::PasswordReset { token } => {
                ("password_reset.txt", context! { url, link => self.link("password-reset", token) })
            }
            Occasion::PasswordChanged => ("password_changed.txt", context! { url }),
            Occasion::EmailChange { token } => {
                ("email_change.txt", context! { url, link => self.link("email-change", token) })
            }
            Occasion::EmailChanged { to } => ("email_changed.txt", context! { url, to }),
            Occasion::WebhookWarning { webhook: (id, webhook), failed, since, answers } => {
                let link = format!("{url}/webhooks/{id}");
                ("webhook_warning.txt", context! { url, webhook, failed, since, answers, link })
            }
            Occasion::WebhookTurnedOff { webhook: (id, webhook), why, answers } => {
                let link = format!("{url}/webhooks/{id}");
                ("webhook_turned_off.txt", context! { url, webhook, why, answers, link })
            }
            Occasion::SecondFactor { on } => ("second_factor.txt", context! { url, on }),
        };
        let written = self.render(template, values);
        let (subject, text) = written.split_once('\n').unwrap_or((&written, ""));
        let text = text.trim().to_owned();
        let paragraphs: Vec<Value> = text.split("\n\n").map(|text| paragraph(text, url)).collect();
        let html = self.render("letter.html", context! { subject, paragraphs });
        Letter { subject: subject.to_owned(), text: format!("{text}\n"), html }
    }

    #[expect(clippy::expect_used, reason = "the templates are part of the program, and a test writes every letter")]
    fn render(&self, template: &str, values: Value) -> String {
        self.templates.get_template(template).and_then(|found| found.render(values)).expect("a template of ours")
    }
}

/// A paragraph for the HTML form. Only a link of ours is made one: a name that looks like a link stays text.
fn paragraph(text: &str, public_url: &str) -> Value {
    let is_link = text.starts_with(&format!("{public_url}/")) && !text.contains(char::is_whitespace);
    context! { text, is_link }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters() -> Letters {
        Letters::new("https://fanfare.example/")
    }

    #[test]
    fn every_letter_says_the_same_in_both_forms() {
        let every = [
            Occasion::Invitation { by: "Ada", subscription: "Acme", token: "t-1" },
            Occasion::PasswordReset { token: "t-1" },
            Occasion::PasswordChanged,
            Occasion::EmailChange { token: "t-1" },
            Occasion::EmailChanged { to: "new@example.com" },
            Occasion::SecondFactor { on: true },
            Occasion::WebhookWarning { webhook: ("wh_1", "Hook"), failed: 10, since: "then", answers: "a\nb" },
            Occasion::WebhookTurnedOff { webhook: ("wh_1", "Hook"), why: "all failed", answers: "a\nb" },
            Occasion::SecondFactor { on: false },
        ];
        for occasion in every {
            let letter = letters().write(occasion);
            assert!(!letter.subject.is_empty() && letter.subject.len() < 100 && !letter.subject.contains('\n'));
            assert!(letter.text.contains("https://fanfare.example"), "{occasion:?} says where it comes from");
            assert!(!letter.text.contains("\n\n\n") && !letter.text.starts_with('\n'), "{}", letter.text);
            for line in letter.text.lines().filter(|line| !line.contains(['\'', '"'])) {
                assert!(letter.html.contains(&line.replace('/', "&#x2f;")), "{line}\n{}", letter.html);
            }
        }
    }

    #[test]
    fn a_letter() {
        let letter = letters().write(Occasion::PasswordReset { token: "tok" });
        insta::assert_snapshot!(format!("{}\n\n{}\n{}", letter.subject, letter.text, letter.html));
    }

    #[test]
    fn names_are_text_and_nothing_else() {
        let by = "https://fanfare.example/evil?token=x <b>";
        let letter = letters().write(Occasion::Invitation { by, subscription: "{{ link }}", token: "t" });
        assert!(letter.text.contains(by) && letter.text.contains("{{ link }}"));
        assert!(letter.html.contains("&lt;b&gt;") && !letter.html.contains("<b>"));
        assert_eq!(letter.html.matches("<a ").count(), 1, "the link of the invitation only: {}", letter.html);
    }
}
