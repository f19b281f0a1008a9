-- People, what identifies them, and how this organization numbers them.
CREATE TABLE patients (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    name TEXT NOT NULL,
    -- Lower case without spaces; what prefix searches compare.
    name_key TEXT NOT NULL,
    name_latin TEXT NOT NULL,
    -- zhangsanfeng and zsf
    sound TEXT NOT NULL,
    initials TEXT NOT NULL,
    -- M, F, O, U
    sex TEXT NOT NULL,
    -- YYYY-MM-DD
    birth_date TEXT,
    phone TEXT,
    address TEXT,
    -- JSON array of {kind, text}
    alerts TEXT NOT NULL,
    temporary BIGINT NOT NULL,
    -- Shown in lists: the first medical record number, else the temporary number.
    mrn TEXT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX patients_name ON patients (org_id, name_key, id);
CREATE INDEX patients_sound ON patients (org_id, sound, id);
CREATE INDEX patients_initials ON patients (org_id, initials, id);
CREATE INDEX patients_phone ON patients (org_id, phone, id);
CREATE INDEX patients_birth ON patients (org_id, birth_date, sound);
CREATE INDEX patients_org ON patients (org_id, id);

CREATE TABLE patient_identifiers (
    patient_id TEXT NOT NULL REFERENCES patients (id),
    org_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    value TEXT NOT NULL,
    -- In upper case; what prefix searches compare.
    value_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- Order in which they became known.
    seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (org_id, issuer, value)
);
CREATE INDEX patient_identifiers_patient ON patient_identifiers (patient_id, seq);
CREATE INDEX patient_identifiers_value ON patient_identifiers (org_id, value_key, patient_id);

CREATE TABLE patient_issuers (
    org_id TEXT PRIMARY KEY,
    mrn_issuer TEXT NOT NULL,
    mrn_prefix TEXT NOT NULL,
    temporary_issuer TEXT NOT NULL
);

CREATE TABLE patient_counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
