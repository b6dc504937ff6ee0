//! Every bound that is not a setting, by name and with its unit. What an operator may want to change is in
//! `config.default.toml` instead.

use std::time::Duration;

/// Largest body of an intake request (docs/intake.md).
pub const INTAKE_BODY_BYTES: usize = 1024 * 1024;

/// Most items of one agent batch (docs/intake.md).
pub const BATCH_ITEMS: usize = 500;

/// How deep a caller's own properties may be nested. `JSON.parse` in receivers has limits of its own far above it.
pub const PROPERTIES_DEPTH: usize = 64;

/// Longest visitor, account, guide, step or item id and longest name, in bytes.
pub const ID_BYTES: usize = 1024;

/// Largest body of one event as it is sent.
pub const EVENT_BODY_BYTES: usize = 1024 * 1024;

/// Of a User-Agent, this is kept; real ones are below 300 bytes.
pub const USER_AGENT_BYTES: usize = 1024;

/// Visitors and accounts that intake remembers to have been seen, so that it need not ask the store; about 20 bytes each.
pub const SEEN_CACHE: usize = 1_000_000;

/// A visitor's last visit is written at most this often.
pub const VISIT_EVERY: Duration = Duration::from_secs(60);

/// Visits that intake remembers to have written lately; about 30 bytes each.
pub const VISITS_REMEMBERED: usize = 200_000;

/// Largest metadata that one call may bring for a visitor or an account, in bytes, and the largest that one group keeps.
pub const METADATA_BYTES: usize = 32 * 1024;

/// Groups of metadata that one visitor or account may have.
pub const METADATA_GROUPS: usize = 32;

/// Longest name of a group, and of a field in it, in bytes.
pub const METADATA_GROUP_BYTES: usize = 64;
/// See [`METADATA_GROUP_BYTES`].
pub const METADATA_NAME_BYTES: usize = 256;

/// Rows of one batch of the Metadata API, and the batch's bytes (docs/metadata.md).
pub const METADATA_ROWS: usize = 10_000;
/// See [`METADATA_ROWS`].
pub const METADATA_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Batches of the Metadata API that are in memory at a time; further ones wait for their turn.
pub const METADATA_BATCHES: usize = 4;

/// NPS ratings that may wait for their reason at a time; beyond it intake answers 503.
pub const HELD_RATINGS: usize = 100_000;

/// Held ratings that leave together in one group.
pub const HELD_RATINGS_GROUP: usize = 64;

/// How far a device's clock may be off before its times are corrected: no clock is right to the second, and a batch takes a
/// while to arrive.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Oldest event that is accepted.
pub const EVENT_AGE_DAYS: u64 = 7;

/// Of a response, at most this is read; reaching it completes the response (docs/delivery.md).
pub const RESPONSE_READ_BYTES: usize = 64 * 1024;

/// Of a response's body, this is kept.
pub const RESPONSE_KEPT_BYTES: usize = 16 * 1024;

/// Of a response's headers, this is kept; hyper itself refuses more than 100 of them.
pub const RESPONSE_HEADERS_BYTES: usize = 8 * 1024;

/// Largest head of a response that is read at all.
pub const RESPONSE_HEAD_BYTES: usize = 64 * 1024;

/// Longest `Retry-After` that is respected, in seconds.
pub const RETRY_AFTER_S: u64 = 3600;

/// Answers in a row, none of which accepted what was sent, after which a receiver is one in trouble (docs/delivery.md).
pub const TROUBLE_AFTER_ERRORS: u32 = 10;

/// What waits in memory to be written to the journal; beyond it intake answers 503.
pub const JOURNAL_PENDING_BYTES: usize = 32 * 1024 * 1024;

/// Most bytes that one journal write takes together.
pub const JOURNAL_WRITE_BYTES: usize = 4 * 1024 * 1024;

