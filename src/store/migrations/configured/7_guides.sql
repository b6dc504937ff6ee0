-- Guides with their steps and polls. What they are made of is one JSON document: it is always read and written whole.

CREATE TABLE guides (
    subscription_id BIGINT NOT NULL REFERENCES subscriptions (id),
    id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('draft', 'published', 'archived')),
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (subscription_id, id)
);
