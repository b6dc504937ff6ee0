-- An app's keys can be rotated: the one before opens for a while beside the new one.

ALTER TABLE apps ADD COLUMN old_agent_key TEXT;
ALTER TABLE apps ADD COLUMN old_agent_key_until BIGINT;
ALTER TABLE apps ADD COLUMN old_track_secret_hash TEXT;
ALTER TABLE apps ADD COLUMN old_track_secret_until BIGINT;
