-- Who somebody is at the OpenID Connect provider.

ALTER TABLE users ADD COLUMN provider_subject TEXT;
