//go:build unix

package casebook

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// personAt is the place of the person among the fields; it is the last.
const personAt = len(verify.CaseFields) - 1

// Add queues an entry in the caller's transaction and returns its id: what it
// stands for and the entry are one commit. Salts are chosen here and are
// durable with it. The leaf is made in one of the next slots, in the order of
// entries; [Book.Await] waits for its receipt.
//
// E is of type case, registry or custody. Number counts within the case and is
// given here: leave it and Previous zero. Persons are the subjects whose data
// the field person holds, if it is not the subject itself: see
// [Book.ErasePerson].
//
// An entry that is none has code [bonded.CodeInvalid].
func (b *Book) Add(tx *sqldb.Tx, e *verify.CaseEntry, persons ...[]byte) (int64, error) {
	// 1. What may be an entry.
	bad := func(field, message string) (int64, error) {
		return 0, &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: message}
	}
	switch {
	case e.Type != verify.EntryCase && e.Type != verify.EntryRegistry && e.Type != verify.EntryCustody:
		return bad(verify.FieldType, "only case, registry and custody entries are added")
	case (e.Type == verify.EntryCase) == e.Case.IsZero():
		return bad(verify.FieldCase, "a case entry names its case, and no other entry does")
	case e.Number != 0 || e.Previous != [32]byte{} || e.Until != 0 || e.Extends != [32]byte{}:
		return bad(verify.FieldNumber, "number, previous, until and extends are filled in by the ledger of cases")
	}
	entry := *e
	if e.Type == verify.EntryCase {
		if err := tx.QueryRow("SELECT COALESCE(MAX(number), 0) + 1 FROM casebook_entries WHERE case_id = ?", e.Case[:]).Scan(&entry.Number); err != nil {
			return 0, fmt.Errorf("add entry: %w", err)
		}
	}
	fields := entry.Fields(randomSalt)
	values := make([][]byte, len(fields))
	for i := range fields {
		values[i] = fields[i].Value
	}
	if _, err := verify.ParseCaseEntry(values); err != nil {
		return bad("entry", "a value is longer than an entry takes, or is not plain text")
	}

	// 2. The entry, and whose data it holds.
	id, err := b.insert(tx, &entry, fields, nil)
	if err != nil {
		return 0, fmt.Errorf("add entry: %w", err)
	}
	if len(persons) == 0 && len(e.Person) > 0 {
		persons = [][]byte{e.Person}
	}
	for _, p := range persons {
		if _, err := tx.Exec("INSERT INTO casebook_persons (subject, entry) VALUES (?, ?) ON CONFLICT DO NOTHING", p, id); err != nil {
			return 0, fmt.Errorf("add entry: %w", err)
		}
	}
	return id, nil
}

// insert queues an entry; until is that of an extension.
func (b *Book) insert(tx *sqldb.Tx, e *verify.CaseEntry, fields []verify.LeafField, until *int64) (id int64, err error) {
	var kase, number any
	if e.Type == verify.EntryCase {
		kase, number = e.Case[:], int64(e.Number) //nolint:gosec // a count
	}
	commitment := fields[personAt].Commitment()
	err = tx.QueryRow("INSERT INTO casebook_entries (type, case_id, number, fields, person, commitment, until) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
		e.Type, kase, number, verify.EncodeFields(fields[:personAt]), verify.EncodeFields(fields[personAt:]), commitment[:], until).Scan(&id)
	return id, err
}

// Hold keeps the entries of a case closed while witness time is before until,
// whole seconds: at their dates they are extended. The zero time ends that.
// When a hold has ended, entries that were extended under it open at once, the
// others at their dates.
func (b *Book) Hold(tx *sqldb.Tx, kase bonded.ID, until time.Time) error {
	var err error
	if until.IsZero() {
		_, err = tx.Exec("DELETE FROM casebook_holds WHERE case_id = ?", kase[:])
	} else {
		_, err = tx.Exec("INSERT INTO casebook_holds (case_id, until) VALUES (?, ?) ON CONFLICT (case_id) DO UPDATE SET until = excluded.until", kase[:], until.Unix())
	}
	if err != nil {
		return fmt.Errorf("hold case: %w", err)
	}
	return nil
}

