-- Who must not be processed, and who is being forgotten. People are named by a keyed hash of their id only; the id itself
-- is kept, sealed, for as long as a job needs it.

-- One for each subscription that has needed one; `id` is the subscription's.
CREATE TABLE person_keys (
    id BIGINT NOT NULL PRIMARY KEY REFERENCES subscriptions (id),
    key_sealed TEXT NOT NULL
);

CREATE TABLE do_not_process (
    id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    kind TEXT NOT NULL CHECK (kind IN ('visitor', 'account')),
    person_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (subscription_id, kind, person_hash)
);

CREATE TABLE forget_jobs (
    id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    kind TEXT NOT NULL CHECK (kind IN ('visitor', 'account')),
    person_hash TEXT NOT NULL,
    person_sealed TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done')),
    cut BIGINT,
    asked_at BIGINT NOT NULL,
    done_at BIGINT,
    erased_entries BIGINT NOT NULL,
    problem TEXT
);

CREATE INDEX forget_jobs_by_subscription ON forget_jobs (subscription_id, asked_at);
