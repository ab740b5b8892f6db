//go:build unix

package casebook

import (
	"context"
	"database/sql"
	"errors"

	"bonded/internal/sqldb"
	"bonded/verify"
)

// extensionClosed is what an extension keeps closed at the date that it moves.
var extensionClosed = mustClosed(verify.FieldType, verify.FieldExtends, verify.FieldUntil)

func mustClosed(open ...string) string {
	var withhold []string
	for _, n := range verify.CaseFields {
		shut := true
		for _, o := range open {
			shut = shut && n != o
		}
		if shut {
			withhold = append(withhold, n)
		}
	}
	s, err := closedText(withhold)
	if err != nil {
		panic(err) // names of our own table
	}
	return s
}

// What one commit handles at most.
const (
	datePage   = 128 // leaves
	cohortPage = 64  // dates
)

// dates does everything that depends on dates, by witness time.
func (b *Book) dates(ctx context.Context) error {
	t := b.witnessTime()
	for more := t > 0; more; {
		opened := 0
		err := b.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) (err error) {
			more, opened, err = b.datesPage(tx, t)
			return err
		})
		if err != nil {
			return err
		}
		if opened > 0 {
			b.wake()
		}
	}
	return nil
}

// datesPage does a part of what is due at t, and reports whether there is
// more.
func (b *Book) datesPage(tx *sqldb.Tx, t int64) (more bool, opened int, err error) {
	// 1. Decide which leaves will be extended, a while before their date.
	for range cohortPage {
		if more, err = b.planCohort(tx, t); err != nil {
			return false, 0, err
		}
		if !more {
			break
		}
	}
	if more {
		return true, 0, nil
	}

	// 2. Queue the extensions whose time has come, and those of holds that
	// came late.
	if err := b.queueExtensions(tx, t); err != nil {
		return false, 0, err
	}

	// 3. Open or extend what is due, dates in order and leaves of one date in
	// none.
	before, err := openings(tx)
	if err != nil {
		return false, 0, err
	}
	due, err := dueLeaves(tx, t)
	if err != nil {
		return false, 0, err
	}
	for _, id := range due[:min(len(due), datePage)] {
		if err := b.settle(tx, id, t); err != nil {
			return false, 0, err
		}
	}
	if len(due) > datePage {
		return true, datePage, nil
	}

	// 4. What a hold kept closed beyond its date and keeps no longer.
	if err := b.endHolds(tx, t); err != nil {
		return false, 0, err
	}
	after, err := openings(tx)
	return false, int(after - before), err
}

// openings returns how many openings the feed has.
func openings(tx *sqldb.Tx) (n int64, err error) {
	err = tx.QueryRow("SELECT COALESCE(MAX(number), 0) FROM casebook_openings").Scan(&n)
	return n, err
}

// A candidate is a closed leaf whose next date is being planned.
type candidate struct {
	id     int64
	cover  bool
	held   bool
	again  bool // it was extended before
	public bool // known to be an extension: it opens at its date
}

// planCohort decides for the leaves of the earliest date that is near enough
// at t and not planned yet which of them are extended, and reports whether
// there was one.
//
// Coins are thrown for all of them alike, so that the number of extensions is
// what it would be without any secret. Leaves that are held take the places; if
// they are more, later dates make do with fewer. Of a date that went by while
// the vault stood still only what is held is extended: all of it would come too
// late.
func (b *Book) planCohort(tx *sqldb.Tx, t int64) (bool, error) {
	var due sql.NullInt64
	err := tx.QueryRow("SELECT MIN(due) FROM casebook_leaves WHERE opened = 0 AND planned = 0 AND due <= ?", t+b.lead).Scan(&due)
	if err != nil || !due.Valid {
		return false, err
	}
	cohort, err := candidates(tx, due.Int64)
	if err != nil {
		return false, err
	}
	var chosen []candidate
	for _, again := range []bool{false, true} {
		some, err := b.choose(tx, cohort, again, due.Int64 <= t)
		if err != nil {
			return false, err
		}
		chosen = append(chosen, some...)
	}
	if _, err := tx.Exec("UPDATE casebook_leaves SET planned = 1 WHERE opened = 0 AND planned = 0 AND due = ?", due.Int64); err != nil {
		return false, err
	}
	for _, c := range chosen {
		at := due.Int64 - b.lead + draw(b.lead/2+1)
		if _, err := tx.Exec("UPDATE casebook_leaves SET extend_at = ?, held = ? WHERE id = ?", at, c.held, c.id); err != nil {
			return false, err
		}
	}
	return true, nil
}

