-- Tables of a vault. Ids are 16 random bytes, times seconds since 1970-01-01 UTC.

CREATE TABLE vault_value (
	name  TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE collection (
	id   INTEGER NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 65535),
	name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE collection_version (
	collection INTEGER NOT NULL REFERENCES collection (id),
	version    INTEGER NOT NULL CHECK (version >= 1),
	body       BLOB NOT NULL,
	PRIMARY KEY (collection, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE field (
	id         INTEGER NOT NULL PRIMARY KEY CHECK (id BETWEEN 1 AND 65535),
	collection INTEGER NOT NULL REFERENCES collection (id),
	name       TEXT NOT NULL,
	UNIQUE (collection, name)
) STRICT;

CREATE TABLE subject (
	id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	state   TEXT NOT NULL CHECK (state IN ('active', 'erasing')),
	created INTEGER NOT NULL,
	rule    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- n holds the collection's id in its upper bits, so that the rows of one
-- collection lie together and a list needs no index.
CREATE TABLE record (
	n       INTEGER NOT NULL PRIMARY KEY,
	id      BLOB NOT NULL CHECK (length(id) = 16),
	subject BLOB NOT NULL REFERENCES subject (id),
	version INTEGER NOT NULL CHECK (version >= 1),
	created INTEGER NOT NULL,
	due     INTEGER CHECK (due > 0),
	fields  BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX record_place ON record (subject, id);
CREATE INDEX record_due ON record (due) WHERE due IS NOT NULL;

-- value is the first half of the two-lock HMAC, under keys of its field alone.
CREATE TABLE field_index (
	field INTEGER NOT NULL,
	value BLOB NOT NULL CHECK (length(value) = 16),
	n     INTEGER NOT NULL,
	PRIMARY KEY (field, value, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
	id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	subject BLOB NOT NULL REFERENCES subject (id),
	record  BLOB NOT NULL CHECK (length(record) = 16),
	collection INTEGER NOT NULL,
	field   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX token_subject ON token (subject, record);

CREATE TABLE basis (
	id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	subject BLOB NOT NULL REFERENCES subject (id),
	body    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX basis_subject ON basis (subject);

CREATE TABLE replay (
	principal TEXT NOT NULL,
	key       TEXT NOT NULL,
	body_hash BLOB NOT NULL CHECK (length(body_hash) = 32),
	answer    BLOB NOT NULL,
	expires   INTEGER NOT NULL,
	PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX replay_expires ON replay (expires);

CREATE TABLE erasure (
	subject BLOB NOT NULL PRIMARY KEY REFERENCES subject (id),
	asked   INTEGER NOT NULL,
	due     INTEGER NOT NULL,
	claimed INTEGER NOT NULL DEFAULT 0,
	body    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX erasure_due ON erasure (due);

CREATE TABLE tombstone (
	n    INTEGER NOT NULL PRIMARY KEY CHECK (n >= 1),
	mark BLOB NOT NULL UNIQUE CHECK (length(mark) = 32),
	body BLOB NOT NULL
) STRICT;

CREATE TRIGGER tombstone_stays BEFORE DELETE ON tombstone
BEGIN
	SELECT RAISE(ABORT, 'tombstones stay');
END;

CREATE TRIGGER tombstone_is_final BEFORE UPDATE ON tombstone
BEGIN
	SELECT RAISE(ABORT, 'tombstones stay');
END;

CREATE TABLE job (
	id   BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	open INTEGER NOT NULL CHECK (open IN (0, 1)),
	body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
