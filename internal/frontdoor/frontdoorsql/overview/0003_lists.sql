-- Which lists a case stands in, in the open: that of those that go on, named
-- open, and for each role that of the cases that wait for it. Who asks for a
-- list opens no other case. It follows from the cases.

CREATE TABLE front_list (
	list     TEXT NOT NULL,
	goes_on  INTEGER NOT NULL CHECK (goes_on IN (0, 1)),
	urgency  INTEGER NOT NULL CHECK (urgency IN (0, 1)), -- 0 is the most urgent
	deadline INTEGER NOT NULL,                           -- 2^40: none
	n        INTEGER NOT NULL,
	case_id  BLOB NOT NULL,
	PRIMARY KEY (list, goes_on, urgency, deadline, n)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX front_list_case ON front_list (case_id, list);
CREATE UNIQUE INDEX front_list_filed ON front_list (list, n);

-- Cases that have changed since they were put into lists. Whoever changes one
-- puts it into them in the same commit, but for a release that knows no lists.
CREATE TABLE front_unlisted (
	case_id BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO front_unlisted (case_id)
SELECT id
FROM front_case
WHERE live = 1;

CREATE TRIGGER front_case_moved AFTER UPDATE ON front_case
BEGIN
	INSERT INTO front_unlisted (case_id) VALUES (NEW.id)
	ON CONFLICT (case_id) DO NOTHING;
END;

CREATE TRIGGER front_case_gone AFTER DELETE ON front_case
BEGIN
	DELETE FROM front_list WHERE case_id = OLD.id;
	DELETE FROM front_unlisted WHERE case_id = OLD.id;
END;

CREATE INDEX front_case_officer_state ON front_case (officer, state, n);
CREATE INDEX front_case_tally ON front_case (state, process);