// Reveal opens an entry before its date, in the caller's transaction: at once
// if it is witnessed, else as soon as it is. The person is always withheld,
// other fields as named; what is withheld opens at the date of the entry.
// Revealing twice changes nothing.
//
// While a hold on its case is in force the error has code
// [bonded.CodeForbidden]: end the hold first, in the same transaction. No such
// entry is [bonded.CodeWithheld].
func (b *Book) Reveal(tx *sqldb.Tx, entry int64, withhold ...string) error {
	closed, err := closedText(withhold)
	if err != nil {
		return err
	}
	var kase []byte
	var leaf, index sql.NullInt64
	err = tx.QueryRow("SELECT e.case_id, e.leaf, l.ledger_index FROM casebook_entries e LEFT JOIN casebook_leaves l ON l.id = e.leaf WHERE e.id = ?", entry).
		Scan(&kase, &leaf, &index)
	if errors.Is(err, sql.ErrNoRows) {
		return noEntry(entry)
	}
	if err != nil {
		return fmt.Errorf("reveal entry %d: %w", entry, err)
	}
	held, err := b.heldAt(tx, kase, b.witnessTime())
	if err != nil {
		return fmt.Errorf("reveal entry %d: %w", entry, err)
	}
	if held {
		return &bonded.Error{
			Code: bonded.CodeForbidden, Message: fmt.Sprintf("entry %d is of a case that is held secret", entry), Rules: []string{"casebook.hold"},
			Hint: "end the hold in the same transaction",
		}
	}
	if !index.Valid {
		_, err = tx.Exec("UPDATE casebook_entries SET reveal = ? WHERE id = ?", closed, entry)
	} else {
		err = b.publish(tx, leaf.Int64, closed)
	}
	if err != nil {
		return fmt.Errorf("reveal entry %d: %w", entry, err)
	}
	return nil
}

// RevealCase is [Book.Reveal] for all entries that a case has so far.
func (b *Book) RevealCase(tx *sqldb.Tx, kase bonded.ID, withhold ...string) error {
	ids, err := queryInts(tx, "SELECT id FROM casebook_entries WHERE case_id = ? ORDER BY id", kase[:])
	if err != nil {
		return fmt.Errorf("reveal case: %w", err)
	}
	for _, id := range ids {
		if err := b.Reveal(tx, id, withhold...); err != nil {
			return err
		}
	}
	return nil
}

// ErasePerson deletes the salt and the value of the field person in every
// entry that holds data of that subject: nobody can open those any more, and
// the commitment that stays says nothing. All other fields open as before.
func (b *Book) ErasePerson(ctx context.Context, subject []byte) error {
	err := b.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec("UPDATE casebook_entries SET person = NULL WHERE id IN (SELECT entry FROM casebook_persons WHERE subject = ?)", subject); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM casebook_persons WHERE subject = ?", subject)
		return err
	})
	if err != nil {
		return fmt.Errorf("erase person from the ledger of cases: %w", err)
	}
	return nil
}

// closedText returns the names of the fields an opening keeps closed, in their
// order, the person always among them.
func closedText(withhold []string) (string, error) {
	for _, w := range withhold {
		if !slices.Contains(verify.CaseFields[:], w) {
			return "", &bonded.Error{Code: bonded.CodeInvalid, Field: w, Message: "an entry has no such field to withhold"}
		}
	}
	var names []string
	for _, n := range verify.CaseFields {
		if n == verify.FieldPerson || slices.Contains(withhold, n) {
			names = append(names, n)
		}
	}
	return strings.Join(names, " "), nil
}

// heldAt reports whether the case is held at t, seconds; a nil case is none.
func (b *Book) heldAt(tx *sqldb.Tx, kase []byte, t int64) (held bool, err error) {
	if kase == nil {
		return false, nil
	}
	err = tx.QueryRow("SELECT EXISTS (SELECT 1 FROM casebook_holds WHERE case_id = ? AND until > ?)", kase, t).Scan(&held)
	return held, err
}

// setPrevious fills in the one field that is known only with the leaf.
func setPrevious(fields []verify.LeafField, hash []byte) {
	for i := range fields {
		if fields[i].Name == verify.FieldPrevious {
			fields[i].Value = hash
		}
	}
}

func numberOf(fields []verify.LeafField) uint64 {
	for i := range fields {
		if fields[i].Name == verify.FieldNumber && len(fields[i].Value) == 8 {
			return binary.BigEndian.Uint64(fields[i].Value)
		}
	}
	return 0
}

func noEntry(id int64) error {
	return bonded.Errorf(bonded.CodeWithheld, "the ledger of cases has no entry %d", id)
}

func queryInts(tx *sqldb.Tx, query string, args ...any) ([]int64, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // only read from
	var out []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}
