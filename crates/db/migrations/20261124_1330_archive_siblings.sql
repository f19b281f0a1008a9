-- Beside native originals: the same pixels as HTJ2K, in packs of their own, or why an original has none. All of it can be
-- made again.
CREATE TABLE siblings (
    instance_key BIGINT PRIMARY KEY REFERENCES instances (key),
    -- Code of why there is none; empty where there is one, and only then the last four columns say where it lies.
    unfit TEXT NOT NULL,
    -- When the original was received: of a full store the pack with the oldest goes first.
    received_at BIGINT NOT NULL,
    pack BIGINT,
    record_at BIGINT,
    payload_at BIGINT,
    size BIGINT
);
CREATE INDEX siblings_pack ON siblings (pack, received_at, size);
