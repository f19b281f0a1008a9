-- Application entities that this system talks with: callers it accepts, destinations it sends to.
CREATE TABLE peers (
    aet TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    -- modality, archive, workstation, other
    kind TEXT NOT NULL,
    -- Specific Character Set of what is sent to it; empty means ISO_IR 192
    charset TEXT NOT NULL,
    -- The organization it belongs to; null sees every one of this installation
    org_id TEXT,
    created_at BIGINT NOT NULL,
    received BIGINT NOT NULL,
    last_seen_at BIGINT,
    echo_at BIGINT,
    echo_ok BIGINT,
    echo_ms BIGINT,
    echo_error TEXT
);
