//! Samples: the events as receivers know them from the documentation, the test's `ping`, and the calls by which a
//! running intake is made to raise each event (docs/events.md).

use super::body::{self, Answer, Audit, Envelope, NpsSource, Properties, Step, sample_group};
use super::canonical::append_string;
use super::user_agent;
use crate::catalog::Subscription;
use crate::clock::Random;
use crate::model::{
    AppId, EventKind, GuideProperties, GuideStep, Platform, PollType, SubscriptionId, UniqueId, UnixMs, UserRef,
};
use std::borrow::Cow;

/// The browser of every sample.
pub const USER_AGENT: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
                              Chrome/91.0.4472.164 Safari/537.36";

const ACCOUNT: &str = "Webhook Account";
const VISITOR: &str = "Webhook Visitor";
const NPS_REASON: &[u8] = b"\"Keep up the great work!\"";
const TRACK_NAME: &[u8] = b"\"Account Upgraded\"";
const TRACK_PROPERTIES: &[u8] = b"{\"fromTier\":\"basic\",\"toTier\":\"pro\"}";

/// A message for the Test button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its `uniqueId`.
    pub unique_id: UniqueId,
    /// Its body.
    pub body: Vec<u8>,
}

/// The test's `ping`.
pub fn ping(subscription: &Subscription, now: UnixMs, random: &dyn Random) -> Sample {
    let unique_id = random_id(random);
    let envelope = test_envelope(subscription, "ping", "", now, unique_id);
    Sample { unique_id, body: body::write(&envelope, Properties::None) }
}

/// A sample of an event for the test: the documentation's properties in the test's envelope.
pub fn test_event(kind: EventKind, subscription: &Subscription, now: UnixMs, random: &dyn Random) -> Sample {
    let unique_id = random_id(random);
    let envelope = test_envelope(subscription, kind.name(), USER_AGENT, now, unique_id);
    Sample { unique_id, body: write(kind, &envelope, sample_group(VISITOR)) }
}

/// The body of the documentation's sample of an event, with exactly its ids and times.
pub fn documented(kind: EventKind) -> Vec<u8> {
    let (subscription, timestamp_s, unique_id) = match kind {
        EventKind::GuideDisplayed => (SUBSCRIPTION, 1_626_803_876, "f9610795860d89fe29491846fe297bcc922e460b"),
        EventKind::PollDisplayed => (SUBSCRIPTION, 1_626_803_876, "3373ffb08b355be4e53e3816a84a7bcdd4fbc6ed"),
        EventKind::PollSubmitted => (SUBSCRIPTION, 1_626_803_991, "fbd70226173184006adc31b810b93f36bb52ec02"),
        EventKind::NpsDisplayed => (SUBSCRIPTION, 1_626_804_384, "b1f15067d47df50a1207dc2d0ce6171a40f8304e"),
        EventKind::NpsSubmitted => (SUBSCRIPTION, 1_626_804_431, "ccb0f95474ae8b630ede92f8f8dbac03cddfc1c3"),
        EventKind::VisitorCreated => {
            (SubscriptionId(4_802_463_602_049_024), 1_626_803_875, "1a2c20ed531bf920781d7f1449968b772840e36c")
        }
        EventKind::AccountCreated => (SUBSCRIPTION, 1_626_803_875, "38993a6dd7ff256c0112528ca44b291255603647"),
        EventKind::TrackEventReceived => (SUBSCRIPTION, 1_626_804_144, "75c32838012a8311fba2b902857c2e848d98f457"),
        EventKind::AuditRecorded => (SUBSCRIPTION, 1_626_804_144, "2f7f4a0cfb1e8d8f5d6c0c9f5c3a0f3d9d8b7a61"),
    };
    let mut id = UniqueId([0; 20]);
    // The literals above are 40 hex digits each.
    let _ = hex::decode_to_slice(unique_id, &mut id.0);
    let envelope = Envelope {
        app_id: AppId::FIRST,
        app_name: "test_application",
        platform: Platform::Web,
        account_id: ACCOUNT,
        subscription_id: subscription,
        subscription_name: "test_application",
        user_agent: USER_AGENT,
        event: kind.name(),
        occurred_at: UnixMs(timestamp_s * 1000),
        visitor_id: VISITOR,
        unique_id: id,
    };
    write(kind, &envelope, 17)
}

