-- What was put in force and what waits: one row, replaced as a whole.
CREATE TABLE control (
	id    INTEGER PRIMARY KEY CHECK (id = 1),
	value BLOB NOT NULL
) STRICT;
