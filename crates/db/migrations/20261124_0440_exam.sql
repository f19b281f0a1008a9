-- Performed procedure steps as modalities report them, and how far an exam's images are.
CREATE TABLE mpps (
    uid TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    -- NULL: no order was found; kept for a person to see.
    order_id TEXT REFERENCES orders (id),
    station_aet TEXT NOT NULL,
    study_uid TEXT,
    accession TEXT,
    sps_id TEXT,
    patient_id TEXT,
    state TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    images BIGINT NOT NULL,
    -- JSON array of {series_uid, description, images}
    series TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- Of a round that is taken again; no longer decides about the exam.
    superseded BIGINT NOT NULL,
    -- The data sets as DICOM JSON: evidence, never changed.
    created_dataset TEXT NOT NULL,
    final_dataset TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX mpps_order ON mpps (order_id, created_at);
CREATE INDEX mpps_unlinked ON mpps (org_id, order_id, created_at);

CREATE TABLE exam_progress (
    order_id TEXT PRIMARY KEY REFERENCES orders (id),
    org_id TEXT NOT NULL,
    device_id TEXT,
    -- All that ever came, and those since the exam was last to be taken again.
    images BIGINT NOT NULL,
    round_images BIGINT NOT NULL,
    last_image_at BIGINT,
    -- While not NULL the exam waits for quiet time after its last image.
    quiet_since BIGINT,
    updated_at BIGINT NOT NULL
);
CREATE INDEX exam_progress_quiet ON exam_progress (quiet_since);
