-- How long an approved ticket may be used, where its rule says so; else as long as the store gives every one.
ALTER TABLE tickets ADD COLUMN use_within_ms INTEGER CHECK (use_within_ms > 0);
