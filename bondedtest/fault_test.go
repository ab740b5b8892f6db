//go:build unix

package bondedtest_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/internal/remote"
)

// TestE2EFaults breaks one deployment in one way after the other and mends it
// again; each time nothing opens, and the error says why.
func TestE2EFaults(t *testing.T) {
	d := bondedtest.Start(t, bondedtest.OneCell())
	app := d.Client(bondedtest.App, "eu", "service")
	anna, berta := create(t, app, "anna", "Anna Schmidt"), create(t, app, "berta", "Berta Krüger")
	whole := func(t *testing.T) {
		t.Helper()
		ready(t, d)
		wantName(t, app, anna, "Anna Schmidt")
		wantName(t, app, berta, "Berta Krüger")
	}
	for _, c := range []struct {
		name   string
		break_ func(*testing.T, *bondedtest.Deployment, *client.Client, *client.PutResult, *client.PutResult)
	}{
		{"sealed keyholder, wrong passphrase", sealedKeyholder},
		{"altered row", alteredRow},
		{"rows swapped between people", swappedRows},
		{"expired certificate of the keyholder", expiredKeyholder},
		{"expired certificate of the vault", expiredVault},
		{"truncated write-ahead log of the vault", func(t *testing.T, d *bondedtest.Deployment, app *client.Client, _, _ *client.PutResult) {
			truncatedLog(t, d, app, "eu/vault", "vault.db")
		}},
		{"truncated write-ahead log of the keyholder", func(t *testing.T, d *bondedtest.Deployment, app *client.Client, _, _ *client.PutResult) {
			truncatedLog(t, d, app, "eu/keyholder", "keyholder.db")
		}},
		{"older databases and an older ledger", olderCopies},
		{"clocks of two witnesses set back", clocksSetBack},
	} {
		ok := t.Run(c.name, func(t *testing.T) {
			c.break_(t, d, app, anna, berta)
			whole(t)
		})
		if !ok {
			t.FailNow() // the deployment may be broken from here on
		}
	}
	wantBooksHold(t, d, "")
}

// TestE2EKeysOfBytes starts a vault whose random key begins and ends with
// white space.
func TestE2EKeysOfBytes(t *testing.T) {
	p, err := deploy.DevPlan(0)
	must(t, err)
	p.Cells, p.Bin = p.Cells[1:], bondedtest.Binaries(t)
	dir, err := os.MkdirTemp("", "bt") //nolint:usetesting // its names are too long for Unix sockets
	must(t, err)
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	l := deploy.Layout{Dir: filepath.Join(dir, "d")}
	must(t, deploy.Create(t.Context(), l, p, time.Now()))
	path := filepath.Join(l.Vault("eu"), "keys", "index.key")
	key, err := os.ReadFile(path)
	must(t, err)
	key[0], key[len(key)-1] = ' ', '\n'
	must(t, os.WriteFile(path, key, 0o600))
	d, err := deploy.Start(t.Context(), l, p.Bin)
	must(t, err)
	must(t, d.Stop())
}

// sealedKeyholder starts the keyholder without its passphrase, gives it a
// wrong one, and then the right one.
func sealedKeyholder(t *testing.T, d *bondedtest.Deployment, app *client.Client, anna, _ *client.PutResult) {
	stop(t, d, "eu/keyholder")
	dir := d.Layout.Keyholder("eu")
	cmd := exec.CommandContext(t.Context(), filepath.Join(bondedtest.Binaries(t), "bonded-keyholder"), "serve", dir)
	must(t, cmd.Start())
	ended := false
	defer func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	waitNotReady(t, d, string(bonded.CodeSealed))
	wantNothing(t, app, anna, bonded.CodeSealed)

	wrong := filepath.Join(t.TempDir(), "wrong")
	must(t, os.WriteFile(wrong, []byte("not the passphrase\n"), 0o600))
	code, out := program(t, "bonded-keyholder", "unseal", dir, "--passphrase-file", wrong)
	if code == 0 || !strings.Contains(out, "passphrase") {
		t.Errorf("a wrong passphrase ended with %d: %s", code, out)
	}
	wantNothing(t, app, anna, bonded.CodeSealed)
	if code, out = program(t, "bonded-keyholder", "unseal", dir, "--passphrase-file", d.Layout.Passphrase("eu")); code != 0 {
		t.Errorf("the right passphrase ended with %d: %s", code, out)
	}
	ready(t, d)
	wantName(t, app, anna, "Anna Schmidt")

	// A wrong passphrase at the start ends it.
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	ended = true
	if code, out = program(t, "bonded-keyholder", "serve", dir, "--passphrase-file", wrong); code == 0 || !strings.Contains(out, "passphrase") {
		t.Errorf("a start with a wrong passphrase ended with %d: %s", code, out)
	}
	restart(t, d, "eu/keyholder")
}

