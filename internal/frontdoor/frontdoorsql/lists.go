package frontdoorsql

import (
	"fmt"

	"bonded"
)

// ListOpen is the list of the cases that go on. The others are named after the
// role that they wait for.
const ListOpen = "open"

// NoDeadline stands for a deadline that is not there.
const NoDeadline = 1 << 40

// A Place is where a case stands in the lists: the most urgent first, then by
// deadline, then in order of filing.
type Place struct {
	Urgency  int
	Deadline int64 // [NoDeadline]: none
	N        uint64
}

// String is the place as it stands in an address.
func (p Place) String() string { return fmt.Sprintf("%d.%d.%d", p.Urgency, p.Deadline, p.N) }

// SetLists puts a case into these lists and out of all others.
func (q Q) SetLists(id bonded.ID, p Place, goesOn bool, lists []string) error {
	if _, err := q.exec(`DELETE FROM front_list WHERE case_id = ?`, id[:]); err != nil {
		return err
	}
	for _, l := range lists {
		if _, err := q.exec(`
			INSERT INTO front_list (list, goes_on, urgency, deadline, n, case_id)
			VALUES (?, ?, ?, ?, ?, ?)`, l, goesOn, p.Urgency, p.Deadline, p.N, id[:]); err != nil {
			return err
		}
	}
	_, err := q.exec(`DELETE FROM front_unlisted WHERE case_id = ?`, id[:])
	return err
}

// Unlist marks every case that is in no final state as one to be put into the
// lists anew.
func (q Q) Unlist() error {
	_, err := q.exec(`
		INSERT INTO front_unlisted (case_id)
		SELECT id
		FROM front_case
		WHERE live = 1
		ON CONFLICT (case_id) DO NOTHING`)
	return err
}

// Unlisted returns cases that have changed since they were put into the lists.
func (q Q) Unlisted(limit int) ([]Case, error) {
	return list(q, scanCase, `
		SELECT `+listedColumns+`
		FROM front_unlisted u
		JOIN front_case c ON c.id = u.case_id
		LIMIT ?`, limit)
}

const listedColumns = `c.id, c.n, c.version, c.state, c.number, c.live, c.agency, c.officer, c.process, c.priority, c.filed, c.due, c.request, c.nonce, c.same, c.body`

// Listed returns cases of a list that go on, after a place, those alone whose
// deadline is before a second. A Place of nothing stands for the beginning.
func (q Q) Listed(of string, after Place, before int64, limit int) ([]Case, []Place, error) {
	type row struct {
		c Case
		p Place
	}
	var out []Case
	var at []Place
	// One look for each urgency goes straight to where its deadlines begin.
	for urgency := max(0, after.Urgency); urgency <= 1 && len(out) < limit; urgency++ {
		deadline, n := int64(0), uint64(0)
		if urgency == after.Urgency {
			deadline, n = after.Deadline, after.N
		}
		rows, err := list(q, func(s scanner) (r row, err error) {
			r.c, err = scanCase(withPlace{s, &r.p})
			return r, err
		}, `
			SELECT `+listedColumns+`, l.urgency, l.deadline, l.n
			FROM front_list l
			JOIN front_case c ON c.id = l.case_id
			WHERE l.list = ? AND l.goes_on = 1 AND l.urgency = ? AND (l.deadline, l.n) > (?, ?) AND l.deadline < ?
			ORDER BY l.deadline, l.n
			LIMIT ?`, of, urgency, deadline, n, before, limit-len(out))
		if err != nil {
			return nil, nil, err
		}
		for i := range rows {
			out, at = append(out, rows[i].c), append(at, rows[i].p)
		}
	}
	return out, at, nil
}

// withPlace scans a place behind a case.
type withPlace struct {
	scanner

	p *Place
}

func (s withPlace) Scan(dest ...any) error {
	return s.scanner.Scan(append(dest, &s.p.Urgency, &s.p.Deadline, &s.p.N)...)
}

// CountListed counts the cases of a list that go on, those alone whose deadline
// is before a second.
func (q Q) CountListed(list string, before int64) (int64, error) {
	return number(q.row(`
		SELECT COUNT(*)
		FROM front_list
		WHERE list = ? AND goes_on = 1 AND urgency IN (0, 1) AND deadline < ?`, list, before))
}

// ListedSince returns cases of a list after n in order of filing: all, or those
// of an officer.
func (q Q) ListedSince(of, officer string, after uint64, limit int) ([]Case, error) {
	if officer == "" {
		return list(q, scanCase, `
			SELECT `+listedColumns+`
			FROM front_list l
			JOIN front_case c ON c.id = l.case_id
			WHERE l.list = ? AND l.n > ?
			ORDER BY l.n
			LIMIT ?`, of, after, limit)
	}
	return list(q, scanCase, `
		SELECT `+listedColumns+`
		FROM front_case c
		JOIN front_list l ON l.case_id = c.id AND l.list = ?
		WHERE c.officer = ? AND c.n > ?
		ORDER BY c.n
		LIMIT ?`, of, officer, after, limit)
}
