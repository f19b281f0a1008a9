-- Reports: the working text, the immutable versions, the templates.
CREATE TABLE reports (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE REFERENCES orders (id),
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    patient_id TEXT NOT NULL,
    -- new, trainee, initial, rejected, final
    stage TEXT NOT NULL,
    -- Counts changes of text and stage: optimistic writes name the one they saw.
    rev BIGINT NOT NULL,
    findings TEXT NOT NULL,
    impression TEXT NOT NULL,
    advice TEXT NOT NULL,
    opinion TEXT,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_by_name TEXT NOT NULL,
    initial_by TEXT,
    initial_by_name TEXT,
    last_n BIGINT NOT NULL,
    last_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);
CREATE INDEX reports_patient ON reports (patient_id, id);

-- Never updated, never deleted.
CREATE TABLE report_versions (
    report_id TEXT NOT NULL REFERENCES reports (id),
    n BIGINT NOT NULL,
    stage TEXT NOT NULL,
    author_id TEXT NOT NULL,
    author_name TEXT NOT NULL,
    at BIGINT NOT NULL,
    findings TEXT NOT NULL,
    impression TEXT NOT NULL,
    advice TEXT NOT NULL,
    opinion TEXT NOT NULL,
    signed BIGINT NOT NULL,
    override_reason TEXT NOT NULL,
    -- JSON array of check codes
    overridden TEXT NOT NULL,
    waiver BIGINT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (report_id, n)
);

CREATE TABLE report_templates (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    modality TEXT NOT NULL,
    -- Empty fits every body part.
    body_part TEXT NOT NULL,
    findings TEXT NOT NULL,
    impression TEXT NOT NULL,
    advice TEXT NOT NULL,
    -- The person it belongs to; empty when it is shared.
    owner_id TEXT NOT NULL,
    -- Guideline or consensus it follows, with its version (R-7.1.2-a).
    source TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (org_id, code)
);
CREATE INDEX report_templates_modality ON report_templates (org_id, modality, body_part);