/// The least time from the beginning of one journal write to that of the next, in microseconds. A sync costs as much as
/// a few events: under load, writes of more cost a sixth less CPU per event; a single event on a quiet server waits for
/// nothing.
pub const JOURNAL_WRITE_DISTANCE_US: u64 = 500;

/// How long records (outcomes, checkpoints) wait for others, in microseconds, while nobody waits for them. It is about
/// as long as a request is in flight, so that a crash repeats hardly more than what was in flight.
pub const JOURNAL_RECORD_PAUSE_US: u64 = 1000;

/// What waits for the journal's next write makes it begin at once, in bytes.
pub const JOURNAL_URGENT_BYTES: usize = 256 * 1024;

/// Most entries of a group, where each is a message of its own: of a batch of 500 items that all are of somebody new.
pub const JOURNAL_GROUP_ENTRIES: usize = 5000;

/// Recent entries that the journal keeps in memory for readers at the head.
pub const JOURNAL_TAIL_BYTES: usize = 16 * 1024 * 1024;

/// What one read of the journal returns at most, unless a single group is larger.
pub const JOURNAL_READ_BYTES: usize = 256 * 1024;

/// Lanes that read the journal at a time; the others wait their turn.
pub const BACKLOG_READS: usize = 4;

/// Events that were read for lanes that are behind and are kept for others, in bytes.
pub const BACKLOG_BYTES: usize = 32 * 1024 * 1024;

/// Events that a lane looks at in one go.
pub const BACKLOG_LOOKS: usize = 4096;

/// Events that wait in memory for one lane; a lane with more reads the journal.
pub const LANE_QUEUE_EVENTS: usize = 256;

/// Events of an ordered lane that are parked behind earlier ones of their visitors (docs/delivery.md); at that number the
/// lane waits when the next event would be one more. Each checkpoint names them, at some bytes each.
pub const LANE_PARKED_EVENTS: usize = 1024;

/// Bytes of their bodies that are kept in memory for one lane; the others are read from the journal again.
pub const LANE_PARKED_BYTES: usize = 1024 * 1024;

/// Bytes of event bodies that wait in memory for all lanes together; beyond it lanes read the journal.
pub const LANE_QUEUES_BYTES: usize = 256 * 1024 * 1024;

/// Bytes of events that are carried on at a time: what retries need of the part that the journal is about to delete.
pub const CARRIED_AT_ONCE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a receiver's answer that are shown with a webhook's turning off, at most.
pub const EXCERPT_BYTES: usize = 512;

/// Rows of a list when the caller names no number, and the most that may be named.
pub const PAGE_DEFAULT: usize = 50;
/// See [`PAGE_DEFAULT`].
pub const PAGE_MAX: usize = 500;

/// Longest life of a connection to a receiver, in seconds: after it the name is resolved and judged again.
pub const CONNECTION_AGE_S: u64 = 300;

/// Name lookups at a time: each takes a thread until the system's resolver gives up.
pub const DNS_LOOKUPS: usize = 32;

/// Addresses of one name that are tried at most.
pub const CONNECT_ADDRESSES: usize = 8;

/// How long one address may stay silent before the next one is tried beside it, in milliseconds (RFC 8305).
pub const CONNECT_STAGGER_MS: u64 = 250;

/// How long a token server may take for its answer, in seconds; it is a part of the attempt's own deadline.
pub const TOKEN_TIMEOUT_S: u64 = 30;

/// Largest answer of a token server, and the longest token in it, in bytes.
pub const TOKEN_ANSWER_BYTES: usize = 64 * 1024;
/// See [`TOKEN_ANSWER_BYTES`].
pub const TOKEN_BYTES: usize = 16 * 1024;

/// How long a token is used whose server does not say how long it holds, and how long one is used at most, in seconds.
pub const TOKEN_DEFAULT_S: u64 = 300;
/// See [`TOKEN_DEFAULT_S`].
pub const TOKEN_MAX_S: u64 = 24 * 3600;

/// So long before its end a token is used no more, in seconds; a tenth of its time where that is less.
pub const TOKEN_MARGIN_S: u64 = 60;

