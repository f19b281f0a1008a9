-- What a peer may do here: services by their words, parted by blanks, empty for all; how many associations at a time.
ALTER TABLE peers ADD COLUMN services TEXT NOT NULL DEFAULT '';
ALTER TABLE peers ADD COLUMN max_associations BIGINT;
