-- Append-only events; who subscribes; what is still to be delivered.
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    version BIGINT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    case_id TEXT,
    patient_id TEXT,
    org_id TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    source TEXT NOT NULL,
    request_id TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX events_case ON events (case_id, id);
CREATE INDEX events_subject ON events (subject_kind, subject_id, id);
CREATE INDEX events_recorded ON events (recorded_at);

CREATE TABLE subscriptions (
    subscriber TEXT NOT NULL,
    topic TEXT NOT NULL,
    PRIMARY KEY (subscriber, topic)
);

CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    subscriber TEXT NOT NULL,
    event_id TEXT NOT NULL REFERENCES events (id),
    -- pending, done, dead
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    lease_owner TEXT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX deliveries_due ON deliveries (state, subscriber, due_at);
CREATE INDEX deliveries_event ON deliveries (event_id);
