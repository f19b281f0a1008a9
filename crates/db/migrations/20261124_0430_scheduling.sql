-- Rooms, devices, hours, appointments, scheduled procedure steps.
CREATE TABLE facility_zones (
    org_id TEXT PRIMARY KEY,
    zone TEXT NOT NULL
);

CREATE TABLE rooms (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    ticket_prefix TEXT NOT NULL,
    UNIQUE (org_id, code),
    UNIQUE (org_id, ticket_prefix)
);

CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    room_id TEXT NOT NULL REFERENCES rooms (id),
    ae_title TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    modality TEXT NOT NULL,
    capacity BIGINT NOT NULL,
    active BIGINT NOT NULL,
    mobile BIGINT NOT NULL
);
CREATE INDEX devices_room ON devices (room_id);

CREATE TABLE device_hours (
    device_id TEXT NOT NULL REFERENCES devices (id),
    -- ISO: 1 is Monday. Minutes from midnight of the facility's wall clock; 1440 is the next midnight.
    weekday BIGINT NOT NULL,
    from_min BIGINT NOT NULL,
    to_min BIGINT NOT NULL,
    PRIMARY KEY (device_id, weekday, from_min)
);

CREATE TABLE appointments (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    order_id TEXT NOT NULL REFERENCES orders (id),
    device_id TEXT NOT NULL REFERENCES devices (id),
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    -- held, booked, checked_in, fulfilled, cancelled, no_show, moved
    state TEXT NOT NULL,
    hold_until BIGINT,
    moved_from TEXT,
    -- Set by another system over an occupied time.
    overbooked BIGINT NOT NULL,
    reason TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX appointments_device ON appointments (device_id, start_at);
CREATE INDEX appointments_order ON appointments (order_id, id);
CREATE INDEX appointments_start ON appointments (org_id, start_at);
CREATE INDEX appointments_hold ON appointments (state, hold_until);

CREATE TABLE scheduled_steps (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL,
    campus_id TEXT NOT NULL,
    department_id TEXT NOT NULL,
    sensitivity BIGINT NOT NULL,
    order_id TEXT NOT NULL UNIQUE REFERENCES orders (id),
    sps_id TEXT NOT NULL,
    procedure_id TEXT NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id),
    station_aet TEXT NOT NULL,
    modality TEXT NOT NULL,
    start_at BIGINT NOT NULL,
    description TEXT NOT NULL,
    -- scheduled, started, completed, discontinued, cancelled
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (org_id, sps_id)
);
CREATE INDEX scheduled_steps_station ON scheduled_steps (station_aet, state, start_at);
CREATE INDEX scheduled_steps_modality ON scheduled_steps (modality, state, start_at);
CREATE INDEX scheduled_steps_start ON scheduled_steps (state, start_at);

CREATE TABLE scheduling_counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
