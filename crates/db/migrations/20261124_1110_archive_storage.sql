-- A record's address is where it was first written: (pack, record_at). It never changes and orders the log. Compaction
-- and healing copy records; then moved_to and moved_at say in which pack and where in it the copy begins, and payload_at
-- is always where the payload lies now.
ALTER TABLE instances ADD COLUMN moved_to BIGINT;
ALTER TABLE instances ADD COLUMN moved_at BIGINT;
CREATE INDEX instances_moved ON instances (moved_to, moved_at) WHERE moved_to IS NOT NULL;
ALTER TABLE duplicates ADD COLUMN moved_to BIGINT;
ALTER TABLE duplicates ADD COLUMN moved_at BIGINT;
ALTER TABLE quarantine ADD COLUMN moved_to BIGINT;
ALTER TABLE quarantine ADD COLUMN moved_at BIGINT;

-- What was deleted on purpose, one row a tombstone; pack and record_at are the tombstone's address.
CREATE TABLE deletions (
    key BIGINT PRIMARY KEY,
    pack BIGINT NOT NULL,
    record_at BIGINT NOT NULL,
    org_id TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    -- Empty when the whole study went.
    series_uid TEXT NOT NULL,
    -- Empty when the whole series or study went.
    sop_uid TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    accession TEXT NOT NULL,
    study_date TEXT NOT NULL,
    reason TEXT NOT NULL,
    note TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    deleted_at BIGINT NOT NULL,
    instances BIGINT NOT NULL,
    size BIGINT NOT NULL,
    -- deleted: can be brought back; restored: was; purged: the bytes are gone.
    state TEXT NOT NULL,
    UNIQUE (pack, record_at)
);
CREATE INDEX deletions_study ON deletions (study_uid, key);
CREATE INDEX deletions_state ON deletions (state, deleted_at);

-- The objects of each deletion whose bytes are still kept.
CREATE TABLE deleted_objects (
    pack BIGINT NOT NULL,
    record_at BIGINT NOT NULL,
    deletion_key BIGINT NOT NULL REFERENCES deletions (key),
    sha256 BYTEA NOT NULL,
    payload_at BIGINT NOT NULL,
    size BIGINT NOT NULL,
    head_len BIGINT NOT NULL,
    moved_to BIGINT,
    moved_at BIGINT,
    PRIMARY KEY (pack, record_at)
);
CREATE INDEX deleted_objects_deletion ON deleted_objects (deletion_key, pack, record_at);

-- Bytes of a pack that are not what was written there, as verify and the scrub found them.
CREATE TABLE damages (
    pack BIGINT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    -- damaged: wrong bytes; missing: the pack is not there.
    what TEXT NOT NULL,
    -- SOP instance UID of the object there, when a row tells.
    name TEXT NOT NULL,
    -- found; healed: a sound copy took its place; unused: nothing needs these bytes.
    state TEXT NOT NULL,
    found_at BIGINT NOT NULL,
    settled_at BIGINT,
    PRIMARY KEY (pack, starts_at)
);
CREATE INDEX damages_state ON damages (state, found_at);

-- Packs whose live records were copied on: their files go, and never come back.
CREATE TABLE removed_packs (
    pack BIGINT PRIMARY KEY,
    removed_at BIGINT NOT NULL
);

-- How far the archive's own long work is, by name.
CREATE TABLE archive_state (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