func candidates(tx *sqldb.Tx, due int64) ([]candidate, error) {
	rows, err := tx.Query("SELECT l.id, l.seed IS NOT NULL, l.extended > 0, COALESCE(e.type = 'extension', 0), "+
		"EXISTS (SELECT 1 FROM casebook_holds h WHERE h.case_id = e.case_id AND h.until > l.due) "+
		"FROM casebook_leaves l LEFT JOIN casebook_entries e ON e.leaf = l.id WHERE l.opened = 0 AND l.planned = 0 AND l.due = ?", due)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []candidate
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.id, &c.cover, &c.again, &c.public, &c.held); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// choose picks the leaves to extend among those that were extended before, or
// among the others; of a date that is past, those that are held.
func (b *Book) choose(tx *sqldb.Tx, cohort []candidate, again, past bool) ([]candidate, error) {
	share, name := b.cfg.ExtendCovers, "debt_first"
	if again {
		share, name = b.cfg.ExtendAgain, "debt_again"
	}
	var want int64
	var held, covers []candidate
	for _, c := range cohort {
		if c.again != again || c.public {
			continue
		}
		if chance(share) {
			want++
		}
		switch {
		case c.held:
			held = append(held, c)
		case c.cover:
			covers = append(covers, c)
		}
	}
	if past {
		return held, nil
	}
	debt, err := loadValue(tx, name, 0)
	if err != nil {
		return nil, err
	}
	take := min(max(want-debt-int64(len(held)), 0), int64(len(covers)))
	shuffle(covers)
	chosen := append(held, covers[:take]...)
	return chosen, storeValue(tx, name, debt+int64(len(chosen))-want)
}

// queueExtensions queues the extensions planned for t or before, and those of
// leaves that came to be held after they were planned.
func (b *Book) queueExtensions(tx *sqldb.Tx, t int64) error {
	ids, err := queryInts(tx, "SELECT id FROM casebook_leaves WHERE extend_at <= ? AND opened = 0 ORDER BY extend_at, id", t)
	if err != nil {
		return err
	}
	late, err := queryInts(tx, "SELECT l.id FROM casebook_holds h JOIN casebook_entries e ON e.case_id = h.case_id JOIN casebook_leaves l ON l.id = e.leaf "+
		"WHERE l.opened = 0 AND l.planned = 1 AND l.extend_at IS NULL AND l.extension IS NULL AND l.due <= ? AND h.until > max(l.due, ?)", t+b.lead/2, t)
	if err != nil {
		return err
	}
	for _, id := range late {
		if err := b.takePlace(tx, id); err != nil {
			return err
		}
	}
	ids = append(ids, late...)
	shuffle(ids)
	for _, id := range ids {
		if err := b.extend(tx, id, t); err != nil {
			return err
		}
	}
	return nil
}

// takePlace counts an extension that nothing was planned for: a later date
// makes do with one fewer.
func (b *Book) takePlace(tx *sqldb.Tx, leaf int64) error {
	var again bool
	if err := tx.QueryRow("SELECT extended > 0 FROM casebook_leaves WHERE id = ?", leaf).Scan(&again); err != nil {
		return err
	}
	name := "debt_first"
	if again {
		name = "debt_again"
	}
	debt, err := loadValue(tx, name, 0)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE casebook_leaves SET held = 1 WHERE id = ?", leaf); err != nil {
		return err
	}
	return storeValue(tx, name, debt+1)
}

