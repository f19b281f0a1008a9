-- Patient links. Only hashes of tokens and sessions are kept.
CREATE TABLE shares (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    patient_id TEXT NOT NULL,
    -- SHA-256 of the token, hex
    token_hash TEXT NOT NULL UNIQUE,
    images BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_by_name TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT,
    opens BIGINT NOT NULL,
    last_opened_at BIGINT
);
CREATE INDEX shares_order ON shares (order_id, created_at);

CREATE TABLE share_sessions (
    -- SHA-256 of the cookie, hex
    hash TEXT PRIMARY KEY,
    share_id TEXT NOT NULL REFERENCES shares (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX share_sessions_share ON share_sessions (share_id);

-- Failed tries of the last hours, for throttling.
CREATE TABLE share_tries (
    id TEXT PRIMARY KEY,
    share_id TEXT NOT NULL REFERENCES shares (id),
    address TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX share_tries_share ON share_tries (share_id, at);
CREATE INDEX share_tries_address ON share_tries (address, at);
