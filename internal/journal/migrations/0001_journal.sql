-- The journal of one vault node. What is proven (journal, journal_segments,
-- journal_anchors, journal_anchored) is only ever added to; the rest is
-- derived or a counter.

CREATE TABLE journal_node (
	node INTEGER PRIMARY KEY CHECK (node BETWEEN 1 AND 65535),
	cell TEXT NOT NULL,
	incarnation INTEGER NOT NULL, -- rises by one at each start
	reserved INTEGER NOT NULL     -- no row sequence at or above this was ever given out
) STRICT;

CREATE TABLE journal (
	position INTEGER PRIMARY KEY CHECK (position > 0),
	seq INTEGER NOT NULL UNIQUE,
	row BLOB NOT NULL,
	salt BLOB NOT NULL CHECK (length(salt) = 32)
) STRICT;

CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
BEGIN
	SELECT RAISE(ABORT, 'rows of the journal are never changed');
END;

CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
BEGIN
	SELECT RAISE(ABORT, 'rows of the journal are never deleted');
END;

CREATE TABLE journal_segments (
	number INTEGER PRIMARY KEY CHECK (number > 0),
	first INTEGER NOT NULL UNIQUE,
	count INTEGER NOT NULL CHECK (count > 0),
	segment BLOB NOT NULL,
	leaves BLOB NOT NULL CHECK (length(leaves) = 32 * count)
) STRICT;

CREATE TRIGGER journal_segments_no_update BEFORE UPDATE ON journal_segments
BEGIN
	SELECT RAISE(ABORT, 'segments are never changed');
END;

CREATE TRIGGER journal_segments_no_delete BEFORE DELETE ON journal_segments
BEGIN
	SELECT RAISE(ABORT, 'segments are never deleted');
END;

-- An anchor is written here before the ledger sees it, and in journal_anchored
-- when the ledger has it under a cosigned checkpoint.
CREATE TABLE journal_anchors (
	number INTEGER PRIMARY KEY CHECK (number > 0),
	first_segment INTEGER NOT NULL,
	last_segment INTEGER NOT NULL CHECK (last_segment >= first_segment - 1),
	leaf BLOB NOT NULL UNIQUE,
	fields BLOB NOT NULL
) STRICT;

CREATE INDEX journal_anchors_last ON journal_anchors (last_segment);

CREATE TRIGGER journal_anchors_no_update BEFORE UPDATE ON journal_anchors
BEGIN
	SELECT RAISE(ABORT, 'anchors are never changed');
END;

CREATE TRIGGER journal_anchors_no_delete BEFORE DELETE ON journal_anchors
BEGIN
	SELECT RAISE(ABORT, 'anchors are never deleted');
END;

CREATE TABLE journal_anchored (
	number INTEGER PRIMARY KEY REFERENCES journal_anchors (number),
	ledger_index INTEGER NOT NULL,
	witnessed INTEGER NOT NULL, -- seconds since 1970-01-01 UTC, by the witnesses
	proof BLOB NOT NULL
) STRICT;

CREATE TRIGGER journal_anchored_no_update BEFORE UPDATE ON journal_anchored
BEGIN
	SELECT RAISE(ABORT, 'anchors are never changed');
END;

CREATE TRIGGER journal_anchored_no_delete BEFORE DELETE ON journal_anchored
BEGIN
	SELECT RAISE(ABORT, 'anchors are never deleted');
END;

-- Which rows touched a person, in runs of many rows; derived from the rows.
-- Entries are 12 bytes: 8 of the subject id, and the position less that of the
-- run's first row, sorted. Low is the first of them. A run counts when it is in
-- journal_runs.
CREATE TABLE journal_subjects (
	run INTEGER NOT NULL, -- position of the first row of the run
	low BLOB NOT NULL,
	entries BLOB NOT NULL,
	PRIMARY KEY (run, low)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_runs (
	run INTEGER PRIMARY KEY,
	last INTEGER NOT NULL
) STRICT;

-- Rows that are about another row: conflicts, orphans, unanswered ones, and
-- refusals by the keyholder. Derived from the rows, in the same commit.
CREATE TABLE journal_seconds (
	seq INTEGER NOT NULL,      -- of the row they are about
	position INTEGER NOT NULL, -- of the row that says so
	outcome INTEGER NOT NULL,
	lost_leaf BLOB,            -- orphans: row leaf of the lost row
	PRIMARY KEY (seq, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX journal_seconds_orphans ON journal_seconds (position) WHERE lost_leaf IS NOT NULL;
