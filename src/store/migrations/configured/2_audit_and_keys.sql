-- The audit log, and what is known of a key beyond what it opens.

ALTER TABLE integration_keys ADD COLUMN expires_at BIGINT;
ALTER TABLE integration_keys ADD COLUMN last_used_at BIGINT;

-- Append-only: each row's hash covers the row and the hash before it, over all subscriptions.
CREATE TABLE audit_log (
    seq BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('key', 'user', 'operator', 'system')),
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    before_json TEXT NOT NULL,
    after_json TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE INDEX audit_log_by_subscription ON audit_log (subscription_id, seq);
