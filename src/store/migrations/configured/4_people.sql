-- People: how they sign in, their sessions, the links that they are sent, and the mail that carries them.

-- NULL until somebody has followed their invitation.
ALTER TABLE users ADD COLUMN password_hash TEXT;
-- Who is removed stays known as the owner of what they made.
ALTER TABLE users ADD COLUMN removed_at BIGINT;
ALTER TABLE users ADD COLUMN last_sign_in_at BIGINT;
-- The seed of the second factor once it is in force, and one that waits for its first code.
ALTER TABLE users ADD COLUMN totp_sealed TEXT;
ALTER TABLE users ADD COLUMN totp_pending_sealed TEXT;
-- The time step of the last code that was taken: none is taken twice.
ALTER TABLE users ADD COLUMN totp_step BIGINT;

CREATE TABLE recovery_codes (
    user_id BIGINT NOT NULL REFERENCES users (id),
    hash TEXT NOT NULL,
    PRIMARY KEY (user_id, hash)
);

CREATE TABLE sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL
);

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

-- Links that work once: the hash of the token in each.
CREATE TABLE links (
    hash TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('invitation', 'password_reset', 'email_change')),
    user_id BIGINT NOT NULL REFERENCES users (id),
    email TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX links_by_user ON links (user_id, kind);

-- The queue of mails. The sealed part (texts with links) is dropped once the mail is sent.
CREATE TABLE mails (
    id BIGINT NOT NULL PRIMARY KEY,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body_sealed TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX mails_by_state ON mails (state, next_attempt_at);
