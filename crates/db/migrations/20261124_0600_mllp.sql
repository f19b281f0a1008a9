-- Every HL7 message in and out, as it was on the wire. A refused one waits here for a person.
CREATE TABLE hl7_messages (
    id TEXT PRIMARY KEY,
    -- in, out
    direction TEXT NOT NULL,
    peer TEXT NOT NULL,
    kind TEXT NOT NULL,
    control_id TEXT NOT NULL,
    -- received, done, error
    state TEXT NOT NULL,
    error_code TEXT,
    -- segment and field, never a value
    error_at TEXT,
    charset TEXT NOT NULL,
    raw BYTEA NOT NULL,
    hash TEXT NOT NULL,
    -- what a person corrected it to
    corrected BYTEA,
    order_id TEXT,
    event_id TEXT,
    attempts BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX hl7_messages_state ON hl7_messages (state, id);
CREATE INDEX hl7_messages_same ON hl7_messages (peer, control_id, hash);
CREATE UNIQUE INDEX hl7_messages_out ON hl7_messages (event_id, peer);

-- Who gets results.
CREATE TABLE hl7_receivers (
    name TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    application TEXT NOT NULL,
    facility TEXT NOT NULL,
    charset TEXT NOT NULL,
    tls BIGINT NOT NULL,
    active BIGINT NOT NULL
);
