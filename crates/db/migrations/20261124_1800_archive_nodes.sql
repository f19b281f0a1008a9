-- The copies of the program that work on this database. On SQLite there is one.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- Where other nodes reach it: http://… on this machine alone, https://… elsewhere; empty: nowhere.
    address TEXT NOT NULL,
    -- SHA-256 of its certificate in hexadecimal, by which others know it; empty without TLS.
    certificate TEXT NOT NULL,
    -- Tells whether it has the same secret.key as the others, and nothing else about the key.
    key_check TEXT NOT NULL,
    version TEXT NOT NULL,
    -- Of this start: a process that another start of the same node has followed is no longer the node.
    session TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- Grows as long as it lives. Others watch it by their own clocks.
    beat BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    -- 1: it was stopped in good order.
    stopped BIGINT NOT NULL
);

-- Which node holds which store of packs. Packs of one store share the upper half of their ids.
CREATE TABLE pack_stores (
    store BIGINT PRIMARY KEY,
    -- originals; siblings
    kind TEXT NOT NULL,
    node_id TEXT NOT NULL REFERENCES nodes (id),
    -- The session that may index it. Whoever holds another one has lost it.
    holder TEXT NOT NULL,
    folder TEXT NOT NULL,
    -- The node that began it. Only that one ever writes it, and not after another held it.
    made_by TEXT NOT NULL,
    since BIGINT NOT NULL
);
CREATE INDEX pack_stores_node ON pack_stores (node_id);