// extend queues the extension of a leaf: by one horizon, or by as many as lead
// beyond t. It says nothing else, so that those of covers and of cases are one.
func (b *Book) extend(tx *sqldb.Tx, leaf, t int64) error {
	var hash []byte
	var until int64
	if err := tx.QueryRow("SELECT hash, due FROM casebook_leaves WHERE id = ?", leaf).Scan(&hash, &until); err != nil {
		return err
	}
	for until += b.horizon; until <= t; until += b.horizon {
	}
	e := verify.CaseEntry{Type: verify.EntryExtension, Until: uint64(until)} //nolint:gosec // after 1970
	copy(e.Extends[:], hash)
	id, err := b.insert(tx, &e, e.Fields(randomSalt), &until)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE casebook_leaves SET extend_at = NULL, extension = ? WHERE id = ?", id, leaf)
	return err
}

// dueLeaves returns leaves that are due at t and not waiting for an extension
// to get into the ledger.
func dueLeaves(tx *sqldb.Tx, t int64) ([]int64, error) {
	rows, err := tx.Query("SELECT l.id, l.due FROM casebook_leaves l WHERE l.opened = 0 AND l.due <= ? AND l.ledger_index IS NOT NULL AND "+
		"(l.extension IS NULL OR EXISTS (SELECT 1 FROM casebook_entries x JOIN casebook_leaves xl ON xl.id = x.leaf WHERE x.id = l.extension AND xl.ledger_index IS NOT NULL)) "+
		"ORDER BY l.due LIMIT ?", t, datePage+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []int64
	var date int64
	first := 0 // of the leaves of one date
	for rows.Next() {
		var id, due int64
		if err := rows.Scan(&id, &due); err != nil {
			return nil, err
		}
		if due != date {
			shuffle(out[first:])
			date, first = due, len(out)
		}
		out = append(out, id)
	}
	shuffle(out[first:])
	return out, rows.Err()
}

// settle does for a leaf what its date asks: it opens, or its extension comes
// into force.
func (b *Book) settle(tx *sqldb.Tx, id, t int64) error {
	var opened bool
	var kase []byte
	var extension, extLeaf, extIndex, until sql.NullInt64
	err := tx.QueryRow("SELECT l.opened, e.case_id, l.extension, x.leaf, xl.ledger_index, x.until FROM casebook_leaves l LEFT JOIN casebook_entries e ON e.leaf = l.id "+
		"LEFT JOIN casebook_entries x ON x.id = l.extension LEFT JOIN casebook_leaves xl ON xl.id = x.leaf WHERE l.id = ? AND l.due <= ?", id, t).
		Scan(&opened, &kase, &extension, &extLeaf, &extIndex, &until)
	if errors.Is(err, sql.ErrNoRows) || err == nil && opened {
		return nil
	}
	if err != nil {
		return err
	}

	// 1. An extension that is in the ledger moves the date.
	if extIndex.Valid {
		if err := b.publish(tx, extLeaf.Int64, extensionClosed); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE casebook_leaves SET due = ?, extended = extended + 1, planned = 0, extension = NULL WHERE id = ?", until.Int64, id)
		return err
	}

	// 2. One that is queued and late keeps the leaf closed until it is.
	if extension.Valid {
		return nil
	}

	// 3. Nothing keeps it closed.
	held, err := b.heldAt(tx, kase, t)
	if err != nil {
		return err
	}
	if held {
		if err := b.takePlace(tx, id); err != nil {
			return err
		}
		return b.extend(tx, id, t)
	}
	return b.publish(tx, id, onlyPerson)
}

// endHolds opens the leaves that a hold has kept closed beyond their date, if
// it keeps them no longer.
func (b *Book) endHolds(tx *sqldb.Tx, t int64) error {
	ids, err := queryInts(tx, "SELECT l.id FROM casebook_leaves l JOIN casebook_entries e ON e.leaf = l.id WHERE l.held = 1 AND l.opened = 0 AND l.extended > 0 "+
		"AND NOT EXISTS (SELECT 1 FROM casebook_holds h WHERE h.case_id = e.case_id AND h.until > ?)", t)
	if err != nil {
		return err
	}
	shuffle(ids)
	for _, id := range ids {
		if err := b.publish(tx, id, onlyPerson); err != nil {
			return err
		}
	}
	return nil
}
