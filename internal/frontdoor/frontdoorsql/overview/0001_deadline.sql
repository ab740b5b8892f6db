-- The deadlines of cases that go on, in the open, since those at rest in a case
-- are sealed: who looks for the next ones opens no case. It follows from the
-- cases.

CREATE TABLE front_deadline (
	case_id  BLOB NOT NULL PRIMARY KEY REFERENCES front_case (id),
	deadline INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX front_deadline_next ON front_deadline (deadline);

CREATE INDEX IF NOT EXISTS front_case_state ON front_case (state, n);
