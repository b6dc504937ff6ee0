-- Whose mail it is: the outbox of one subscription shows none of another's. What was queued before belongs to nobody,
-- and only the operator sees it.

ALTER TABLE mails ADD COLUMN subscription_id BIGINT;

CREATE INDEX mails_of_subscription ON mails (subscription_id, created_at);
