-- The custodians' key set in force: one row, replaced as a whole.
CREATE TABLE custody (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	key_set BLOB NOT NULL
) STRICT;
