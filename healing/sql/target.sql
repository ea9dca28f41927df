-- Objects of Mendgate in the target database: receipts and idempotency records, written by the same transaction as
-- the row they are about. Idempotent; nothing outside schema mendgate is touched. Installed only with consent.
CREATE SCHEMA IF NOT EXISTS mendgate;
REVOKE ALL ON SCHEMA mendgate FROM PUBLIC;
COMMENT ON SCHEMA mendgate IS 'Mendgate: receipts and idempotency records of the self-healing gateway. Remove with DROP SCHEMA mendgate CASCADE.';

-- The receipts of one transaction: what was sent, what was stored, why they differ. The n-th receipt's id is this id + n.
-- Encrypted whole; the id (a UUID of version 7) says when. Moved to the control database afterwards.
CREATE TABLE IF NOT EXISTS mendgate.receipts (
    id     uuid PRIMARY KEY,
    sealed bytea NOT NULL
);

-- Receipts whose write was taken back, by the transaction that did it: once.
CREATE TABLE IF NOT EXISTS mendgate.undone (
    receipt uuid PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now()
);

-- The answer that was given to an Idempotency-Key, kept for at least 24 hours.
CREATE TABLE IF NOT EXISTS mendgate.idempotency (
    caller       text NOT NULL,
    key          text NOT NULL,
    request_hash text NOT NULL,
    status       integer NOT NULL,
    headers      jsonb NOT NULL,
    body         bytea NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX IF NOT EXISTS idempotency_at ON mendgate.idempotency (at);

REVOKE ALL ON ALL TABLES IN SCHEMA mendgate FROM PUBLIC;

-- The gateway's login role where it is not the owner.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'authenticator') THEN
        GRANT USAGE ON SCHEMA mendgate TO authenticator;
        GRANT SELECT, INSERT, UPDATE, DELETE ON mendgate.receipts, mendgate.undone, mendgate.idempotency TO authenticator;
    END IF;
END
$$;
