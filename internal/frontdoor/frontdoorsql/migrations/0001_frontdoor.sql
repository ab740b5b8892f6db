-- Tables of the front door. Ids are 16 random bytes, times seconds since
-- 1970-01-01 UTC by the local clock unless said otherwise. What is sealed is
-- sealed under the key of cases: no query looks into it.

CREATE TABLE front_value (
	name  TEXT NOT NULL PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE front_case (
	id       BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	n        INTEGER NOT NULL UNIQUE CHECK (n >= 1),
	version  INTEGER NOT NULL CHECK (version >= 1),
	state    TEXT NOT NULL CHECK (state IN (
		'draft', 'submitted', 'verifying', 'preserved', 'under_review', 'clarification', 'narrowed',
		'awaiting_other_authority', 'notice_pending', 'challenge_window', 'challenged', 'awaiting_quorum',
		'emergency_opened', 'opening', 'delivered', 'ratified', 'unratified', 'closed', 'rejected',
		'withdrawn', 'lapsed')),
	number   INTEGER NOT NULL CHECK (number >= 0),
	live     INTEGER NOT NULL CHECK (live IN (0, 1)),
	agency   TEXT NOT NULL,
	officer  TEXT NOT NULL,
	process  TEXT NOT NULL,
	priority TEXT NOT NULL,
	filed    INTEGER NOT NULL,
	due      INTEGER CHECK (due >= 0),
	request  BLOB NOT NULL UNIQUE CHECK (length(request) = 32),
	nonce    TEXT NOT NULL,
	same     BLOB NOT NULL CHECK (length(same) = 32),
	body     BLOB NOT NULL,
	UNIQUE (officer, nonce)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX front_case_same ON front_case (same) WHERE live = 1;
CREATE INDEX front_case_due ON front_case (due) WHERE due IS NOT NULL;
CREATE INDEX front_case_officer ON front_case (officer, n);

CREATE TABLE front_statement (
	case_id BLOB NOT NULL REFERENCES front_case (id),
	n       INTEGER NOT NULL CHECK (n >= 1),
	label   TEXT NOT NULL,
	digest  BLOB NOT NULL CHECK (length(digest) = 32),
	person  TEXT NOT NULL,
	version INTEGER NOT NULL,
	action  TEXT NOT NULL,
	body    BLOB NOT NULL,
	PRIMARY KEY (case_id, n),
	UNIQUE (case_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE front_entry (
	case_id  BLOB NOT NULL REFERENCES front_case (id),
	number   INTEGER NOT NULL CHECK (number >= 1),
	book     INTEGER NOT NULL,
	time     INTEGER NOT NULL,
	event    TEXT NOT NULL,
	from_    TEXT NOT NULL,
	state    TEXT NOT NULL,
	actor    TEXT NOT NULL,
	detail   TEXT NOT NULL,
	decision TEXT NOT NULL,
	PRIMARY KEY (case_id, number)
) STRICT, WITHOUT ROWID;

-- One part of one person in one case: the key of separation.
CREATE TABLE front_part (
	case_id BLOB NOT NULL REFERENCES front_case (id),
	person  TEXT NOT NULL,
	key     BLOB NOT NULL CHECK (length(key) = 32),
	role    TEXT NOT NULL,
	PRIMARY KEY (case_id, person),
	UNIQUE (case_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE front_document (
	case_id BLOB NOT NULL REFERENCES front_case (id),
	sha256  BLOB NOT NULL CHECK (length(sha256) = 32),
	body    BLOB NOT NULL,
	PRIMARY KEY (case_id, sha256)
) STRICT;

CREATE INDEX front_document_digest ON front_document (sha256);

CREATE TABLE front_scope (
	case_id BLOB NOT NULL REFERENCES front_case (id),
	round   INTEGER NOT NULL,
	page    INTEGER NOT NULL CHECK (page >= 0),
	body    BLOB NOT NULL,
	PRIMARY KEY (case_id, round, page)
) STRICT;

CREATE TABLE front_approval (
	case_id   BLOB NOT NULL REFERENCES front_case (id),
	round     INTEGER NOT NULL,
	custodian TEXT NOT NULL,
	role      TEXT NOT NULL,
	approve   INTEGER NOT NULL CHECK (approve IN (0, 1)),
	time      INTEGER NOT NULL,
	body      BLOB NOT NULL,
	PRIMARY KEY (case_id, round, custodian)
) STRICT, WITHOUT ROWID;

CREATE TABLE front_partial (
	case_id   BLOB NOT NULL REFERENCES front_case (id),
	round     INTEGER NOT NULL,
	custodian TEXT NOT NULL,
	start     INTEGER NOT NULL CHECK (start >= 0),
	count     INTEGER NOT NULL CHECK (count >= 1),
	body      BLOB NOT NULL,
	PRIMARY KEY (case_id, round, custodian, start)
) STRICT;

CREATE TABLE front_released (
	case_id BLOB NOT NULL REFERENCES front_case (id),
	round   INTEGER NOT NULL,
	page    INTEGER NOT NULL CHECK (page >= 0),
	opened  INTEGER NOT NULL CHECK (opened >= 0),
	body    BLOB NOT NULL,
	PRIMARY KEY (case_id, round, page)
) STRICT;

-- What is to be done after a commit, or at a time. claimed is until when a
-- worker has it.
CREATE TABLE front_work (
	case_id BLOB NOT NULL,
	kind    TEXT NOT NULL,
	key     TEXT NOT NULL,
	due     INTEGER NOT NULL,
	claimed INTEGER NOT NULL DEFAULT 0,
	tries   INTEGER NOT NULL DEFAULT 0,
	body    BLOB NOT NULL,
	PRIMARY KEY (case_id, kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX front_work_due ON front_work (due);

CREATE TABLE front_nonce (
	person TEXT NOT NULL,
	nonce  BLOB NOT NULL CHECK (length(nonce) = 16),
	time   INTEGER NOT NULL,
	PRIMARY KEY (person, nonce)
) STRICT, WITHOUT ROWID;

CREATE INDEX front_nonce_time ON front_nonce (time);

CREATE TABLE front_register (
	kind     TEXT NOT NULL CHECK (kind IN ('agency', 'person')),
	id       TEXT NOT NULL,
	version  INTEGER NOT NULL CHECK (version >= 1),
	state    TEXT NOT NULL CHECK (state IN ('proposed', 'confirmed', 'suspended')),
	digest   BLOB NOT NULL CHECK (length(digest) = 32),
	body     BLOB NOT NULL,
	proposed INTEGER NOT NULL,
	book     INTEGER NOT NULL DEFAULT 0,
	in_force INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (kind, id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE front_ceremony (
	id      BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	n       INTEGER NOT NULL UNIQUE,
	state   TEXT NOT NULL CHECK (state IN ('running', 'certified', 'failed')),
	reason  TEXT NOT NULL,
	params  BLOB NOT NULL,
	body    BLOB NOT NULL,
	started INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE front_message (
	ceremony BLOB NOT NULL REFERENCES front_ceremony (id),
	n        INTEGER NOT NULL CHECK (n >= 0),
	digest   BLOB NOT NULL CHECK (length(digest) = 32),
	body     BLOB NOT NULL,
	PRIMARY KEY (ceremony, n),
	UNIQUE (ceremony, digest)
) STRICT;

CREATE TABLE front_custody (
	epoch       INTEGER NOT NULL PRIMARY KEY CHECK (epoch >= 1),
	certificate BLOB NOT NULL,
	book        INTEGER NOT NULL
) STRICT;