// changeFields changes the stored fields of records while the vault is stopped
// and returns what puts them back.
func changeFields(t *testing.T, d *bondedtest.Deployment, change func(fields map[bonded.ID][]byte)) (back func()) {
	t.Helper()
	edit := func(change func(map[bonded.ID][]byte)) {
		stop(t, d, "eu/vault")
		db := database(t, filepath.Join(d.Layout.Vault("eu"), "vault.db"))
		fields := storedFields(t, db)
		change(fields)
		for id, f := range fields {
			exec1(t, db, `UPDATE record SET fields = ? WHERE id = ?`, f, id[:])
		}
		must(t, db.Close())
		restart(t, d, "eu/vault")
		ready(t, d)
	}
	before := map[bonded.ID][]byte{}
	edit(func(fields map[bonded.ID][]byte) {
		for id, f := range fields {
			before[id] = append([]byte(nil), f...)
		}
		change(fields)
	})
	return func() {
		edit(func(fields map[bonded.ID][]byte) { maps.Copy(fields, before) })
	}
}

func storedFields(t *testing.T, db *sql.DB) map[bonded.ID][]byte {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT id, fields FROM record`)
	must(t, err)
	defer rows.Close() //nolint:errcheck // Err says it
	fields := map[bonded.ID][]byte{}
	for rows.Next() {
		var id, f []byte
		must(t, rows.Scan(&id, &f))
		fields[bonded.ID(id)] = f
	}
	must(t, rows.Err())
	return fields
}

func alteredRow(t *testing.T, d *bondedtest.Deployment, app *client.Client, anna, berta *client.PutResult) {
	// The last byte is of the tag of the last field, name or person_id.
	back := changeFields(t, d, func(fields map[bonded.ID][]byte) { f := fields[anna.Record.ID]; f[len(f)-1] ^= 1 })
	q := read(anna)
	q.Fields = []string{"name", "person_id"}
	r, err := app.Get(t.Context(), q)
	wantCode(t, err, bonded.CodeAltered)
	if r != nil {
		t.Error("something opened")
	}
	wantName(t, app, berta, "Berta Krüger")
	back()
}

func swappedRows(t *testing.T, d *bondedtest.Deployment, app *client.Client, anna, berta *client.PutResult) {
	back := changeFields(t, d, func(fields map[bonded.ID][]byte) {
		fields[anna.Record.ID], fields[berta.Record.ID] = fields[berta.Record.ID], fields[anna.Record.ID]
	})
	wantNothing(t, app, anna, bonded.CodeAltered)
	wantNothing(t, app, berta, bonded.CodeAltered)
	rows := journal(t, d)
	refused := 0
	for _, r := range rows {
		if r.Code == bonded.CodeAltered {
			refused++
		}
	}
	if refused < 2 {
		t.Errorf("%d refusals with code altered are in the journal", refused)
	}
	back()
}

// expire gives a party a certificate of two seconds, and takes the key of its
// authority away so that it cannot issue another.
func expire(t *testing.T, tls string, leaf remote.Leaf) (renew func()) {
	t.Helper()
	ca, err := remote.OpenAuthority(tls)
	must(t, err)
	key := filepath.Join(tls, "ca.key")
	aside := filepath.Join(t.TempDir(), "ca.key")
	must(t, os.Rename(key, aside))
	leaf.Life = 2 * time.Second
	must(t, ca.IssueFiles(tls, leaf, time.Now()))
	return func() {
		leaf.Life = 0
		must(t, ca.IssueFiles(tls, leaf, time.Now()))
		must(t, os.Rename(aside, key))
	}
}

func waitUntilExpired(t *testing.T, tls string) {
	t.Helper()
	id, err := remote.OpenIdentity(tls)
	must(t, err)
	poll(t, "the end of a certificate", func() error {
		end, err := id.NotAfter()
		if err == nil && time.Now().Before(end) {
			err = fmt.Errorf("it is good until %s", end)
		}
		return err
	})
}

func expiredKeyholder(t *testing.T, d *bondedtest.Deployment, app *client.Client, anna, _ *client.PutResult) {
	tls := filepath.Join(d.Layout.Keyholder("eu"), "tls")
	stop(t, d, "eu/keyholder")
	renew := expire(t, tls, remote.Leaf{Cell: "eu", Role: remote.RoleKeyholder, Hosts: []string{"127.0.0.1", "localhost"}})
	restart(t, d, "eu/keyholder")
	waitUntilExpired(t, tls)
	// The connection there is lives on; a new one is refused.
	kill(t, d, "eu/vault")
	restart(t, d, "eu/vault")
	waitNotReady(t, d, "certificate of the keyholder of cell eu expired")
	wantNothing(t, app, anna, bonded.CodeKeyholder, bonded.CodeUnauthenticated)
	pid := d.Process("eu/keyholder").PID()
	renew()
	ready(t, d)
	if d.Process("eu/keyholder").PID() != pid || d.Ended() != nil {
		t.Error("something was restarted")
	}
}

func expiredVault(t *testing.T, d *bondedtest.Deployment, app *client.Client, anna, _ *client.PutResult) {
	tls := filepath.Join(d.Layout.Vault("eu"), "tls")
	stop(t, d, "eu/vault")
	renew := expire(t, tls, remote.Leaf{Cell: "eu", Role: remote.RoleVault, Hosts: []string{"127.0.0.1", "localhost"}})
	restart(t, d, "eu/vault")
	ready(t, d)
	waitUntilExpired(t, tls)
	kill(t, d, "eu/keyholder")
	restart(t, d, "eu/keyholder")
	waitNotReady(t, d, string(bonded.CodeKeyholder))
	wantNothing(t, app, anna, bonded.CodeKeyholder, bonded.CodeUnauthenticated)
	poll(t, "the keyholder saying why", func() error {
		if words := d.Process("eu/keyholder").LastLines(50); !strings.Contains(words, "certificate of the vault of cell eu expired") {
			return fmt.Errorf("it last said %s", words)
		}
		return nil
	})
	renew()
	ready(t, d)
	if d.Ended() != nil {
		t.Error("something ended")
	}
}

// truncatedLog kills a party, cuts its write-ahead log, and starts it again:
// what the ledger has seen is then gone, so it refuses. With the whole log
// back it serves.
func truncatedLog(t *testing.T, d *bondedtest.Deployment, app *client.Client, name, file string) {
	var last *client.PutResult
	for i := range 20 {
		last = create(t, app, fmt.Sprintf("%s-%d", name, i), "Somebody")
	}
	anchored(t, app, last.Entry)
	kill(t, d, name)
	dir, whole := d.Layout.Keyholder("eu"), t.TempDir()
	if name == "eu/vault" {
		dir = d.Layout.Vault("eu")
	}
	copyDatabase(t, dir, whole, file)
	wal := filepath.Join(dir, file+"-wal")
	fi, err := os.Stat(wal)
	must(t, err)
	must(t, os.Truncate(wal, fi.Size()/2))
	refuses(t, d, app, last, name)
	stop(t, d, name)
	copyDatabase(t, whole, dir, file)
	restart(t, d, name)
}

// refuses starts a party with old data and waits until it says restored_old,
// as its last words or in the cell's readiness. Meanwhile nothing opens.
func refuses(t *testing.T, d *bondedtest.Deployment, app *client.Client, p *client.PutResult, name string) {
	t.Helper()
	restart(t, d, name)
	poll(t, name+" refusing as restored", func() error {
		if v, _, err := nameOf(t.Context(), app, p); err == nil {
			t.Fatalf("%s opened %q", name, v)
		}
		select {
		case <-d.Process(name).Done():
			if words := d.Process(name).LastLines(5); !strings.Contains(words, string(bonded.CodeRestored)) {
				t.Fatalf("%s ended for another reason: %s", name, words)
			}
			return nil
		default:
		}
		_, body := readiness(t, d)
		if !strings.Contains(body, string(bonded.CodeRestored)) {
			return fmt.Errorf("ready says %s", body)
		}
		return nil
	})
}

// olderCopies puts an old copy of each store back: the party refuses, and
// with today's back it serves.
func olderCopies(t *testing.T, d *bondedtest.Deployment, app *client.Client, anna, _ *client.PutResult) {
	vault, keyholder := d.Layout.Vault("eu"), d.Layout.Keyholder("eu")
	old, today := t.TempDir(), t.TempDir()
	stop(t, d, "eu/vault", "eu/keyholder")
	copyDatabase(t, vault, old, "vault.db")
	copyDatabase(t, keyholder, old, "keyholder.db")
	copyTree(t, filepath.Join(vault, "ledger"), filepath.Join(old, "ledger"))
	restart(t, d, "eu/keyholder", "eu/vault")
	ready(t, d)
	late := create(t, app, "late", "Late Comer")
	anchored(t, app, late.Entry)

	for _, c := range []struct {
		name, party string
		copy        func(from, to string)
		dir         string
	}{
		{"vault.db", "eu/vault", func(from, to string) { copyDatabase(t, from, to, "vault.db") }, vault},
		{"keyholder.db", "eu/keyholder", func(from, to string) { copyDatabase(t, from, to, "keyholder.db") }, keyholder},
		{"ledger", "eu/vault", func(from, to string) {
			must(t, os.RemoveAll(filepath.Join(to, "ledger")))
			copyTree(t, filepath.Join(from, "ledger"), filepath.Join(to, "ledger"))
		}, vault},
	} {
		stop(t, d, c.party)
		c.copy(c.dir, today)
		c.copy(old, c.dir)
		refuses(t, d, app, anna, c.party)
		stop(t, d, c.party)
		c.copy(today, c.dir)
		restart(t, d, c.party)
		ready(t, d)
		wantName(t, app, late, "Late Comer")
	}
}

// clocksSetBack makes two witnesses find that their clocks are an hour behind
// what they signed last. They sign nothing more; when the newest checkpoint is
// no longer fresh, nothing opens.
func clocksSetBack(t *testing.T, d *bondedtest.Deployment, app *client.Client, anna, _ *client.PutResult) {
	// 1. A cell that is patient for 10 s.
	stop(t, d, "eu/vault", "eu/keyholder")
	for path, change := range map[string]func([]byte) []byte{
		filepath.Join(d.Layout.Keyholder("eu"), "keyholder.yaml"): func(b []byte) []byte {
			return bytes.Replace(b, []byte("freshness: 15m"), []byte("freshness: 10s"), 1)
		},
		filepath.Join(d.Layout.Vault("eu"), "vault.yaml"): func(b []byte) []byte { return append(b, "freshness: 10s\n"...) },
	} {
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path, change(b), 0o600))
	}
	restart(t, d, "eu/keyholder", "eu/vault")
	ready(t, d)

	// 2. Records of an hour ahead stand for clocks of an hour behind.
	records := map[string][]byte{}
	for n := 1; n <= 2; n++ {
		name := fmt.Sprintf("witness-%d", n)
		stop(t, d, name)
		files, err := filepath.Glob(filepath.Join(d.Layout.Witness(n), "state", "*.checkpoint"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s has %d records: %v", name, len(files), err)
		}
		b, err := os.ReadFile(files[0])
		must(t, err)
		records[files[0]] = b
		text, sigs, _ := strings.Cut(string(b), "\n\n")
		log, _, _ := strings.Cut(sigs, "\n")
		ahead := append([]byte(text+"\n\n"+log+"\n"), cosign(t, d, n, text+"\n", time.Now().Add(time.Hour))...)
		must(t, os.WriteFile(files[0], ahead, 0o600))
		restart(t, d, name)
	}
	waitNotReady(t, d, string(bonded.CodeStale))
	wantNothing(t, app, anna, bonded.CodeStale)
	_, err := app.Put(t.Context(), person("stale", "Nobody"))
	wantCode(t, err, bonded.CodeStale)

	// 3. The clocks are right again.
	stop(t, d, "witness-1", "witness-2")
	for path, b := range records {
		must(t, os.WriteFile(path, b, 0o600))
	}
	restart(t, d, "witness-1", "witness-2")
}
