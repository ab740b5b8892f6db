package bondedtest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/verify"
)

// onSmallDisk moves a stopped party's folder onto a small tmpfs until whole
// ends.
func onSmallDisk(t, whole *testing.T, dir, size string) {
	t.Helper()
	aside := filepath.Join(t.TempDir(), "aside")
	copyTree(t, dir, aside)
	err := syscall.Mount("bonded-test", dir, "tmpfs", 0, "size="+size+",mode=0700")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("a small disk needs the right to mount a tmpfs; run as root")
	}
	must(t, err)
	whole.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	copyTree(t, aside, dir)
}

// fill takes all space of the disk that dir is on but free bytes, and returns
// what gives it back.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	must(t, err)
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
	}
	must(t, f.Close())
	return func() { must(t, os.Remove(path)) }
}

// TestE2EFullDisk fills the disk of one party after the other: nothing opens
// and nothing is written, the error says why, and with space back both serve.
func TestE2EFullDisk(t *testing.T) {
	whole := t
	d := bondedtest.Start(t, bondedtest.OneCell())
	app := d.Client(bondedtest.App, "eu", "service")
	anna := create(t, app, "anna", "Anna")
	for _, c := range []struct{ name, dir string }{
		{"eu/keyholder", d.Layout.Keyholder("eu")}, {"eu/vault", d.Layout.Vault("eu")},
	} {
		t.Run(c.name, func(t *testing.T) {
			stop(t, d, c.name)
			onSmallDisk(t, whole, c.dir, "48m")
			whole.Cleanup(func() { stop(whole, d, c.name) }) // before its disk goes
			restart(t, d, c.name)
			ready(t, d)
			before, err := app.Count(t.Context(), client.CountRequest{Collection: "users"})
			must(t, err)
			written := int(before.Subjects)

			empty := fill(t, c.dir)
			poll(t, "a refusal", func() error {
				if _, err := app.Put(t.Context(), person("more", "More")); err != nil {
					wantCode(t, err, bonded.CodeNotWritable)
					return nil
				}
				written++
				return errors.New("it was written")
			})
			wantNothing(t, app, anna, bonded.CodeNotWritable)
			if c.name == "eu/vault" { // the keyholder's disk is known only to who asks it for keys
				waitNotReady(t, d, string(bonded.CodeNotWritable))
			}
			if d.Ended() != nil {
				t.Logf("%s ended: %s", d.Ended().Name, d.Ended().LastLines(3))
			}

			empty()
			poll(t, "the cell serving again", func() error {
				name, _, err := nameOf(t.Context(), app, anna)
				if err == nil && name != "Anna" {
					err = fmt.Errorf("it reads %q", name)
				}
				return err
			})
			ready(t, d)
			if d.Ended() != nil {
				t.Errorf("%s ended: %s", d.Ended().Name, d.Ended().LastLines(3))
			}
			after := create(t, app, "after "+c.name, "After")
			anchored(t, app, after.Entry)
			n, err := app.Count(t.Context(), client.CountRequest{Collection: "users"})
			if err != nil || n.Subjects != uint64(written)+1 {
				t.Errorf("the cell counts %+v, %v; %d people were acknowledged", n, err, written+1)
			}
			rows := journal(t, d)
			if last := rows[len(rows)-1]; last.Outcome != verify.OutcomeAllowed {
				t.Errorf("the last row is %+v", last)
			}
			wantBooksHold(t, d, "")
		})
		if t.Failed() || t.Skipped() {
			return
		}
	}
}
