-- Templates have versions: written, approved by somebody else, retired (R-7.1.2-a). `report_templates` is what is offered
-- to writers: the approved version of each template.
ALTER TABLE report_templates ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

CREATE TABLE report_template_versions (
    org_id TEXT NOT NULL,
    code TEXT NOT NULL,
    n BIGINT NOT NULL,
    -- draft, approved, retired
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    modality TEXT NOT NULL,
    body_part TEXT NOT NULL,
    findings TEXT NOT NULL,
    impression TEXT NOT NULL,
    advice TEXT NOT NULL,
    source TEXT NOT NULL,
    -- Counts changes of a draft; who approves names the one that was read.
    rev BIGINT NOT NULL,
    author_id TEXT NOT NULL,
    author_name TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    approved_by TEXT,
    approved_by_name TEXT,
    approved_at BIGINT,
    retired_at BIGINT,
    PRIMARY KEY (org_id, code, n)
);
INSERT INTO report_template_versions (org_id, code, n, state, name, name_en, modality, body_part, findings, impression,
    advice, source, rev, author_id, author_name, updated_at)
SELECT org_id, code, 1, 'approved', name, name_en, modality, body_part, findings, impression, advice, source, 1, '', '',
    updated_at
FROM report_templates WHERE owner_id = '';

-- The template the text began with: its code and version, as in CT-CHEST-N@2.
ALTER TABLE reports ADD COLUMN template TEXT NOT NULL DEFAULT '';
ALTER TABLE report_versions ADD COLUMN template TEXT NOT NULL DEFAULT '';