/// Largest answer of a proxy to CONNECT, in bytes.
pub const PROXY_HEAD_BYTES: usize = 8 * 1024;

/// Smallest segment file of the journal, in bytes: a header, a footer and something between.
pub const JOURNAL_SEGMENT_MIN_BYTES: u64 = 16 * 1024;

/// Segment files that the journal holds open for readers, each with its index in memory (64 KiB for 64 MiB).
pub const JOURNAL_OPEN_SEGMENTS: usize = 64;

/// Longest name of a webhook, in characters.
pub const WEBHOOK_NAME_CHARS: usize = 255;

/// Longest secret of a webhook, in bytes.
pub const WEBHOOK_SECRET_BYTES: usize = 4096;

/// A webhook's total deadline, in seconds (docs/delivery.md).
pub const WEBHOOK_TIMEOUT_S: std::ops::RangeInclusive<u32> = 1..=300;

/// A webhook's requests in flight.
pub const WEBHOOK_CONCURRENCY: std::ops::RangeInclusive<u32> = 1..=1000;

/// Requests a second to one webhook, where it names a number.
pub const WEBHOOK_RATE_PER_S: std::ops::RangeInclusive<u32> = 1..=100_000;

/// Further headers of a webhook's requests.
pub const WEBHOOK_HEADERS: usize = 50;

/// Longest template of a webhook's format, in bytes.
pub const TEMPLATE_BYTES: usize = 32 * 1024;

/// Longest filter of a webhook, in bytes.
pub const FILTER_BYTES: usize = 4096;

/// How deep a filter's parts may be nested.
pub const FILTER_DEPTH: usize = 32;

/// What looking at one event may cost a filter, in steps: a part of it that is evaluated, an element of a list, some
/// characters of a text. At 40 ns each they take 0.4 ms; a usual filter takes ten of them.
pub const FILTER_STEPS: u32 = 10_000;

/// Events that a filter is tried against.
pub const FILTER_TRY_EVENTS: usize = 100;
/// How much work a template may do for one event, in MiniJinja's fuel: one for a step, and for 64 bytes that are made. It is
/// what passing on the largest event takes, some ten milliseconds at most.
pub const TEMPLATE_FUEL: u64 = 320_000;

/// Largest message that Segment takes: "32 KB", which its own libraries count so (docs/segment.md).
pub const SEGMENT_MESSAGE_BYTES: usize = 32 * 1024;

/// Of a body that was given another form, this is kept with its attempt.
pub const SENT_BODY_KEPT_BYTES: usize = 16 * 1024;

/// Longest client certificate with what leads to its root, in bytes of PEM.
pub const CERTIFICATE_BYTES: usize = 32 * 1024;

/// Streams of deliveries that may be open at a time (docs/api.md), in all and by those of one subscription: each asks the
/// records for what is new, four times a second at most.
pub const LIVE_STREAMS: usize = 64;
/// See [`LIVE_STREAMS`].
pub const LIVE_STREAMS_PER_SUBSCRIPTION: usize = 16;

/// Rows that a stream sends at a time; of what is new beyond it, only the number is told.
pub const LIVE_ROWS: usize = 100;

/// New rows that a stream counts at a time; beyond it, it says "at least".
pub const LIVE_COUNTED: usize = 500;

/// Deliveries of which a stream tells how their retries go: the newest ones that wait.
pub const LIVE_WATCHED: usize = 100;

/// The least time between two looks of a stream at the records.
pub const LIVE_PACE: Duration = Duration::from_millis(250);

/// So often a stream says that it is there, when nothing is new.
pub const LIVE_BEAT: Duration = Duration::from_secs(5);

/// So often a stream asks whether its caller may still read, when there is something to send.
pub const LIVE_ASK: Duration = Duration::from_secs(1);

/// A stream ends after so long; whoever still looks opens the next one.
pub const LIVE_TTL: Duration = Duration::from_secs(15 * 60);

