package frontdoorsql

import (
	"database/sql"

	"bonded"
	"bonded/internal/sqldb"
)

// A Case is a case at rest. Body is sealed; the rest is what queries need.
type Case struct {
	ID       bonded.ID
	N        uint64 // order of filing, given by [Q.AddCase]
	Version  uint64 // for compare-and-set, from 1
	State    string
	Number   uint64 // of its last entry
	Live     bool   // not in a final state
	Agency   string
	Officer  string
	Process  string
	Priority string
	Filed    int64
	Due      int64 // when the clock next acts; 0: never
	Request  [32]byte
	Nonce    string
	Same     [32]byte // digest over what makes two requests the same
	Body     []byte
}

const caseColumns = `id, n, version, state, number, live, agency, officer, process, priority, filed, due, request, nonce, same, body`

func scanCase(s scanner) (c Case, err error) {
	var id, request, same []byte
	var due sql.NullInt64
	err = s.Scan(&id, &c.N, &c.Version, &c.State, &c.Number, &c.Live, &c.Agency, &c.Officer, &c.Process, &c.Priority,
		&c.Filed, &due, &request, &c.Nonce, &same, &c.Body)
	copy(c.ID[:], id)
	copy(c.Request[:], request)
	copy(c.Same[:], same)
	c.Due = due.Int64
	return c, err
}

func dueArg(due int64) any {
	if due == 0 {
		return nil
	}
	return due
}

// Case returns a case, nil if it is not there.
func (q Q) Case(id bonded.ID) (*Case, error) {
	return one(q, scanCase, `SELECT `+caseColumns+` FROM front_case WHERE id = ?`, id[:])
}

// CaseLike returns a case that a new request would be a second one of: by its
// digest, by officer and nonce, or, while the case is live, by what it asks.
func (q Q) CaseLike(request [32]byte, officer, nonce string, same [32]byte) (*Case, error) {
	return one(q, scanCase, `
		SELECT `+caseColumns+`
		FROM front_case
		WHERE request = ? OR officer = ? AND nonce = ? OR same = ? AND live = 1
		LIMIT 1`, request[:], officer, nonce, same[:])
}

// AddCase adds a case and gives it its N. A second one of the same request is
// an error that [IsTaken] knows.
func (q Q) AddCase(c *Case) error {
	n, err := number(q.row(`SELECT COALESCE(MAX(n), 0) + 1 FROM front_case`))
	if err != nil {
		return err
	}
	c.N = uint64(n) //nolint:gosec // counts from 1
	c.Version = 1
	_, err = q.exec(`
		INSERT INTO front_case (`+caseColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.ID[:], c.N, c.Version, c.State, c.Number, c.Live, c.Agency, c.Officer, c.Process, c.Priority, c.Filed, dueArg(c.Due),
		c.Request[:], c.Nonce, c.Same[:], c.Body)
	return err
}

// PutCase writes a case that was read at c.Version and adds one to it; false
// if somebody else was faster.
func (q Q) PutCase(c *Case) (bool, error) {
	n, err := q.exec(`
		UPDATE front_case
		SET version = version + 1, state = ?, number = ?, live = ?, due = ?, body = ?
		WHERE id = ? AND version = ?`,
		c.State, c.Number, c.Live, dueArg(c.Due), c.Body, c.ID[:], c.Version)
	if err == nil && n == 1 {
		c.Version++
	}
	return n == 1, err
}

// IsTaken reports whether err says that a row with the same key is there.
func IsTaken(err error) bool { return sqldb.IsUnique(err) }

// Cases returns cases after n in order of filing: all, or those of an officer.
// An empty state stands for every state.
func (q Q) Cases(officer, state string, after uint64, limit int) ([]Case, error) {
	// Each has an index that it goes along.
	where, args := `n > ?`, []any{after, limit}
	switch {
	case officer != "" && state != "":
		where, args = `officer = ? AND state = ? AND n > ?`, []any{officer, state, after, limit}
	case officer != "":
		where, args = `officer = ? AND n > ?`, []any{officer, after, limit}
	case state != "":
		where, args = `state = ? AND n > ?`, []any{state, after, limit}
	}
	return list(q, scanCase, `
		SELECT `+caseColumns+`
		FROM front_case
		WHERE `+where+`
		ORDER BY n
		LIMIT ?`, args...)
}

// DueCases returns cases on which the clock acts at now or before.
func (q Q) DueCases(now int64, limit int) ([]bonded.ID, error) {
	return list(q, scanID, `
		SELECT id
		FROM front_case
		WHERE due <= ?
		ORDER BY due
		LIMIT ?`, now, limit)
}

// CasesIn returns the cases in any of two states.
func (q Q) CasesIn(one, other string) ([]bonded.ID, error) {
	return list(q, scanID, `
		SELECT id
		FROM front_case
		WHERE state = ? OR state = ?
		ORDER BY n`, one, other)
}

// DropDraft forgets a case of which the ledger knows nothing.
func (q Q) DropDraft(id bonded.ID) error {
	for _, query := range []string{
		`DELETE FROM front_document WHERE case_id = ?`,
		`DELETE FROM front_statement WHERE case_id = ?`,
		`DELETE FROM front_part WHERE case_id = ?`,
		`DELETE FROM front_case WHERE id = ? AND state = 'draft'`,
	} {
		if _, err := q.exec(query, id[:]); err != nil {
			return err
		}
	}
	return nil
}

func scanID(s scanner) (id bonded.ID, err error) {
	var b []byte
	err = s.Scan(&b)
	copy(id[:], b)
	return id, err
}

