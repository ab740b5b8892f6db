-- People whom a case keeps from erasure and retention.
CREATE TABLE hold (
	case_id BLOB NOT NULL CHECK (length(case_id) = 16),
	subject BLOB NOT NULL CHECK (length(subject) = 16),
	PRIMARY KEY (case_id, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_subject ON hold (subject);