const SUBSCRIPTION: SubscriptionId = SubscriptionId(4_802_463_602_049_999);

/// The batch for `POST /data/events` that makes intake raise the event `kind` for `visitor_id` and `account_id` (which
/// must be new for the two first-seen events). Without a kind: all that an agent can raise.
pub fn agent_batch(kind: Option<EventKind>, visitor_id: &str, account_id: &str, now: UnixMs) -> String {
    let bodies = match kind {
        Some(kind) => vec![agent_item(kind)],
        // One sighting raises the three events of display, and its visitor the two of first sight.
        None => vec![
            identify(),
            agent_item(EventKind::TrackEventReceived),
            guide_seen(&poll_step(), ",\"stepPollTypes\":[\"NumberScale\",\"NPSRating\"]"),
            agent_item(EventKind::PollSubmitted),
            agent_item(EventKind::NpsSubmitted),
        ],
    };
    let who = format!(
        "\"visitorId\":{},\"accountId\":{},\"browserTime\":{},\"userAgent\":{}",
        quoted(visitor_id),
        quoted(account_id),
        now.0,
        quoted(USER_AGENT),
    );
    let items: Vec<String> = bodies.iter().map(|body| format!("{{{body},{who}}}")).collect();
    format!("{{\"agentVersion\":\"2.33.0\",\"events\":[{}]}}", items.join(","))
}

/// The body for `POST /data/track` that makes intake raise trackEventReceived.
pub fn track_call(visitor_id: &str, account_id: &str, now: UnixMs) -> String {
    format!(
        "{{\"type\":\"track\",\"event\":{},\"visitorId\":{},\"accountId\":{},\"timestamp\":{},\"properties\":{},\
         \"context\":{{\"userAgent\":{}}}}}",
        String::from_utf8_lossy(TRACK_NAME),
        quoted(visitor_id),
        quoted(account_id),
        now.0,
        String::from_utf8_lossy(TRACK_PROPERTIES),
        quoted(USER_AGENT),
    )
}

/// An item's own part, without who did it and when.
fn agent_item(kind: EventKind) -> String {
    match kind {
        // No item raises the last one, which comes from the audit log.
        EventKind::VisitorCreated | EventKind::AccountCreated | EventKind::AuditRecorded => identify(),
        EventKind::TrackEventReceived => format!(
            "\"type\":\"track\",\"name\":{},\"properties\":{}",
            String::from_utf8_lossy(TRACK_NAME),
            String::from_utf8_lossy(TRACK_PROPERTIES)
        ),
        EventKind::GuideDisplayed => guide_seen(&poll_step(), ""),
        EventKind::PollDisplayed => guide_seen(&poll_step(), ",\"stepPollTypes\":[\"NumberScale\"]"),
        EventKind::NpsDisplayed => guide_seen(&nps_step(), ",\"stepPollTypes\":[\"NPSRating\"]"),
        EventKind::PollSubmitted => {
            let answers: Vec<String> = answers().iter().map(answer_json).collect();
            format!("\"type\":\"pollResponse\",{},\"responses\":[{}]", on_step(&poll_step()), answers.join(","))
        }
        EventKind::NpsSubmitted => {
            let reason = String::from_utf8_lossy(NPS_REASON);
            let step = on_step(&nps_step());
            format!("\"type\":\"npsResponse\",{step},\"rating\":9,\"reason\":{reason},\"source\":\"web\"")
        }
    }
}

fn identify() -> String {
    String::from("\"type\":\"identify\",\"visitor\":{}")
}

fn guide_seen(step: &Step, polls: &str) -> String {
    format!("\"type\":\"guideSeen\",{}{polls}", on_step(step))
}