/// Steps of a webhook's figures that one call answers: a day by the minute.
pub const FIGURE_STEPS: i64 = 1440;

/// Apps of one subscription.
pub const APPS: usize = 1_000;

/// Origins of one app.
pub const APP_ORIGINS: usize = 100;

/// How long an old agent key or track secret may open beside the new one, in seconds: 30 days.
pub const KEY_OVERLAP_MAX_S: u64 = 30 * 24 * 3600;

/// Integration keys of one subscription.
pub const KEYS: usize = 1_000;

/// An admin may turn a webhook on again by reviewing its log while its last error is not older than this many days.
pub const REVIEW_DAYS: u64 = 14;

/// Webhooks of one subscription.
pub const WEBHOOKS: usize = 100_000;

/// Addresses (networks, for IPv6) whose wrong keys are counted one by one; those beyond share one count.
pub const WRONG_KEY_ADDRESSES: usize = 10_000;

/// Longest key that is looked at, in bytes; ours are far below it.
pub const KEY_BYTES: usize = 256;

/// Test requests that wait for their receivers at a time (docs/api.md).
pub const TESTS_IN_FLIGHT: usize = 64;

/// How long a test waits for its receiver, in seconds (docs/api.md).
pub const TEST_TIMEOUT_S: u64 = 30;

/// Valid keys whose calls are counted one by one; those beyond share one count.
pub const CALLERS_COUNTED: usize = 10_000;

/// Users of one subscription, removed ones not counted.
pub const USERS: usize = 10_000;

/// Sessions of one user; at the next sign-in the oldest ends.
pub const SESSIONS_PER_USER: usize = 50;

/// Of a browser's name this many bytes are kept with its session.
pub const SESSION_USER_AGENT_BYTES: usize = 256;

/// Fewest characters of a password.
pub const PASSWORD_MIN_CHARS: usize = 12;

/// Most bytes of a password: hashing it costs time.
pub const PASSWORD_MAX_BYTES: usize = 1024;

/// Passwords that are hashed at the same time. Each takes 19 MiB and a core for some ten milliseconds.
pub const PASSWORDS_HASHED_AT_ONCE: usize = 2;

/// How long the link of an invitation opens.
pub const INVITATION_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the link for another password opens.
pub const PASSWORD_RESET_TTL: Duration = Duration::from_secs(3600);

/// How long the link that confirms an e-mail address opens.
pub const EMAIL_CHANGE_TTL: Duration = Duration::from_secs(24 * 3600);

/// Recovery codes of a second factor.
pub const RECOVERY_CODES: usize = 10;

/// How long a mail that was sent or given up stays in the outbox.
pub const MAIL_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Mails in the outbox; beyond it the oldest are forgotten.
pub const MAILS: usize = 10_000;

/// Requests that the inspector keeps of one subscription.
pub const INSPECTED: usize = 100;

/// Of each of them this much of the body.
pub const INSPECTED_BODY_BYTES: usize = 16 * 1024;

/// Subscriptions whose requests it keeps; beyond it those of the one that received none for longest go.
pub const INSPECTORS: usize = 20;

/// After so long one more wrong password for an account is taken.
pub const SIGN_IN_ACCOUNT_PAUSE: Duration = Duration::from_secs(90);

/// After so long one more wrong password from an address is taken.
pub const SIGN_IN_ADDRESS_PAUSE: Duration = Duration::from_secs(15);

/// Accounts and addresses whose wrong passwords are counted one by one; those beyond share one count.
pub const SIGN_INS_COUNTED: usize = 10_000;

/// How long a signature of the operator's command line opens its call.
pub const OPERATOR_CALL_TTL: Duration = Duration::from_secs(60);

/// Signatures remembered for that long, so that none opens twice; beyond it calls are refused.
pub const OPERATOR_CALLS_REMEMBERED: usize = 10_000;

/// How long a node's word holds of whom a request came from that it passes on (docs/cluster.md).
pub const PEER_WORD_TTL: Duration = Duration::from_secs(60);

