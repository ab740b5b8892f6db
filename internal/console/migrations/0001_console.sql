-- Links by which somebody enrols, once. Only the hash of a code is kept.
CREATE TABLE invite (
	hash    BLOB PRIMARY KEY,
	person  TEXT NOT NULL,
	maker   TEXT NOT NULL,
	made    INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	used    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Passkeys, each with the seed of its owner's signing key, sealed in their
-- browser under a secret that only the passkey can make.
CREATE TABLE passkey (
	id         BLOB PRIMARY KEY,
	person     TEXT NOT NULL,
	name       TEXT NOT NULL,
	key        TEXT NOT NULL, -- public signing key, base64
	salt       BLOB NOT NULL,
	wrapped    BLOB NOT NULL,
	credential TEXT NOT NULL, -- JSON
	made       INTEGER NOT NULL,
	used       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX passkey_person ON passkey (person);

-- Sessions. Only the hash of what the browser has is kept.
CREATE TABLE session (
	hash    BLOB PRIMARY KEY,
	person  TEXT NOT NULL,
	way     TEXT NOT NULL, -- passkey or oidc
	passkey BLOB,
	key     TEXT NOT NULL, -- public signing key of the passkey; empty: none
	agent   TEXT NOT NULL,
	made    INTEGER NOT NULL,
	seen    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_person ON session (person);