fn on_step(step: &Step) -> String {
    // A struct of strings and numbers has no way to fail.
    let guide = serde_json::to_string(&step.guide).unwrap_or_default();
    format!(
        "\"guideId\":{},\"guideStepId\":{},\"language\":\"en-US\",\"guideProperties\":{guide}",
        quoted(&step.guide_id),
        quoted(&step.step_id)
    )
}

fn answer_json(answer: &Answer<'_>) -> String {
    format!(
        "{{\"pollId\":\"{}\",\"pollType\":\"{:?}\",\"response\":{},\"duration\":{}}}",
        answer.poll_id,
        answer.poll_type,
        String::from_utf8_lossy(&answer.response),
        answer.duration_ms
    )
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    append_string(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

fn random_id(random: &dyn Random) -> UniqueId {
    let mut id = UniqueId([0; 20]);
    random.fill(&mut id.0);
    id
}

fn test_envelope<'a>(
    subscription: &'a Subscription,
    event: &'a str,
    user_agent: &'a str,
    now: UnixMs,
    unique_id: UniqueId,
) -> Envelope<'a> {
    Envelope {
        app_id: AppId::FIRST,
        app_name: "webhook-test",
        platform: Platform::Web,
        account_id: ACCOUNT,
        subscription_id: subscription.id,
        subscription_name: &subscription.name,
        user_agent,
        event,
        occurred_at: now,
        visitor_id: VISITOR,
        unique_id,
    }
}

fn write(kind: EventKind, envelope: &Envelope<'_>, sample_group: u32) -> Vec<u8> {
    match kind {
        EventKind::GuideDisplayed | EventKind::PollDisplayed => {
            body::write(envelope, Properties::Displayed(&poll_step()))
        }
        EventKind::PollSubmitted => body::write(envelope, Properties::Poll(&poll_step(), &answers())),
        EventKind::NpsDisplayed => body::write(envelope, Properties::Displayed(&nps_step())),
        EventKind::NpsSubmitted => {
            let step = nps_step();
            let properties = Properties::Nps { step: &step, rating: 9, reason: NPS_REASON, source: NpsSource::Web };
            body::write(envelope, properties)
        }
        EventKind::VisitorCreated => {
            let browser = user_agent::parse(USER_AGENT);
            body::write(envelope, Properties::Visitor { browser: &browser, sample_group })
        }
        EventKind::AccountCreated => body::write(envelope, Properties::None),
        EventKind::TrackEventReceived => {
            let properties = Properties::Track { name: TRACK_NAME, properties: TRACK_PROPERTIES, source: "web" };
            body::write(envelope, properties)
        }
        EventKind::AuditRecorded => {
            let user = "jane@example.com";
            let audit = Audit {
                action: "webhook.changed",
                actor: ("user", "usr_1f", user),
                before: "{\"timeout_s\":300}",
                after: "{\"timeout_s\":30}",
                at: envelope.occurred_at,
                target: "wh_2b1210163a53a400",
            };
            let envelope = Envelope { account_id: "", visitor_id: user, user_agent: "", ..*envelope };
            body::write(&envelope, Properties::Audit(&audit))
        }
    }
}

fn guide(id: &str, name: &str, created_at: i64, last_updated_at: i64, steps: Vec<GuideStep>) -> GuideProperties {
    let user = UserRef { username: String::from("pendo-user@example.com") };
    GuideProperties {
        created_at,
        created_by_user: user.clone(),
        id: id.to_owned(),
        last_updated_at,
        last_updated_by_user: user,
        name: name.to_owned(),
        steps,
    }
}

fn guide_step(id: &str, last_updated_at: i64, reset_at: i64, kind: &str) -> GuideStep {
    GuideStep { id: id.to_owned(), last_updated_at, reset_at, kind: kind.to_owned() }
}

fn step(guide: GuideProperties) -> Step {
    let step_id = guide.steps.first().map(|step| step.id.clone()).unwrap_or_default();
    Step { guide_id: guide.id.clone(), guide, step_id, language: String::from("en-US") }
}

fn poll_step() -> Step {
    let steps = vec![guide_step("UgG7AtWEXNuvHBBcTqSQ8NxGvAU", 1_618_322_251_476, 1_617_633_741_117, "building-block")];
    step(guide("Kg92trd4yOzpDb2inI5eTOdcR0U", "Poll 1 - Test", 1_615_411_012_615, 1_618_322_253_073, steps))
}

