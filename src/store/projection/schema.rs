//! The tables of `records.db`.

use crate::store::Migration;

/// The steps of the schema.
///
/// Keys that are positions are declared `INTEGER PRIMARY KEY`, which makes them SQLite's own row number: rows lie in
/// the order of the journal, so that appending is cheap and the oldest are found without an index of their own.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "records 1", sql: FIRST },
    Migration { name: "records 2: people", sql: PEOPLE },
    Migration { name: "records 3: health", sql: HEALTH },
    Migration { name: "records 4: replays", sql: REPLAYS },
    Migration { name: "records 5: filters", sql: FILTERS },
    Migration { name: "records 6: carried events", sql: CARRIED },
    Migration { name: "records 7: notices", sql: NOTICES },
    Migration { name: "records 8: figures", sql: FIGURES },
    Migration { name: "records 9: guides", sql: GUIDES },
];

/// What a webhook is told of is more than its categories.
const FILTERS: &str = "
    ALTER TABLE switches ADD COLUMN audit BOOLEAN NOT NULL DEFAULT FALSE;
    ALTER TABLE switches ADD COLUMN filter TEXT;
";

/// How long attempts took, as counts between bounds (`figures.rs` has them), and how long events had waited for their
/// first one, in minutes.
const FIGURES: &str = "
    ALTER TABLE minutes ADD COLUMN took_0 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_1 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_2 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_3 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_4 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_5 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_6 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_7 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_8 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_9 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_10 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN took_11 BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE minutes ADD COLUMN waited_max BIGINT NOT NULL DEFAULT 0;
    CREATE INDEX marks_by_position ON marks (position);
";

/// What visitors have done with guides: of a guide (step "") when it ended and until when it is put off, of a step when it was
/// answered. And who anonymous visitors turned out to be.
const GUIDES: &str = "
    CREATE TABLE guides (
        subscription BIGINT NOT NULL, visitor_id TEXT NOT NULL, guide_id TEXT NOT NULL, step_id TEXT NOT NULL,
        position BIGINT NOT NULL, at BIGINT NOT NULL, done_at BIGINT, snoozed_until BIGINT,
        PRIMARY KEY (subscription, visitor_id, guide_id, step_id)
    ) WITHOUT ROWID;
    CREATE INDEX guides_of_anonymous ON guides (at) WHERE visitor_id >= '_PENDO_T_' AND visitor_id < '_PENDO_T`';
    CREATE TABLE merged (
        subscription BIGINT NOT NULL, visitor_id TEXT NOT NULL, anonymous_id TEXT NOT NULL, position BIGINT NOT NULL,
        PRIMARY KEY (subscription, visitor_id, anonymous_id)
    ) WITHOUT ROWID;
    CREATE INDEX merged_by_position ON merged (position);
";

/// Where events stand that were carried on: by where they were accepted.
const CARRIED: &str = "CREATE TABLE carried (event INTEGER PRIMARY KEY, at BIGINT NOT NULL);";

/// What was said of failing webhooks: one of each incident.
const NOTICES: &str = "
    CREATE TABLE notices (
        position INTEGER PRIMARY KEY, incident BIGINT NOT NULL, webhook BIGINT NOT NULL, subscription BIGINT NOT NULL,
        is_warning BOOLEAN NOT NULL, at BIGINT NOT NULL, notice BLOB NOT NULL
    );
    CREATE UNIQUE INDEX notices_by_incident ON notices (incident);
    CREATE INDEX notices_by_subscription ON notices (subscription, position);
";

/// People as more than "seen", and where in the journal they are.
const PEOPLE: &str = "
    CREATE TABLE people (
        subscription BIGINT NOT NULL, kind SMALLINT NOT NULL, id TEXT NOT NULL, known_at BIGINT NOT NULL,
        seen_position BIGINT, first_visit BIGINT, last_visit BIGINT, browser_name TEXT, browser_version TEXT,
        account_id TEXT,
        PRIMARY KEY (subscription, kind, id)
    ) WITHOUT ROWID;
    INSERT INTO people (subscription, kind, id, known_at, seen_position, first_visit)
        SELECT subscription, 0, visitor_id, at, position, at FROM seen_visitors;
    INSERT INTO people (subscription, kind, id, known_at, seen_position, first_visit)
        SELECT subscription, 1, account_id, at, position, at FROM seen_accounts;
    DROP TABLE seen_visitors;
    DROP TABLE seen_accounts;
    CREATE TABLE metadata (
        subscription BIGINT NOT NULL, kind SMALLINT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
        fields TEXT NOT NULL,
        PRIMARY KEY (subscription, kind, id, name)
    );
    CREATE TABLE stretches (
        first_position INTEGER PRIMARY KEY, last_position BIGINT NOT NULL, people BLOB NOT NULL
    );
";

/// How webhooks are doing, and what is to be done about them.
const HEALTH: &str = "
    CREATE TABLE health (webhook INTEGER PRIMARY KEY, health BLOB NOT NULL);
    CREATE TABLE incidents (
        position INTEGER PRIMARY KEY, webhook BIGINT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL,
        failed BIGINT NOT NULL, deliveries BIGINT NOT NULL, since BIGINT NOT NULL
    );
";

