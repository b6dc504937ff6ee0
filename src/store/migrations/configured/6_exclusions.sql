-- Whose events are kept but pushed to nobody.

CREATE TABLE exclusions (
    id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    kind TEXT NOT NULL CHECK (kind IN ('visitor', 'account', 'ip', 'host')),
    pattern TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (subscription_id, kind, pattern)
);
