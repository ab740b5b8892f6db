-- How many cases are in each state, kept with every change of one, so that
-- nobody has to go through them.

CREATE TABLE front_state_count (
	state TEXT NOT NULL PRIMARY KEY,
	cases INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO front_state_count (state, cases)
SELECT state, COUNT(*)
FROM front_case
GROUP BY state;

CREATE TRIGGER front_case_counted AFTER INSERT ON front_case
BEGIN
	INSERT INTO front_state_count (state, cases) VALUES (NEW.state, 1)
	ON CONFLICT (state) DO UPDATE SET cases = cases + 1;
END;

CREATE TRIGGER front_case_recounted AFTER UPDATE OF state ON front_case WHEN OLD.state <> NEW.state
BEGIN
	UPDATE front_state_count SET cases = cases - 1 WHERE state = OLD.state;
	INSERT INTO front_state_count (state, cases) VALUES (NEW.state, 1)
	ON CONFLICT (state) DO UPDATE SET cases = cases + 1;
END;

CREATE TRIGGER front_case_uncounted AFTER DELETE ON front_case
BEGIN
	UPDATE front_state_count SET cases = cases - 1 WHERE state = OLD.state;
END;