/// Events that are sent once more, together. Deliveries of replays and redeliveries are found by their event.
const REPLAYS: &str = "
    CREATE TABLE replays (
        position INTEGER PRIMARY KEY, webhook BIGINT NOT NULL, subscription BIGINT NOT NULL, asked BLOB NOT NULL,
        last_event BIGINT NOT NULL, sent BIGINT NOT NULL, delivered BIGINT NOT NULL, failed BIGINT NOT NULL,
        ended TEXT, ended_at BIGINT, ended_position BIGINT
    );
    CREATE INDEX replays_by_webhook ON replays (webhook, position);
    CREATE INDEX replays_open ON replays (position) WHERE ended IS NULL;
    ALTER TABLE deliveries ADD COLUMN replay BIGINT;
    CREATE INDEX deliveries_of_replays ON deliveries (replay) WHERE replay IS NOT NULL AND next_attempt_at IS NOT NULL;
    CREATE INDEX deliveries_again ON deliveries (webhook, event) WHERE origin <> event;
";

const FIRST: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL) WITHOUT ROWID;
    CREATE TABLE marks (minute INTEGER PRIMARY KEY, position BIGINT NOT NULL);
    CREATE TABLE seen_visitors (
        subscription BIGINT NOT NULL, visitor_id TEXT NOT NULL, position BIGINT NOT NULL, at BIGINT NOT NULL,
        PRIMARY KEY (subscription, visitor_id)
    ) WITHOUT ROWID;
    CREATE TABLE seen_accounts (
        subscription BIGINT NOT NULL, account_id TEXT NOT NULL, position BIGINT NOT NULL, at BIGINT NOT NULL,
        PRIMARY KEY (subscription, account_id)
    ) WITHOUT ROWID;
    CREATE TABLE items (
        first_position INTEGER PRIMARY KEY, last_position BIGINT NOT NULL, last_at BIGINT NOT NULL,
        count BIGINT NOT NULL, items BLOB NOT NULL
    );
    CREATE TABLE held (
        position INTEGER PRIMARY KEY, subscription BIGINT NOT NULL, due BIGINT NOT NULL, draft BLOB NOT NULL
    );
    CREATE TABLE deliveries (
        listed INTEGER PRIMARY KEY, webhook BIGINT NOT NULL, origin BIGINT NOT NULL, event BIGINT NOT NULL,
        subscription BIGINT, kind SMALLINT, unique_id BLOB, state TEXT NOT NULL, attempts SMALLINT NOT NULL,
        status SMALLINT, reason SMALLINT, total_us BIGINT, created_at BIGINT NOT NULL, last_attempt_at BIGINT,
        updated_at BIGINT NOT NULL, next_attempt_at BIGINT
    );
    CREATE UNIQUE INDEX deliveries_by_id ON deliveries (webhook, origin);
    CREATE INDEX deliveries_by_webhook ON deliveries (webhook, listed);
    CREATE INDEX deliveries_waiting ON deliveries (webhook, event) WHERE next_attempt_at IS NOT NULL;
    CREATE TABLE attempts (position INTEGER PRIMARY KEY, delivery BIGINT NOT NULL, outcome BLOB NOT NULL);
    CREATE INDEX attempts_by_delivery ON attempts (delivery, position);
    CREATE TABLE successes (
        first_outcome INTEGER PRIMARY KEY, last_outcome BIGINT NOT NULL, webhook BIGINT NOT NULL,
        min_event BIGINT NOT NULL, max_event BIGINT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
        count SMALLINT NOT NULL, successes BLOB NOT NULL
    );
    CREATE INDEX successes_by_webhook ON successes (webhook, first_outcome);
    CREATE INDEX successes_by_event ON successes (webhook, max_event, min_event);
    CREATE TABLE minutes (
        webhook BIGINT NOT NULL, minute BIGINT NOT NULL, delivered BIGINT NOT NULL, failed BIGINT NOT NULL,
        attempts BIGINT NOT NULL, failed_attempts BIGINT NOT NULL, total_us BIGINT NOT NULL,
        last_position BIGINT NOT NULL,
        PRIMARY KEY (webhook, minute)
    ) WITHOUT ROWID;
    CREATE INDEX minutes_by_minute ON minutes (minute);
    CREATE TABLE webhooks (
        webhook INTEGER PRIMARY KEY, last_success_at BIGINT, last_error_at BIGINT
    );
    CREATE TABLE lanes (
        webhook INTEGER PRIMARY KEY, next BIGINT, open BLOB NOT NULL, settled BLOB NOT NULL,
        behind_events BIGINT NOT NULL, behind_bytes BIGINT NOT NULL
    );
    CREATE TABLE switches (
        position INTEGER PRIMARY KEY, webhook BIGINT NOT NULL, subscription BIGINT NOT NULL, is_on BOOLEAN NOT NULL,
        categories BIGINT, at BIGINT NOT NULL
    );
    CREATE INDEX switches_by_webhook ON switches (webhook, position);
    CREATE TABLE ranges (
        position INTEGER PRIMARY KEY, webhook BIGINT NOT NULL, why TEXT NOT NULL, first_position BIGINT NOT NULL,
        last_position BIGINT NOT NULL, events BIGINT, retries BIGINT NOT NULL, at BIGINT NOT NULL
    );
    CREATE INDEX ranges_by_webhook ON ranges (webhook, position);
";
