-- The ledger of cases of one cell. Times are seconds since 1970-01-01 UTC.
-- Slots, leaves and openings are only ever added to; a leaf's dates and places
-- are filled in.

CREATE TABLE casebook_value (
	name  TEXT NOT NULL PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A slot is written here before the ledger sees any leaf of it.
CREATE TABLE casebook_slots (
	number INTEGER PRIMARY KEY CHECK (number > 0),
	time   INTEGER NOT NULL UNIQUE,
	root   BLOB NOT NULL CHECK (length(root) = 32), -- what the next slot names
	base   INTEGER NOT NULL CHECK (base >= 0),      -- entries of the ledger when it was made: its leaves come after
	done   INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
) STRICT;

CREATE INDEX casebook_slots_pending ON casebook_slots (number) WHERE done = 0;

CREATE TABLE casebook_leaves (
	id           INTEGER PRIMARY KEY,
	slot         INTEGER NOT NULL REFERENCES casebook_slots (number),
	leaf         BLOB NOT NULL CHECK (length(leaf) = 128),
	hash         BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
	seed         BLOB CHECK (length(seed) = 32), -- of a cover's salts; NULL for an entry
	ledger_index INTEGER UNIQUE,                 -- NULL until a cosigned checkpoint covers it
	witnessed    INTEGER,                        -- witness time of that checkpoint
	proof        BLOB,                           -- of entries; covers need none
	due          INTEGER NOT NULL,               -- its open-by date, or what an extension made of it
	extended     INTEGER NOT NULL DEFAULT 0,     -- how often
	held         INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),    -- the last extension was for a secret
	planned      INTEGER NOT NULL DEFAULT 0 CHECK (planned IN (0, 1)), -- what happens at due is decided
	extend_at    INTEGER,                        -- when its extension is to be queued
	extension    INTEGER REFERENCES casebook_entries (id), -- queued, not yet in force
	opened       INTEGER NOT NULL DEFAULT 0 CHECK (opened IN (0, 1)),  -- in full
	CHECK ((ledger_index IS NULL) = (witnessed IS NULL))
) STRICT;

CREATE INDEX casebook_leaves_slot ON casebook_leaves (slot);
CREATE INDEX casebook_leaves_due ON casebook_leaves (due) WHERE opened = 0;
CREATE INDEX casebook_leaves_unplanned ON casebook_leaves (due) WHERE opened = 0 AND planned = 0;
CREATE INDEX casebook_leaves_extend ON casebook_leaves (extend_at) WHERE extend_at IS NOT NULL;
CREATE INDEX casebook_leaves_held ON casebook_leaves (id) WHERE held = 1 AND opened = 0;

CREATE TRIGGER casebook_leaves_no_delete BEFORE DELETE ON casebook_leaves
BEGIN
	SELECT RAISE(ABORT, 'leaves are never deleted');
END;

CREATE TRIGGER casebook_leaves_fixed BEFORE UPDATE OF slot, leaf, hash, seed ON casebook_leaves
BEGIN
	SELECT RAISE(ABORT, 'leaves are never changed');
END;

CREATE TABLE casebook_entries (
	id         INTEGER PRIMARY KEY, -- in the order of queueing
	type       TEXT NOT NULL CHECK (type IN ('case', 'extension', 'registry', 'custody')),
	case_id    BLOB CHECK (length(case_id) = 16),
	number     INTEGER CHECK (number > 0), -- within its case
	fields     BLOB NOT NULL,       -- all but person, see verify.EncodeFields; previous is filled in with the leaf
	person     BLOB,                -- likewise, the one field; NULL once it is erased
	commitment BLOB NOT NULL CHECK (length(commitment) = 32), -- of person
	until      INTEGER,             -- of an extension
	reveal     TEXT,                -- fields to withhold; not NULL: open it as soon as it is witnessed
	leaf       INTEGER UNIQUE REFERENCES casebook_leaves (id), -- NULL while it is queued
	UNIQUE (case_id, number),
	CHECK ((case_id IS NULL) = (number IS NULL)),
	CHECK ((type = 'extension') = (until IS NOT NULL))
) STRICT;

CREATE INDEX casebook_entries_queue ON casebook_entries (id) WHERE leaf IS NULL;

CREATE TRIGGER casebook_entries_no_delete BEFORE DELETE ON casebook_entries
BEGIN
	SELECT RAISE(ABORT, 'entries are never deleted');
END;

-- Whose person fields an entry holds.
CREATE TABLE casebook_persons (
	subject BLOB NOT NULL,
	entry   INTEGER NOT NULL REFERENCES casebook_entries (id),
	PRIMARY KEY (subject, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE casebook_holds (
	case_id BLOB NOT NULL PRIMARY KEY CHECK (length(case_id) = 16),
	until   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The public feed. What an opening shows is made from the leaf when it is read.
CREATE TABLE casebook_openings (
	number INTEGER PRIMARY KEY CHECK (number > 0),
	leaf   INTEGER NOT NULL REFERENCES casebook_leaves (id),
	closed TEXT NOT NULL, -- names of the fields withheld
	UNIQUE (leaf, closed)
) STRICT;

CREATE TRIGGER casebook_openings_no_update BEFORE UPDATE ON casebook_openings
BEGIN
	SELECT RAISE(ABORT, 'openings are never changed');
END;

CREATE TRIGGER casebook_openings_no_delete BEFORE DELETE ON casebook_openings
BEGIN
	SELECT RAISE(ABORT, 'openings are never taken back');
END;
