-- Whether an app lets browsers alone that say that their users do not want to be tracked.

ALTER TABLE apps ADD COLUMN respects_do_not_track BIGINT NOT NULL DEFAULT 0 CHECK (respects_do_not_track IN (0, 1));
