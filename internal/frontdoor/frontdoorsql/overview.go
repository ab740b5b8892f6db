package frontdoorsql

import (
	"context"
	"embed"
	"io/fs"

	"bonded"
	"bonded/internal/sqldb"
)

//go:embed overview/*.sql
var overview embed.FS

// migrateOverview makes the tables that follow from the others.
func migrateOverview(ctx context.Context, db *sqldb.DB) error {
	files, err := fs.Sub(overview, "overview")
	if err != nil {
		return err
	}
	return db.Migrate(ctx, "frontdoor-overview", files)
}

// SetDeadline notes the deadline of a case, in seconds; 0 takes it away.
func (q Q) SetDeadline(id bonded.ID, deadline int64) error {
	if deadline == 0 {
		_, err := q.exec(`DELETE FROM front_deadline WHERE case_id = ?`, id[:])
		return err
	}
	_, err := q.exec(`
		INSERT INTO front_deadline (case_id, deadline)
		VALUES (?, ?)
		ON CONFLICT (case_id) DO UPDATE SET deadline = excluded.deadline`, id[:], deadline)
	return err
}

// A Deadline is that of a case that goes on.
type Deadline struct {
	Case                     bonded.ID
	State, Process, Priority string
	Deadline                 int64
}

// Deadlines returns the earliest ones, those passed first.
func (q Q) Deadlines(limit int) ([]Deadline, error) {
	return list(q, func(s scanner) (d Deadline, err error) {
		var id []byte
		err = s.Scan(&id, &d.Deadline, &d.State, &d.Process, &d.Priority)
		copy(d.Case[:], id)
		return d, err
	}, `
		SELECT d.case_id, d.deadline, c.state, c.process, c.priority
		FROM front_deadline d
		JOIN front_case c ON c.id = d.case_id
		ORDER BY d.deadline
		LIMIT ?`, limit)
}

// Overdue counts the deadlines before a second, up to a limit.
func (q Q) Overdue(now int64, limit int) (int64, error) {
	return number(q.row(`SELECT COUNT(*) FROM (SELECT 1 FROM front_deadline WHERE deadline < ? LIMIT ?)`, now, limit))
}

// CountStates counts the cases in each state.
func (q Q) CountStates() ([]Tally, error) {
	return list(q, func(s scanner) (t Tally, err error) { return t, s.Scan(&t.State, &t.Count) }, `
		SELECT state, cases
		FROM front_state_count`)
}
