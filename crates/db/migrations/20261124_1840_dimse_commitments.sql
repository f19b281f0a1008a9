-- Storage commitments that were asked for, until some time after their report.
CREATE TABLE commitments (
    id TEXT PRIMARY KEY,
    -- Who asked, and whom the report goes to
    aet TEXT NOT NULL,
    transaction_uid TEXT NOT NULL,
    -- JSON: [[SOP class UID, SOP instance UID], ...]
    objects TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    -- Until then the association of the request may answer; nobody else does
    held_until BIGINT NOT NULL,
    -- JSON: [[index in objects, failure reason], ...]; null: not looked at yet
    failures TEXT,
    reported_at BIGINT
);
CREATE INDEX commitments_transaction ON commitments (aet, transaction_uid);
CREATE INDEX commitments_reported ON commitments (reported_at);
