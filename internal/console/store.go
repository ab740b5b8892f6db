package console

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"bonded/internal/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A store keeps invites, passkeys and sessions. Of every secret that a browser
// shows it has the hash alone.
type store struct{ db *sqldb.DB }

func openStore(ctx context.Context, db *sqldb.DB) (*store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "console", files); err != nil {
		return nil, fmt.Errorf("open console: %w", err)
	}
	return &store{db}, nil
}

// An invite lets one person enrol one passkey.
type invite struct {
	Person  string
	Expires time.Time
}

func (s *store) addInvite(ctx context.Context, hash [32]byte, person, maker string, now, expires time.Time) error {
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM invite WHERE expires < ?`, now.Add(-24*time.Hour).Unix()); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO invite (hash, person, maker, made, expires) VALUES (?, ?, ?, ?, ?)`, hash[:], person, maker, now.Unix(), expires.Unix())
		return err
	})
}

// invite returns an invite that can be used now, nil if there is none.
func (s *store) invite(ctx context.Context, hash [32]byte, now time.Time) (*invite, error) {
	v, expires := new(invite), int64(0)
	err := s.db.Read().QueryRowContext(ctx, `SELECT person, expires FROM invite WHERE hash = ? AND used = 0 AND expires > ?`, hash[:], now.Unix()).Scan(&v.Person, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // absent is no error here
	}
	v.Expires = time.Unix(expires, 0)
	return v, err
}

// A passkey is one that somebody enrolled, with their sealed signing key.
type passkey struct {
	ID         []byte
	Person     string
	Name       string
	Key        string // public signing key, base64
	Salt       []byte // what the passkey makes its secret of
	Wrapped    []byte // nonce and sealed seed
	Credential webauthn.Credential
	Made, Used time.Time
}

var errUsed = errors.New("the invite was used meanwhile")

// addPasskey keeps a passkey; with an invite, which is used up by it, in the
// same commit.
func (s *store) addPasskey(ctx context.Context, p *passkey, invited *[32]byte, now time.Time) error {
	cred, err := json.Marshal(&p.Credential)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		if invited != nil {
			n, err := tx.Exec(`UPDATE invite SET used = ? WHERE hash = ? AND used = 0 AND expires > ?`, now.Unix(), invited[:], now.Unix())
			if err != nil {
				return err
			}
			if n != 1 {
				return errUsed
			}
		}
		_, err := tx.Exec(`INSERT INTO passkey (id, person, name, key, salt, wrapped, credential, made) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			p.ID, p.Person, p.Name, p.Key, p.Salt, p.Wrapped, string(cred), now.Unix())
		return err
	})
}

//nolint:gosec // no credential, but names of columns
const passkeyColumns = `SELECT id, person, name, key, salt, wrapped, credential, made, used FROM passkey `

type scanner interface{ Scan(dest ...any) error }

func scanPasskey(row scanner) (*passkey, error) {
	p := new(passkey)
	var cred string
	var made, used int64
	if err := row.Scan(&p.ID, &p.Person, &p.Name, &p.Key, &p.Salt, &p.Wrapped, &cred, &made, &used); err != nil {
		return nil, err
	}
	p.Made = time.Unix(made, 0)
	if used > 0 {
		p.Used = time.Unix(used, 0)
	}
	return p, json.Unmarshal([]byte(cred), &p.Credential)
}

// passkey returns one by its id, nil if there is none.
func (s *store) passkey(ctx context.Context, id []byte) (*passkey, error) {
	p, err := scanPasskey(s.db.Read().QueryRowContext(ctx, passkeyColumns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // absent is no error here
	}
	return p, err
}

// passkeys returns those of a person, oldest first.
func (s *store) passkeys(ctx context.Context, person string) (out []*passkey, err error) {
	rows, err := s.db.Read().QueryContext(ctx, passkeyColumns+`WHERE person = ? ORDER BY made, id`, person)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		p, err := scanPasskey(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// usedPasskey keeps what a passkey counts.
func (s *store) usedPasskey(ctx context.Context, p *passkey, now time.Time) error {
	cred, err := json.Marshal(&p.Credential)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE passkey SET credential = ?, used = ? WHERE id = ?`, string(cred), now.Unix(), p.ID)
		return err
	})
}

// dropPasskey forgets a passkey of a person with its sessions.
func (s *store) dropPasskey(ctx context.Context, person string, id []byte) (gone bool, err error) {
	err = s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		n, err := tx.Exec(`DELETE FROM passkey WHERE id = ? AND person = ?`, id, person)
		if err != nil || n == 0 {
			return err
		}
		gone = true
		_, err = tx.Exec(`DELETE FROM session WHERE passkey = ?`, id)
		return err
	})
	return gone, err
}

// A session is one browser in which somebody is signed in.
type session struct {
	Hash       [32]byte
	Person     string
	Way        string // passkey or oidc
	Passkey    []byte
	Key        string // public signing key of the passkey; empty: none
	Agent      string
	Made, Seen time.Time
}

func (s *store) addSession(ctx context.Context, v *session, old *[32]byte) error {
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM session WHERE made < ? OR seen < ?`, v.Made.Add(-sessionLife).Unix(), v.Made.Add(-sessionIdle).Unix()); err != nil {
			return err
		}
		if old != nil {
			if _, err := tx.Exec(`DELETE FROM session WHERE hash = ?`, old[:]); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO session (hash, person, way, passkey, key, agent, made, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			v.Hash[:], v.Person, v.Way, v.Passkey, v.Key, v.Agent, v.Made.Unix(), v.Seen.Unix())
		return err
	})
}

const sessionColumns = `SELECT hash, person, way, passkey, key, agent, made, seen FROM session `

func scanSession(row scanner) (*session, error) {
	v := new(session)
	var hash []byte
	var made, seen int64
	if err := row.Scan(&hash, &v.Person, &v.Way, &v.Passkey, &v.Key, &v.Agent, &made, &seen); err != nil {
		return nil, err
	}
	copy(v.Hash[:], hash)
	v.Made, v.Seen = time.Unix(made, 0), time.Unix(seen, 0)
	return v, nil
}

// session returns one by the hash of its secret, nil if there is none.
func (s *store) session(ctx context.Context, hash [32]byte) (*session, error) {
	v, err := scanSession(s.db.Read().QueryRowContext(ctx, sessionColumns+`WHERE hash = ?`, hash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // absent is no error here
	}
	return v, err
}

// sessions returns those of a person, newest first.
func (s *store) sessions(ctx context.Context, person string) (out []*session, err error) {
	rows, err := s.db.Read().QueryContext(ctx, sessionColumns+`WHERE person = ? ORDER BY made DESC`, person)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scanSession(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func (s *store) seenSession(ctx context.Context, hash [32]byte, now time.Time) error {
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE session SET seen = ? WHERE hash = ?`, now.Unix(), hash[:])
		return err
	})
}

func (s *store) dropSession(ctx context.Context, hash [32]byte) error {
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM session WHERE hash = ?`, hash[:])
		return err
	})
}

// dropOthers ends all sessions of a person but one.
func (s *store) dropOthers(ctx context.Context, person string, but [32]byte) error {
	return s.db.Update(ctx, func(_ context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM session WHERE person = ? AND hash <> ?`, person, but[:])
		return err
	})
}
