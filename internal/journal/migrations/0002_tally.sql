-- How many rows there are, by hour and by day, kept beside them so that nobody
-- has to go through them. It follows from the rows and proves nothing.

CREATE TABLE journal_tally (
	unit      INTEGER NOT NULL CHECK (unit IN (3600, 86400)), -- seconds
	start     INTEGER NOT NULL,                               -- seconds since 1970-01-01 UTC
	operation INTEGER NOT NULL,
	outcome   INTEGER NOT NULL,
	purpose   TEXT NOT NULL,
	rows      INTEGER NOT NULL CHECK (rows > 0),
	PRIMARY KEY (unit, start, operation, outcome, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_tallied (
	one      INTEGER PRIMARY KEY CHECK (one = 1),
	position INTEGER NOT NULL -- of the newest row counted
) STRICT;

INSERT INTO journal_tallied (one, position) VALUES (1, 0);