fn nps_step() -> Step {
    let steps = vec![
        guide_step("WkaB4F2droQ5sSqd-FvC7H9coJQ", 1_619_546_765_626, 1_592_592_811_776, ""),
        guide_step("oFs_eA1lF61Ywsg0js945UcG798", 1_605_640_318_713, 1_592_592_811_776, ""),
    ];
    step(guide("FjHsQ7S8z0ircYxe3vO4GHawvwI", "Quarterly NPS", 1_591_024_335_185, 1_626_804_377_122, steps))
}

fn answers() -> [Answer<'static>; 4] {
    let answer = |poll_id, poll_type, response: &'static [u8]| Answer {
        duration_ms: 11_964,
        poll_id: Cow::Borrowed(poll_id),
        poll_type,
        response: Cow::Borrowed(response),
        place: None,
    };
    [
        answer("afxd8uayh4u", PollType::PositiveNegative, b"1"),
        answer("rtzh4txwz4f", PollType::NumberScale, b"2"),
        answer("pspats0sy5f", PollType::FreeForm, b"\"Open Text Answer\""),
        answer("braocb22n4j", PollType::PickList, b"\"Product Manager\""),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededRandom;
    use ring::hmac;

    /// The documentation's samples with the sizes and signatures that receivers were given for them.
    #[test]
    fn the_documented_samples_are_reproduced_byte_for_byte() {
        let vectors = [
            (917, "e4827757028d4b9472f4896afcd0dc66f740713548fec42b72b378ae0afd8450"),
            (916, "16f3b8da45c22dc538daf7825541b4a1c7252aec0c5c7d6f85b265f667dd2a72"),
            (1286, "01451c5cd277ac4fb28c2899b736a0a59c8fc93af4ab5de3e6cdc3e749cfa7c0"),
            (1002, "e17ceabf0bfacc2fb8a524d7c2436282e28c8fd679e637d53a4ce998a7dd1dc1"),
            (1071, "5dfb10f0cb82b2684347fbcedc6d028f5120d1bc54c76d75f6e1867431f8e155"),
            (512, "e11be1f3408b7c901aaac95db8ab02a9101fee04941c9f3b771591effd6bfc4b"),
            (444, "d49e342c7d4e72132fbabc33cb8a08236aa90b725ce1d05fc19de81cc997683a"),
            (542, "c8e7832f876c0d74a7680ac201a801aae617dfbb954cdc676ccceeb4ccae4477"),
        ];
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"It's a Secret to Everybody");
        for (kind, (bytes, signature)) in EventKind::TAKEN_IN.into_iter().zip(vectors) {
            let body = documented(kind);
            assert_eq!(body.len(), bytes, "{}", String::from_utf8_lossy(&body));
            assert_eq!(hex::encode(hmac::sign(&key, &body)), signature, "{kind:?}");
        }
    }

    #[test]
    fn a_ping_is_a_complete_envelope_of_the_real_subscription() {
        let subscription = Subscription { id: SubscriptionId(4_802_463_602_049_999), name: String::from("Acme") };
        let sample = ping(&subscription, UnixMs(1_626_803_876_999), &SeededRandom::new(1));
        let wanted = format!(
            r#"{{"app":{{"id":-323232,"name":"webhook-test","platform":"web"}},"accountId":"Webhook Account","subscription":{{"id":4802463602049999,"name":"Acme"}},"userAgent":"","event":"ping","properties":{{}},"timestamp":1626803876,"visitorId":"Webhook Visitor","uniqueId":"{}"}}"#,
            sample.unique_id
        );
        assert_eq!(String::from_utf8(sample.body).unwrap(), wanted);
        let visitor = test_event(EventKind::VisitorCreated, &subscription, UnixMs(0), &SeededRandom::new(1));
        assert!(String::from_utf8(visitor.body).unwrap().contains(r#""browserVersion":"91.0.4472","sampleGroup":2}"#));
    }
}
