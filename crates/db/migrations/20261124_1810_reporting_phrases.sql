-- Phrases that are put into a report while writing: a person's own, and those of the department (R-4.2.6-d).
CREATE TABLE report_phrases (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    -- The person it belongs to; empty when it is shared.
    owner_id TEXT NOT NULL,
    -- What one types to get it; may be empty.
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    -- Empty fits every modality.
    modality TEXT NOT NULL,
    -- Empty fits every body part.
    body_part TEXT NOT NULL,
    -- findings, impression, advice; empty goes where the cursor is.
    section TEXT NOT NULL,
    text TEXT NOT NULL,
    -- Place in the list, from 0.
    rank BIGINT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    updated_by_name TEXT NOT NULL,
    -- Deleted phrases stay, so that a deletion can be undone.
    deleted_at BIGINT
);
CREATE INDEX report_phrases_shelf ON report_phrases (org_id, owner_id, rank);
CREATE UNIQUE INDEX report_phrases_code ON report_phrases (org_id, owner_id, code)
    WHERE code <> '' AND deleted_at IS NULL;
