package frontdoorsql

import "bonded"

// PutScopePage keeps one sealed page of the items of a scope.
func (q Q) PutScopePage(id bonded.ID, round uint64, page int, body []byte) error {
	_, err := q.exec(`
		INSERT INTO front_scope (case_id, round, page, body)
		VALUES (?, ?, ?, ?)`, id[:], round, page, body)
	return err
}

// ScopePage returns one sealed page, nil if it is not there.
func (q Q) ScopePage(id bonded.ID, round uint64, page int) ([]byte, error) {
	v, err := one(q, blob, `SELECT body FROM front_scope WHERE case_id = ? AND round = ? AND page = ?`, id[:], round, page)
	if v == nil {
		return nil, err
	}
	return *v, err
}

// An Approval is a custodian's decision on the scope of a round.
type Approval struct {
	Custodian string
	Role      string
	Approve   bool
	Time      int64
	Body      []byte // canonical
}

// AddApproval keeps a decision; a second one of the same custodian is an error
// that [IsTaken] knows.
func (q Q) AddApproval(id bonded.ID, round uint64, a *Approval) error {
	_, err := q.exec(`
		INSERT INTO front_approval (case_id, round, custodian, role, approve, time, body)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, id[:], round, a.Custodian, a.Role, a.Approve, a.Time, a.Body)
	return err
}

// Approvals returns the decisions on the scope of a round.
func (q Q) Approvals(id bonded.ID, round uint64) ([]Approval, error) {
	return list(q, func(s scanner) (a Approval, err error) {
		return a, s.Scan(&a.Custodian, &a.Role, &a.Approve, &a.Time, &a.Body)
	}, `
		SELECT custodian, role, approve, time, body
		FROM front_approval
		WHERE case_id = ? AND round = ?
		ORDER BY role, custodian`, id[:], round)
}

// A Partials is one page of a custodian's partials. Body is their canonical
// list.
type Partials struct {
	Custodian    string
	Start, Count int
	Body         []byte
}

// AddPartials keeps a page; the same page again is an error that [IsTaken]
// knows.
func (q Q) AddPartials(id bonded.ID, round uint64, p *Partials) error {
	_, err := q.exec(`
		INSERT INTO front_partial (case_id, round, custodian, start, count, body)
		VALUES (?, ?, ?, ?, ?, ?)`, id[:], round, p.Custodian, p.Start, p.Count, p.Body)
	return err
}

// PartialsHave returns how many items from the first a custodian has covered.
func (q Q) PartialsHave(id bonded.ID, round uint64, custodian string) (int, error) {
	n, err := number(q.row(`
		SELECT COALESCE(MAX(start + count), 0)
		FROM front_partial
		WHERE case_id = ? AND round = ? AND custodian = ?`, id[:], round, custodian))
	return int(n), err
}

// PartialsOver returns the pages that cover any of the items [from, to).
func (q Q) PartialsOver(id bonded.ID, round uint64, from, to int) ([]Partials, error) {
	return list(q, func(s scanner) (p Partials, err error) {
		return p, s.Scan(&p.Custodian, &p.Start, &p.Count, &p.Body)
	}, `
		SELECT custodian, start, count, body
		FROM front_partial
		WHERE case_id = ? AND round = ? AND start < ? AND start + count > ?
		ORDER BY custodian, start`, id[:], round, to, from)
}

// PutReleased keeps what the vault released for one page of a scope; once is
// enough.
func (q Q) PutReleased(id bonded.ID, round uint64, page, opened int, body []byte) error {
	_, err := q.exec(`
		INSERT INTO front_released (case_id, round, page, opened, body)
		VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (case_id, round, page) DO NOTHING`, id[:], round, page, opened, body)
	return err
}

// Released returns what was released for a page, nil if nothing was yet.
func (q Q) Released(id bonded.ID, round uint64, page int) ([]byte, error) {
	v, err := one(q, blob, `SELECT body FROM front_released WHERE case_id = ? AND round = ? AND page = ?`, id[:], round, page)
	if v == nil {
		return nil, err
	}
	return *v, err
}

// ReleasedSoFar returns how many pages are released, and how many items of
// them opened.
func (q Q) ReleasedSoFar(id bonded.ID, round uint64) (pages, opened int, err error) {
	err = q.row(`
		SELECT COUNT(*), COALESCE(SUM(opened), 0)
		FROM front_released
		WHERE case_id = ? AND round = ?`, id[:], round).Scan(&pages, &opened)
	return pages, opened, err
}

// DropReleased forgets what was released for a case, once the package holds it.
func (q Q) DropReleased(id bonded.ID) error {
	_, err := q.exec(`DELETE FROM front_released WHERE case_id = ?`, id[:])
	return err
}

// A Work is something to do. The case is zero for work of none.
type Work struct {
	Case  bonded.ID
	Kind  string
	Key   string
	Due   int64
	Tries int
	Body  []byte
}

func scanWork(s scanner) (w Work, err error) {
	var id []byte
	err = s.Scan(&id, &w.Kind, &w.Key, &w.Due, &w.Tries, &w.Body)
	copy(w.Case[:], id)
	return w, err
}

// AddWork adds work; what is there already under the same case, kind and key
// stays.
func (q Q) AddWork(w *Work) error {
	_, err := q.exec(`
		INSERT INTO front_work (case_id, kind, key, due, body)
		VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (case_id, kind, key) DO NOTHING`, w.Case[:], w.Kind, w.Key, w.Due, present(w.Body))
	return err
}

// present is b, empty and not NULL if there is nothing.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// ClaimWork takes the work that is due longest, for its worker alone until a
// time; nil if none is due.
func (q Q) ClaimWork(now, until int64) (*Work, error) {
	if q.tx == nil {
		return nil, errReadOnly
	}
	return one(q, scanWork, `
		UPDATE front_work
		SET claimed = ?, tries = tries + 1
		WHERE (case_id, kind, key) = (
			SELECT case_id, kind, key
			FROM front_work
			WHERE due <= ? AND claimed <= ?
			ORDER BY due
			LIMIT 1)
		RETURNING case_id, kind, key, due, tries, body`, until, now, now)
}

// DeferWork gives work back until a time, with what it needs then.
func (q Q) DeferWork(w *Work, due int64) error {
	_, err := q.exec(`
		UPDATE front_work
		SET due = ?, claimed = 0, body = ?
		WHERE case_id = ? AND kind = ? AND key = ?`, due, present(w.Body), w.Case[:], w.Kind, w.Key)
	return err
}

// GiveBackWork gives work back that was done and is there all the same, since
// more of it came meanwhile. It leaves alone what is not claimed any more.
func (q Q) GiveBackWork(w *Work, due int64) error {
	_, err := q.exec(`
		UPDATE front_work
		SET due = ?, claimed = 0
		WHERE case_id = ? AND kind = ? AND key = ? AND claimed > 0`, due, w.Case[:], w.Kind, w.Key)
	return err
}

// KeepWork writes what claimed work needs.
func (q Q) KeepWork(w *Work) error {
	_, err := q.exec(`UPDATE front_work SET body = ? WHERE case_id = ? AND kind = ? AND key = ?`, present(w.Body), w.Case[:], w.Kind, w.Key)
	return err
}

// HastenWork makes work due now, if it is not sooner.
func (q Q) HastenWork(id bonded.ID, kind string, now int64) error {
	_, err := q.exec(`UPDATE front_work SET due = ? WHERE case_id = ? AND kind = ? AND due > ?`, now, id[:], kind, now)
	return err
}

// HastenKinds makes work of some kinds due now, of all cases.
func (q Q) HastenKinds(now int64, kinds ...string) error {
	for _, k := range kinds {
		if _, err := q.exec(`UPDATE front_work SET due = ? WHERE kind = ? AND due > ?`, now, k, now); err != nil {
			return err
		}
	}
	return nil
}

// DropWork ends work; false if it was not there any more.
func (q Q) DropWork(w *Work) (bool, error) {
	n, err := q.exec(`DELETE FROM front_work WHERE case_id = ? AND kind = ? AND key = ?`, w.Case[:], w.Kind, w.Key)
	return n > 0, err
}

// DropWorkOf ends all work of a kind of a case.
func (q Q) DropWorkOf(id bonded.ID, kind string) error {
	_, err := q.exec(`DELETE FROM front_work WHERE case_id = ? AND kind = ?`, id[:], kind)
	return err
}

// OtherWork reports whether a case has other work of the kind of w whose key
// has the same beginning.
func (q Q) OtherWork(w *Work, beginning string) (bool, error) {
	n, err := number(q.row(`SELECT EXISTS (SELECT 1 FROM front_work WHERE case_id = ? AND kind = ? AND key <> ? AND substr(key, 1, ?) = ?)`,
		w.Case[:], w.Kind, w.Key, len(beginning), beginning))
	return n != 0, err
}

// NextWork returns when the next work is due, 0 if none waits.
func (q Q) NextWork() (int64, error) {
	return number(q.row(`SELECT COALESCE(MIN(CASE WHEN due > claimed THEN due ELSE claimed END), 0) FROM front_work`))
}

// WorkWaiting returns how much work waits, and since when the oldest has been
// due, 0 if none waits.
func (q Q) WorkWaiting() (count, oldest int64, err error) {
	err = q.row(`SELECT COUNT(*), COALESCE(MIN(due), 0) FROM front_work`).Scan(&count, &oldest)
	return count, oldest, err
}

// ReleaseClaims gives all claimed work back: nobody else has the database, so
// after a start nobody is at work.
func (q Q) ReleaseClaims() error {
	_, err := q.exec(`UPDATE front_work SET claimed = 0 WHERE claimed > 0`)
	return err
}
