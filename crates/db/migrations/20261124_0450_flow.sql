-- Who waits where, and the screens that show it.
CREATE TABLE queue_entries (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    order_id TEXT NOT NULL REFERENCES orders (id),
    patient_id TEXT NOT NULL REFERENCES patients (id),
    room_id TEXT NOT NULL REFERENCES rooms (id),
    device_id TEXT NOT NULL REFERENCES devices (id),
    ticket TEXT NOT NULL,
    -- YYYY-MM-DD of the facility
    day TEXT NOT NULL,
    -- appointment, walk_in, emergency, bedside
    mode TEXT NOT NULL,
    -- emergency, appointment, walk_in
    class TEXT NOT NULL,
    state TEXT NOT NULL,
    calls BIGINT NOT NULL,
    -- Place in the queue: lower rank first, then earlier rank time.
    rank BIGINT NOT NULL,
    rank_at BIGINT NOT NULL,
    arrived_at BIGINT NOT NULL,
    called_at BIGINT,
    entered_at BIGINT,
    done_at BIGINT,
    reason TEXT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (org_id, day, ticket)
);
CREATE INDEX queue_entries_room ON queue_entries (room_id, state, rank, rank_at);
CREATE INDEX queue_entries_order ON queue_entries (order_id, id);
CREATE INDEX queue_entries_org ON queue_entries (org_id, state, id);

CREATE TABLE ticket_counters (
    room_id TEXT NOT NULL,
    day TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (room_id, day)
);

CREATE TABLE displays (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- JSON array of room ids
    rooms TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX displays_org ON displays (org_id, id);
