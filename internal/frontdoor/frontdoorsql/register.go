package frontdoorsql

import "bonded"

// A Registered is one version of an entry of the register. Body is the
// statement as JSON.
type Registered struct {
	Kind     string // agency or person
	ID       string
	Version  uint64
	State    string // proposed, confirmed or suspended
	Digest   [32]byte
	Body     []byte
	Proposed int64
	Book     int64 // id in the casebook; 0: not entered yet
	InForce  int64 // witness time plus the waiting time; 0: not known yet
}

const registerColumns = `kind, id, version, state, digest, body, proposed, book, in_force`

func scanRegistered(s scanner) (r Registered, err error) {
	var digest []byte
	err = s.Scan(&r.Kind, &r.ID, &r.Version, &r.State, &digest, &r.Body, &r.Proposed, &r.Book, &r.InForce)
	copy(r.Digest[:], digest)
	return r, err
}

// AddRegistered adds a version; the same one again is an error that [IsTaken]
// knows.
func (q Q) AddRegistered(r *Registered) error {
	_, err := q.exec(`
		INSERT INTO front_register (`+registerColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Kind, r.ID, r.Version, r.State, r.Digest[:], r.Body, r.Proposed, r.Book, r.InForce)
	return err
}

// PutRegistered writes state, body, and where the entry stands.
func (q Q) PutRegistered(r *Registered) error {
	_, err := q.exec(`
		UPDATE front_register
		SET state = ?, body = ?, book = ?, in_force = ?
		WHERE kind = ? AND id = ? AND version = ?`, r.State, r.Body, r.Book, r.InForce, r.Kind, r.ID, r.Version)
	return err
}

// Registered returns one version, nil if it is not there.
func (q Q) Registered(kind, id string, version uint64) (*Registered, error) {
	return one(q, scanRegistered, `
		SELECT `+registerColumns+`
		FROM front_register
		WHERE kind = ? AND id = ? AND version = ?`, kind, id, version)
}

// Versions returns all versions of an entry, newest first.
func (q Q) Versions(kind, id string) ([]Registered, error) {
	return list(q, scanRegistered, `
		SELECT `+registerColumns+`
		FROM front_register
		WHERE kind = ? AND id = ?
		ORDER BY version DESC`, kind, id)
}

// Register returns the whole register.
func (q Q) Register() ([]Registered, error) {
	return list(q, scanRegistered, `SELECT `+registerColumns+` FROM front_register ORDER BY kind, id, version`)
}

// RegisterChanges returns how often the register has changed. It never says the
// same of two registers that are not.
func (q Q) RegisterChanges() (int64, error) {
	return number(q.row(`SELECT changes FROM front_register_head WHERE one = 1`))
}

// Unplaced returns entries whose place in the ledger is not known yet.
func (q Q) Unplaced() ([]Registered, error) {
	return list(q, scanRegistered, `
		SELECT `+registerColumns+`
		FROM front_register
		WHERE book > 0 AND in_force = 0`)
}

// TakeNonce keeps a nonce of a person, forgets those older than a time, and
// reports whether it was new.
func (q Q) TakeNonce(person string, nonce [16]byte, at, forget int64) (bool, error) {
	if _, err := q.exec(`DELETE FROM front_nonce WHERE time < ?`, forget); err != nil {
		return false, err
	}
	n, err := q.exec(`
		INSERT INTO front_nonce (person, nonce, time)
		VALUES (?, ?, ?)
		ON CONFLICT (person, nonce) DO NOTHING`, person, nonce[:], at)
	return n == 1, err
}

// A Ceremony is one attempt at a ceremony.
type Ceremony struct {
	ID      bonded.ID
	State   string // running, certified or failed
	Reason  string
	Params  []byte // canonical
	Body    []byte // the statement that allowed it, as JSON
	Started int64
}

func scanCeremony(s scanner) (c Ceremony, err error) {
	var id []byte
	err = s.Scan(&id, &c.State, &c.Reason, &c.Params, &c.Body, &c.Started)
	copy(c.ID[:], id)
	return c, err
}

// AddCeremony adds a ceremony.
func (q Q) AddCeremony(c *Ceremony) error {
	_, err := q.exec(`
		INSERT INTO front_ceremony (id, n, state, reason, params, body, started)
		VALUES (?, (SELECT COALESCE(MAX(n), 0) + 1 FROM front_ceremony), ?, ?, ?, ?, ?)`,
		c.ID[:], c.State, c.Reason, c.Params, c.Body, c.Started)
	return err
}

// Ceremony returns a ceremony, nil if it is not there.
func (q Q) Ceremony(id bonded.ID) (*Ceremony, error) {
	return one(q, scanCeremony, `
		SELECT id, state, reason, params, body, started
		FROM front_ceremony
		WHERE id = ?`, id[:])
}

// Ceremonies returns the ceremonies in a state, newest first.
func (q Q) Ceremonies(state string) ([]Ceremony, error) {
	return list(q, scanCeremony, `
		SELECT id, state, reason, params, body, started
		FROM front_ceremony
		WHERE state = ?
		ORDER BY n DESC`, state)
}

// EndCeremony ends a running ceremony; false if it runs no more.
func (q Q) EndCeremony(id bonded.ID, state, reason string) (bool, error) {
	n, err := q.exec(`
		UPDATE front_ceremony
		SET state = ?, reason = ?
		WHERE id = ? AND state = 'running'`, state, reason, id[:])
	return n == 1, err
}

// AddMessage puts a message on the board of a ceremony; the same one again is
// an error that [IsTaken] knows.
func (q Q) AddMessage(ceremony bonded.ID, digest [32]byte, body []byte) error {
	_, err := q.exec(`
		INSERT INTO front_message (ceremony, n, digest, body)
		VALUES (?, (SELECT COUNT(*) FROM front_message WHERE ceremony = ?), ?, ?)`, ceremony[:], ceremony[:], digest[:], body)
	return err
}

// Messages returns messages of a board from n on.
func (q Q) Messages(ceremony bonded.ID, from, limit int) ([][]byte, error) {
	return list(q, blob, `
		SELECT body
		FROM front_message
		WHERE ceremony = ? AND n >= ?
		ORDER BY n
		LIMIT ?`, ceremony[:], from, limit)
}

// A Custody is the certificate of one epoch.
type Custody struct {
	Epoch       uint64
	Certificate []byte // canonical
	Book        int64  // id in the casebook
}

// AddCustody adds the certificate of an epoch.
func (q Q) AddCustody(c *Custody) error {
	_, err := q.exec(`
		INSERT INTO front_custody (epoch, certificate, book)
		VALUES (?, ?, ?)`, c.Epoch, c.Certificate, c.Book)
	return err
}

// Custodies returns all certificates, oldest first.
func (q Q) Custodies() ([]Custody, error) {
	return list(q, func(s scanner) (c Custody, err error) { return c, s.Scan(&c.Epoch, &c.Certificate, &c.Book) }, `
		SELECT epoch, certificate, book
		FROM front_custody
		ORDER BY epoch`)
}
