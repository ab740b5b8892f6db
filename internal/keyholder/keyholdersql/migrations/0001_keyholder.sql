-- The key-use book: only ever appended to.
CREATE TABLE book (
	seq   INTEGER PRIMARY KEY CHECK (seq > 0),
	row   BLOB NOT NULL,
	chain BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;

CREATE TRIGGER book_no_update
BEFORE UPDATE ON book
BEGIN
	SELECT RAISE(ABORT, 'the book is only ever appended to');
END;

CREATE TRIGGER book_no_delete
BEFORE DELETE ON book
BEGIN
	SELECT RAISE(ABORT, 'the book is only ever appended to');
END;

-- Wrapped subject keys. A row that is gone is a person who is erased.
CREATE TABLE subject (
	id      BLOB PRIMARY KEY CHECK (length(id) = 16),
	version INTEGER NOT NULL CHECK (version > 0),
	wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstone (
	n     INTEGER PRIMARY KEY CHECK (n > 0),
	mark  BLOB NOT NULL UNIQUE CHECK (length(mark) = 32),
	bytes BLOB NOT NULL
) STRICT;

CREATE TRIGGER tombstone_no_update
BEFORE UPDATE ON tombstone
BEGIN
	SELECT RAISE(ABORT, 'tombstones stay');
END;

CREATE TRIGGER tombstone_no_delete
BEFORE DELETE ON tombstone
BEGIN
	SELECT RAISE(ABORT, 'tombstones stay');
END;

-- One row each, replaced as a whole.
CREATE TABLE kept (
	name  TEXT PRIMARY KEY CHECK (name IN ('grants', 'anchor')),
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
