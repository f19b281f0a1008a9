-- The catalogue, requests, and the state of each exam.
CREATE TABLE catalogue_items (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    modality TEXT NOT NULL,
    body_part TEXT NOT NULL,
    sided BIGINT NOT NULL,
    contrast BIGINT NOT NULL,
    duration_min BIGINT NOT NULL,
    preparation TEXT NOT NULL,
    preparation_en TEXT NOT NULL,
    price_cents BIGINT NOT NULL,
    UNIQUE (org_id, code)
);

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    -- Who performs it; empty until it has a device.
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    accession TEXT NOT NULL,
    placer_issuer TEXT,
    placer_number TEXT,
    patient_id TEXT NOT NULL REFERENCES patients (id),
    state TEXT NOT NULL,
    priority TEXT NOT NULL,
    visit_class TEXT NOT NULL,
    -- Who asks.
    department TEXT NOT NULL,
    physician TEXT NOT NULL,
    diagnosis TEXT NOT NULL,
    history TEXT NOT NULL,
    purpose TEXT NOT NULL,
    -- JSON arrays of codes
    special TEXT NOT NULL,
    findings TEXT NOT NULL,
    modality TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    state_at BIGINT NOT NULL,
    started_at BIGINT,
    imaged_at BIGINT,
    completed_at BIGINT,
    version BIGINT NOT NULL,
    UNIQUE (org_id, accession),
    UNIQUE (study_uid),
    UNIQUE (org_id, placer_issuer, placer_number)
);
CREATE INDEX orders_patient ON orders (patient_id, id);
CREATE INDEX orders_org ON orders (org_id, id);
CREATE INDEX orders_state ON orders (org_id, state, id);
CREATE INDEX orders_accession ON orders (accession);
CREATE INDEX orders_placer ON orders (placer_number);

CREATE TABLE order_items (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    seq BIGINT NOT NULL,
    catalogue_id TEXT NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    modality TEXT NOT NULL,
    body_part TEXT NOT NULL,
    -- L, R, B
    side TEXT,
    contrast BIGINT NOT NULL,
    duration_min BIGINT NOT NULL
);
CREATE INDEX order_items_order ON order_items (order_id, seq);

CREATE TABLE order_counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

-- The letters before this organization's accession numbers, at most four.
CREATE TABLE order_prefixes (
    org_id TEXT PRIMARY KEY,
    prefix TEXT NOT NULL UNIQUE
);
