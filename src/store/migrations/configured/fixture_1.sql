-- A store as release 0.1 left it. Never changed: later releases must read it.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE subscriptions (
    id BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE apps (
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    id BIGINT NOT NULL,
    name TEXT NOT NULL,
    platform TEXT NOT NULL CHECK (platform IN ('web', 'ios', 'android')),
    origins TEXT NOT NULL,
    agent_key TEXT NOT NULL UNIQUE,
    track_secret_hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (subscription_id, id)
);

CREATE TABLE users (
    id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    created_at BIGINT NOT NULL,
    UNIQUE (subscription_id, email)
);

CREATE TABLE integration_keys (
    id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    hash TEXT NOT NULL UNIQUE,
    made_by BIGINT REFERENCES users (id),
    created_at BIGINT NOT NULL
);

CREATE TABLE webhooks (
    id BIGINT NOT NULL PRIMARY KEY,
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    kind TEXT NOT NULL CHECK (kind IN ('url', 'segment')),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('on', 'off', 'turned_off')),
    categories TEXT NOT NULL,
    since BIGINT NOT NULL,
    timeout_s BIGINT NOT NULL,
    concurrency BIGINT NOT NULL,
    standard_webhooks BIGINT NOT NULL CHECK (standard_webhooks IN (0, 1)),
    secret_sealed TEXT,
    signing_key_sealed TEXT,
    owner BIGINT REFERENCES users (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX webhooks_by_subscription ON webhooks (subscription_id, created_at, id);

INSERT INTO meta VALUES ('master_key_check', 'v1.x');
INSERT INTO subscriptions VALUES (4802463602049999, 'Acme', 1626803875000);
INSERT INTO apps VALUES (4802463602049999, -323232, 'Acme', 'web', '["https://example.com"]', 'ff_agent_1',
    '0000000000000000000000000000000000000000000000000000000000000001', 1626803875000);
INSERT INTO users VALUES (5, 4802463602049999, 'ada@example.com', 'Ada', 'admin', 1626803875000);
INSERT INTO integration_keys VALUES (6, 4802463602049999, 'init', 'admin',
    '0000000000000000000000000000000000000000000000000000000000000002', 5, 1626803875000);
INSERT INTO webhooks VALUES (1, 4802463602049999, 'url', 'CRM', 'https://example.com/hook', 'on', 'all', 77, 300, 32, 1,
    'v1.a', 'v1.b', 5, 1626803875000, 1626803876000);
INSERT INTO webhooks VALUES (2, 4802463602049999, 'url', 'Old', 'http://example.com/', 'turned_off', 'guides,nps', 0,
    10, 1, 0, NULL, NULL, NULL, 1626803875000, 1626803875000);
PRAGMA user_version = 1;
