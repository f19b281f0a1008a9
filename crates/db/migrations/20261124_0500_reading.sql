-- Which study belongs to which order, which studies wait for a person, and who is reading what.
CREATE TABLE order_studies (
    -- A study belongs to one order at most; an order may have several studies.
    study_uid TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    org_id TEXT NOT NULL,
    -- accession, worklist_uid, person
    how TEXT NOT NULL,
    linked_at BIGINT NOT NULL,
    linked_by TEXT NOT NULL,
    -- Images that the exam has been told about.
    images BIGINT NOT NULL
);
CREATE INDEX order_studies_order ON order_studies (order_id, linked_at);

CREATE TABLE unmatched_studies (
    study_uid TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    modality TEXT NOT NULL,
    accession TEXT NOT NULL,
    -- YYYYMMDD as the study says, or empty
    study_date TEXT NOT NULL,
    description TEXT NOT NULL,
    images BIGINT NOT NULL,
    source TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    -- no_order, patient_differs, order_state, unlinked
    reason TEXT NOT NULL
);
CREATE INDEX unmatched_studies_org ON unmatched_studies (org_id, received_at, study_uid);

CREATE TABLE reading_locks (
    order_id TEXT PRIMARY KEY REFERENCES orders (id),
    user_id TEXT NOT NULL,
    user_name TEXT NOT NULL,
    locked_at BIGINT NOT NULL,
    until BIGINT NOT NULL
);
