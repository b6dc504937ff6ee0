-- How a webhook's requests are shaped and let in, which events it is told of, and what of its keys is ending. `url` is
-- a Segment webhook's endpoint, and `secret_sealed` its write key.

ALTER TABLE webhooks ADD COLUMN audit BIGINT NOT NULL DEFAULT 0 CHECK (audit IN (0, 1));
ALTER TABLE webhooks ADD COLUMN filter TEXT;
ALTER TABLE webhooks ADD COLUMN format TEXT;
ALTER TABLE webhooks ADD COLUMN ordered BIGINT NOT NULL DEFAULT 0 CHECK (ordered IN (0, 1));
ALTER TABLE webhooks ADD COLUMN rate_limit_per_s BIGINT;
ALTER TABLE webhooks ADD COLUMN headers_sealed TEXT;
ALTER TABLE webhooks ADD COLUMN auth_sealed TEXT;
ALTER TABLE webhooks ADD COLUMN client_certificate_sealed TEXT;
ALTER TABLE webhooks ADD COLUMN old_secret_sealed TEXT;
ALTER TABLE webhooks ADD COLUMN old_secret_until BIGINT;
ALTER TABLE webhooks ADD COLUMN old_signing_key_sealed TEXT;
ALTER TABLE webhooks ADD COLUMN old_signing_key_until BIGINT;
