package vaultsql_test

import (
	"crypto/ed25519"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/sqldb"
	"bonded/internal/vault"
	"bonded/internal/vault/vaultsql"
)

func openStore(t *testing.T) *vaultsql.Store {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{Path: filepath.Join(t.TempDir(), "vault.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	j, err := journal.Open(t.Context(), journal.Config{DB: db, Cell: "eu", Node: 1, PromiseKey: ed25519.NewKeyFromSeed(make([]byte, 32))})
	if err != nil {
		t.Fatal(err)
	}
	s, err := vaultsql.Open(t.Context(), db, j)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// change runs f in a commit of its own.
func change(t *testing.T, s *vaultsql.Store, f func(vault.Tx) error) {
	t.Helper()
	if _, err := s.Commit(t.Context(), nil, f); err != nil {
		t.Error(err)
	}
}

func insert(t *testing.T, s *vaultsql.Store) *vault.Record {
	t.Helper()
	r := &vault.Record{
		ID: bonded.NewID(), Subject: bonded.NewID(), Collection: 1, Version: 1, State: vault.StateActive,
		Created: time.Now().Unix(), Fields: []vault.StoredField{{Field: 1, Version: bonded.NewID(), Sealed: []byte("sealed")}},
	}
	change(t, s, func(tx vault.Tx) error {
		if err := tx.InsertSubject(&vault.Subject{ID: r.Subject, State: vault.StateActive, Created: r.Created, Rule: "x"}); err != nil {
			return err
		}
		return tx.InsertRecord(r)
	})
	return r
}

func read(t *testing.T, s *vaultsql.Store, r *vault.Record) *vault.Record {
	t.Helper()
	got, err := s.Record(t.Context(), r.Collection, r.Subject, r.ID)
	if err != nil {
		t.Error(err)
	}
	return got
}

func TestReadFindsEveryChange(t *testing.T) {
	s := openStore(t)
	r := insert(t, s)
	for range 2 { // the second is from memory
		if got := read(t, s, r); got == nil || got.Version != 1 || got.State != vault.StateActive {
			t.Fatalf("after insert: %+v", got)
		}
	}
	other, err := s.Record(t.Context(), 2, r.Subject, r.ID)
	if err != nil || other != nil {
		t.Errorf("read through another collection: %+v, %v", other, err)
	}

	next := *r
	next.Version = 2
	change(t, s, func(tx vault.Tx) error { return tx.UpdateRecord(&next, r) })
	if got := read(t, s, r); got == nil || got.Version != 2 {
		t.Errorf("after update: %+v", got)
	}
	change(t, s, func(tx vault.Tx) error {
		_, err := tx.SetState(r.Subject, vault.StateActive, vault.StateErasing)
		return err
	})
	if got := read(t, s, r); got == nil || got.State != vault.StateErasing {
		t.Errorf("after change of state: %+v", got)
	}
	change(t, s, func(tx vault.Tx) error { return tx.DeleteSubject(r.Subject) })
	if got := read(t, s, r); got != nil {
		t.Errorf("after delete: %+v", got)
	}

	r = insert(t, s)
	read(t, s, r)
	change(t, s, func(tx vault.Tx) error { return tx.DeleteRecord(r) })
	if got := read(t, s, r); got != nil {
		t.Errorf("after delete of the record: %+v", got)
	}
}

func TestReadFindsOldRecordAfterFailedChange(t *testing.T) {
	s := openStore(t)
	r := insert(t, s)
	read(t, s, r)
	next := *r
	next.Version = 2
	failed := bonded.Errorf(bonded.CodeConflict, "on purpose")
	_, err := s.Commit(t.Context(), nil, func(tx vault.Tx) error {
		if err := tx.UpdateRecord(&next, r); err != nil {
			return err
		}
		return failed
	})
	if bonded.CodeOf(err) != bonded.CodeConflict {
		t.Fatal(err)
	}
	for range 2 {
		if got := read(t, s, r); got == nil || got.Version != 1 {
			t.Errorf("after a change that was undone: %+v", got)
		}
	}
}

// Whoever was told that a change is durable never reads what was before it,
// and neither does anybody who begins later.
func TestReadBesideChangesIsNeverOlderThanCommitted(t *testing.T) {
	s := openStore(t)
	people := []*vault.Record{insert(t, s), insert(t, s), insert(t, s)}
	const versions, readers = 200, 4
	committed := make([]atomic.Uint64, len(people))
	var done atomic.Bool
	var changes, reads sync.WaitGroup
	for i, r := range people {
		changes.Go(func() {
			for was := r; was.Version < versions && !t.Failed(); {
				next := *was
				next.Version++
				change(t, s, func(tx vault.Tx) error { return tx.UpdateRecord(&next, was) })
				committed[i].Store(next.Version)
				was = &next
			}
		})
	}
	for range readers {
		reads.Go(func() {
			for !done.Load() && !t.Failed() {
				for i, r := range people {
					least := committed[i].Load()
					if got := read(t, s, r); got == nil || got.Version < least {
						t.Errorf("read %+v after version %d was committed", got, least)
						return
					}
				}
			}
		})
	}
	changes.Wait()
	done.Store(true)
	reads.Wait()
}
