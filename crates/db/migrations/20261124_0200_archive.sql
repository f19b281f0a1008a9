-- The index of the archive. Everything here can be made again from the packs.
CREATE TABLE studies (
    key BIGINT PRIMARY KEY,
    study_uid TEXT NOT NULL UNIQUE,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    patient_id TEXT NOT NULL,
    patient_id_issuer TEXT NOT NULL,
    -- DICOM form with all groups, decoded.
    patient_name TEXT NOT NULL,
    name_alphabetic TEXT NOT NULL,
    name_ideographic TEXT NOT NULL,
    name_phonetic TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    sex TEXT NOT NULL,
    accession TEXT NOT NULL,
    study_id TEXT NOT NULL,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    description TEXT NOT NULL,
    referring_physician TEXT NOT NULL,
    institution TEXT NOT NULL,
    -- Sorted, separated by backslashes, as Modalities in Study (0008,0061) shows them.
    modalities TEXT NOT NULL,
    series_count BIGINT NOT NULL,
    instance_count BIGINT NOT NULL,
    size BIGINT NOT NULL,
    source TEXT NOT NULL,
    first_received_at BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL,
    -- How many of instance_count an event has told about.
    announced BIGINT NOT NULL
);
CREATE INDEX studies_patient ON studies (patient_id, key);
CREATE INDEX studies_accession ON studies (accession, key);
CREATE INDEX studies_date ON studies (study_date, study_time, key);
CREATE INDEX studies_birth ON studies (birth_date, key);
CREATE INDEX studies_received ON studies (last_received_at, key);
CREATE INDEX studies_unannounced ON studies (key) WHERE announced <> instance_count;

-- Search forms of the patient's name, upper case: each group with and without carets, pinyin, initials.
CREATE TABLE study_names (
    term TEXT NOT NULL,
    study_key BIGINT NOT NULL REFERENCES studies (key),
    PRIMARY KEY (term, study_key)
);
CREATE INDEX study_names_study ON study_names (study_key);

CREATE TABLE series (
    key BIGINT PRIMARY KEY,
    study_key BIGINT NOT NULL REFERENCES studies (key),
    series_uid TEXT NOT NULL,
    number BIGINT,
    modality TEXT NOT NULL,
    description TEXT NOT NULL,
    body_part TEXT NOT NULL,
    laterality TEXT NOT NULL,
    protocol TEXT NOT NULL,
    station_name TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    series_date TEXT NOT NULL,
    series_time TEXT NOT NULL,
    requested_procedure_id TEXT NOT NULL,
    scheduled_step_id TEXT NOT NULL,
    instance_count BIGINT NOT NULL,
    UNIQUE (series_uid, study_key)
);
CREATE INDEX series_study ON series (study_key, number, key);
CREATE INDEX series_modality ON series (modality, study_key);

CREATE TABLE instances (
    key BIGINT PRIMARY KEY,
    study_key BIGINT NOT NULL REFERENCES studies (key),
    series_key BIGINT NOT NULL REFERENCES series (key),
    sop_uid TEXT NOT NULL UNIQUE,
    sop_class TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    number BIGINT,
    content_date TEXT NOT NULL,
    content_time TEXT NOT NULL,
    image_rows BIGINT,
    image_columns BIGINT,
    bits_allocated BIGINT,
    samples BIGINT,
    frames BIGINT NOT NULL,
    -- Of the data set as received, without preamble and file meta information.
    sha256 BYTEA NOT NULL,
    pack BIGINT NOT NULL,
    record_at BIGINT NOT NULL,
    payload_at BIGINT NOT NULL,
    size BIGINT NOT NULL,
    head_len BIGINT NOT NULL,
    header_end BIGINT NOT NULL,
    pixel_at BIGINT NOT NULL,
    -- -1 for encapsulated pixels.
    pixel_len BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source TEXT NOT NULL
);
CREATE INDEX instances_series ON instances (series_key, number, key);
CREATE INDEX instances_study ON instances (study_key);
CREATE INDEX instances_pack ON instances (pack, record_at);

-- Encapsulated multi-frame objects: where each frame's fragments lie.
CREATE TABLE frame_indexes (
    instance_key BIGINT PRIMARY KEY REFERENCES instances (key),
    body BYTEA NOT NULL
);

-- Objects that came again with another content. The first one stays the one that is served.
CREATE TABLE duplicates (
    key BIGINT PRIMARY KEY,
    instance_key BIGINT NOT NULL REFERENCES instances (key),
    sha256 BYTEA NOT NULL,
    pack BIGINT NOT NULL,
    record_at BIGINT NOT NULL,
    payload_at BIGINT NOT NULL,
    size BIGINT NOT NULL,
    head_len BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source TEXT NOT NULL,
    UNIQUE (instance_key, sha256)
);
CREATE INDEX duplicates_pack ON duplicates (pack, record_at);

CREATE TABLE quarantine (
    key BIGINT PRIMARY KEY,
    org_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- held, released, deleted
    state TEXT NOT NULL,
    sop_uid TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    sha256 BYTEA NOT NULL,
    pack BIGINT NOT NULL,
    record_at BIGINT NOT NULL,
    payload_at BIGINT NOT NULL,
    size BIGINT NOT NULL,
    head_len BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    source TEXT NOT NULL,
    UNIQUE (pack, record_at)
);
CREATE INDEX quarantine_state ON quarantine (state, key);

-- Records that were read and needed no row: the same object sent again. Kept so that verify can tell them from orphans.
CREATE TABLE repeated_records (
    pack BIGINT NOT NULL,
    record_at BIGINT NOT NULL,
    instance_key BIGINT NOT NULL,
    PRIMARY KEY (pack, record_at)
);

-- Up to where each pack is indexed. Moved in the transaction of the rows.
CREATE TABLE pack_checkpoints (
    pack BIGINT PRIMARY KEY,
    indexed_to BIGINT NOT NULL
);

-- Where row keys come from: blocks are taken in the transaction that uses them first.
CREATE TABLE archive_keys (
    name TEXT PRIMARY KEY,
    next BIGINT NOT NULL
);
INSERT INTO archive_keys (name, next) VALUES ('archive', 1);