/// How long a node may take to say whether it reaches the journal.
pub const PEER_JOURNAL_PATIENCE: Duration = Duration::from_secs(20);

/// How long a node waits for another one to be active before it refuses a request.
pub const PEER_PATIENCE: Duration = Duration::from_secs(20);

/// Bodies up to this size are kept until they were passed on, so that they can be passed on again; larger ones go through
/// as they come.
pub const PEER_KEPT_BODY_BYTES: usize = 1024 * 1024;

/// The longest address of a node, in bytes: PostgreSQL keeps 63 of a connection's name, and other nodes learn it from there.
pub const NODE_ADDRESS_BYTES: usize = 48;

/// Handshakes between nodes at a time: anybody can begin one.
pub const PEER_HANDSHAKES: usize = 64;

/// How often nodes give each other a sign.
pub const PEER_SIGN_EVERY: Duration = Duration::from_secs(1);

/// Without a sign for so long another node counts as gone.
pub const PEER_SILENCE: Duration = Duration::from_secs(4);

/// The longest message between nodes.
pub const PEER_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// A node forgets the receiver of another one's webhook after it was not asked for it for so long.
pub const PEER_RECEIVER_UNUSED: Duration = Duration::from_secs(120);

/// Visitors and accounts of one subscription that must not be processed (docs/privacy.md).
pub const DO_NOT_PROCESS: usize = 100_000;

/// Jobs that forget somebody and are not done, of one subscription; and those that are done and still shown.
pub const FORGET_JOBS: usize = 10_000;

/// Guides of one subscription, archived ones too.
pub const GUIDES: usize = 10_000;

/// Steps of one guide, polls of one step, and choices of one poll.
pub const GUIDE_STEPS: usize = 100;
/// See [`GUIDE_STEPS`].
pub const STEP_POLLS: usize = 50;
/// See [`GUIDE_STEPS`].
pub const POLL_CHOICES: usize = 200;

/// Longest question of a poll and text of a choice, in bytes.
pub const POLL_TEXT_BYTES: usize = 4096;

/// Longest text of a guide's step, in bytes.
pub const GUIDE_TEXT_BYTES: usize = 16 * 1024;

/// Longest selector of the element that a guide's step points at, in bytes.
pub const GUIDE_SELECTOR_BYTES: usize = 1024;

/// Pages that a guide names.
pub const GUIDE_PAGES: usize = 100;

/// Most days after which a guide comes again.
pub const GUIDE_EVERY_DAYS: u32 = 365;

/// Longest time for which a visitor puts a guide off.
pub const GUIDE_SNOOZE: Duration = Duration::from_secs(30 * 24 * 3600);

/// For how long it is kept what anonymous visitors did with guides: nobody forgets them otherwise.
pub const ANONYMOUS_GUIDES: Duration = Duration::from_secs(400 * 24 * 3600);

/// Visitors of whom it is remembered that what they did with a guide may not be in the store yet.
pub const GUIDE_NEWS: usize = 10_000;

/// Largest guide as JSON: each of its events carries its steps.
pub const GUIDE_BYTES: usize = 128 * 1024;

/// Exclusions of one subscription (docs/intake.md).
pub const EXCLUSIONS: usize = 10_000;

/// Replays of one subscription that may be under way or waiting for their turn.
pub const REPLAYS: usize = 100;

/// Deliveries of one replay that may be unfinished at a time: what a lane keeps of it in memory.
pub const REPLAY_WINDOW: usize = 1000;

/// Entries of the journal that are looked at to tell what a webhook has missed: some seconds at most.
pub const MISSED_ENTRIES: u64 = 2_000_000;

/// Prepared statements that a connection to the store keeps: there are some hundred texts, and a few that are put together.
pub const STATEMENTS: usize = 256;

/// Statements on their way to a server whose answers are not waited for one by one.
pub const STATEMENTS_ON_THEIR_WAY: usize = 500;
