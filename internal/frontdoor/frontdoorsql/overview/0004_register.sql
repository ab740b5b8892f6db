-- How often the register has changed, so that who has read it knows whether it
-- is still the same.

CREATE TABLE front_register_head (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	changes INTEGER NOT NULL
) STRICT;

INSERT INTO front_register_head (one, changes) VALUES (1, 0);

CREATE TRIGGER front_register_added AFTER INSERT ON front_register
BEGIN
	UPDATE front_register_head SET changes = changes + 1;
END;

CREATE TRIGGER front_register_changed AFTER UPDATE ON front_register
BEGIN
	UPDATE front_register_head SET changes = changes + 1;
END;