// FiledSince counts an officer's cases filed at t or later that are in a
// state, or in any if it is empty.
func (q Q) FiledSince(officer, state string, t int64) (int64, error) {
	return number(q.row(`
		SELECT COUNT(*)
		FROM front_case
		WHERE officer = ? AND (? = '' OR state = ?) AND filed >= ?`, officer, state, state, t))
}

// A Tally is how many cases of a process are in a state.
type Tally struct {
	State, Process string
	Count          int64
}

// Tallies counts cases by state and process.
func (q Q) Tallies() ([]Tally, error) {
	return list(q, func(s scanner) (t Tally, err error) { return t, s.Scan(&t.State, &t.Process, &t.Count) }, `
		SELECT state, process, COUNT(*)
		FROM front_case
		GROUP BY state, process
		ORDER BY state, process`)
}

// A Statement is something signed that belongs to a case. Body is sealed.
type Statement struct {
	N       uint64 // from 1, given by [Q.AddStatement]
	Label   string
	Digest  [32]byte
	Person  string
	Version uint64 // of the person's entry in the register
	Action  string
	Body    []byte
}

func scanStatement(s scanner) (t Statement, err error) {
	var digest []byte
	err = s.Scan(&t.N, &t.Label, &digest, &t.Person, &t.Version, &t.Action, &t.Body)
	copy(t.Digest[:], digest)
	return t, err
}

// AddStatement adds a statement to a case; a second time is an error that
// [IsTaken] knows.
func (q Q) AddStatement(id bonded.ID, t *Statement) error {
	n, err := number(q.row(`SELECT COALESCE(MAX(n), 0) + 1 FROM front_statement WHERE case_id = ?`, id[:]))
	if err != nil {
		return err
	}
	t.N = uint64(n) //nolint:gosec // counts from 1
	_, err = q.exec(`
		INSERT INTO front_statement (case_id, n, label, digest, person, version, action, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, id[:], t.N, t.Label, t.Digest[:], t.Person, t.Version, t.Action, t.Body)
	return err
}

// Statements returns the statements of a case in order. The first is the
// request.
func (q Q) Statements(id bonded.ID) ([]Statement, error) {
	return list(q, scanStatement, `
		SELECT n, label, digest, person, version, action, body
		FROM front_statement
		WHERE case_id = ?
		ORDER BY n`, id[:])
}

// An Entry is one entry of a case, and where the book has it.
type Entry struct {
	Number      uint64
	Book        int64 // id in the casebook
	Time        int64
	Event       string
	From, State string
	Actor       string
	Detail      string
	Decision    string // action; empty if nobody decided
}

func scanEntry(s scanner) (e Entry, err error) {
	return e, s.Scan(&e.Number, &e.Book, &e.Time, &e.Event, &e.From, &e.State, &e.Actor, &e.Detail, &e.Decision)
}

// AddEntry adds an entry of a case.
func (q Q) AddEntry(id bonded.ID, e *Entry) error {
	_, err := q.exec(`
		INSERT INTO front_entry (case_id, number, book, time, event, from_, state, actor, detail, decision)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id[:], e.Number, e.Book, e.Time, e.Event, e.From, e.State, e.Actor, e.Detail, e.Decision)
	return err
}

// Entries returns the entries of a case in order.
func (q Q) Entries(id bonded.ID) ([]Entry, error) {
	return list(q, scanEntry, `
		SELECT number, book, time, event, from_, state, actor, detail, decision
		FROM front_entry
		WHERE case_id = ?
		ORDER BY number`, id[:])
}

// A Part is the role that a person has on a case.
type Part struct {
	Person string
	Key    [32]byte
	Role   string
}

// Parts returns who has what role on a case.
func (q Q) Parts(id bonded.ID) ([]Part, error) {
	return list(q, func(s scanner) (p Part, err error) {
		var key []byte
		err = s.Scan(&p.Person, &key, &p.Role)
		copy(p.Key[:], key)
		return p, err
	}, `
		SELECT person, key, role
		FROM front_part
		WHERE case_id = ?
		ORDER BY person`, id[:])
}

// AddPart gives a person a role on a case.
func (q Q) AddPart(id bonded.ID, p Part) error {
	_, err := q.exec(`
		INSERT INTO front_part (case_id, person, key, role)
		VALUES (?, ?, ?, ?)`, id[:], p.Person, p.Key[:], p.Role)
	return err
}

// PutDocument keeps the sealed bytes of a document.
func (q Q) PutDocument(id bonded.ID, sha256 [32]byte, body []byte) error {
	_, err := q.exec(`
		INSERT INTO front_document (case_id, sha256, body)
		VALUES (?, ?, ?)
		ON CONFLICT (case_id, sha256) DO NOTHING`, id[:], sha256[:], body)
	return err
}

// Document returns the sealed bytes of a document, nil if they are not there.
func (q Q) Document(id bonded.ID, sha256 [32]byte) ([]byte, error) {
	v, err := one(q, blob, `SELECT body FROM front_document WHERE case_id = ? AND sha256 = ?`, id[:], sha256[:])
	if v == nil {
		return nil, err
	}
	return *v, err
}

// Documents returns the digests of the documents of a case that are there.
func (q Q) Documents(id bonded.ID) ([][]byte, error) {
	return list(q, blob, `SELECT sha256 FROM front_document WHERE case_id = ?`, id[:])
}

// DocumentElsewhere reports whether another case has a document.
func (q Q) DocumentElsewhere(id bonded.ID, sha256 [32]byte) (bool, error) {
	n, err := number(q.row(`SELECT COUNT(*) FROM front_document WHERE sha256 = ? AND case_id <> ?`, sha256[:], id[:]))
	return n > 0, err
}
