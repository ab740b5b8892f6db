package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"bonded/internal/journal"
	"bonded/internal/sqldb"
	"bonded/verify"
)

const crashEnv = "BONDED_JOURNAL_CRASH_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		fmt.Fprintln(os.Stderr, crashChild(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crashChild enters rows from many goroutines, seals all the time, and prints
// a line for each row after it was entered, until it is killed.
func crashChild(path string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{Path: path})
	if err != nil {
		return err
	}
	j, err := journal.Open(ctx, journal.Config{DB: db, Cell: "eu", Node: 1, PromiseKey: promiseKey})
	if err != nil {
		return err
	}
	errs := make(chan error, 1)
	var mu sync.Mutex
	for range 16 {
		go func() {
			for {
				p := j.Prepare(readRow())
				e, err := j.Commit(ctx, []journal.Prepared{p}, nil)
				if err != nil {
					errs <- err
					return
				}
				mu.Lock()
				fmt.Printf("%s %x\n", e[0].Ref(), e[0].Leaf())
				mu.Unlock()
			}
		}()
	}
	go func() {
		for {
			if err := j.Seal(ctx); err != nil {
				errs <- err
				return
			}
		}
	}()
	return <-errs
}

func TestKilledProcessKeepsEveryAcknowledgedRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.db")
	acknowledged := make(map[string]string) // row → leaf
	var maxSeq, incarnation uint64
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		// 1. Let a child write, and kill it after a random number of answers.
		for ref, leaf := range runUntilKilled(t, path, 1+rand.IntN(1500)) {
			if _, twice := acknowledged[ref]; twice {
				t.Fatalf("row %s was given twice", ref)
			}
			acknowledged[ref] = leaf
		}

		// 2. Everything answered is there, once, under numbers never used before.
		db := openDB(t, path)
		j := openJournal(t, db, nil)
		if j.Incarnation() <= incarnation {
			t.Fatalf("incarnation %d after %d", j.Incarnation(), incarnation)
		}
		incarnation = j.Incarnation()
		found := make(map[string]bool)
		for _, r := range allRows(t, j) {
			ref := r.Row.String()
			if found[ref] {
				t.Fatalf("row %s stands twice", ref)
			}
			found[ref] = true
			if leaf, ok := acknowledged[ref]; ok && leaf != fmt.Sprintf("%x", verify.RowLeaf(r.Row, r.Salt)) {
				t.Fatalf("row %s has another leaf than was answered", ref)
			}
			maxSeq = max(maxSeq, r.Row.Seq)
		}
		for ref := range acknowledged {
			if !found[ref] {
				t.Fatalf("round %d: row %s was answered and is lost", round, ref)
			}
		}
		e := enter(t, j, readRow())[0]
		if e.Ref().Seq <= maxSeq {
			t.Fatalf("sequence %d after %d", e.Ref().Seq, maxSeq)
		}
		maxSeq = e.Ref().Seq
		acknowledged[e.Ref().String()] = fmt.Sprintf("%x", e.Leaf())

		// 3. Segments and index are whole.
		if err := j.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkJournal(t.Context(), t, j, nil)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rows answered in %d killed processes, all there", len(acknowledged), rounds)
}

// runUntilKilled kills a child with SIGKILL after it has answered n rows and
// returns what it answered.
func runUntilKilled(t *testing.T, path string, n int) map[string]string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := make(map[string]string)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var ref, leaf string
		if k, _ := fmt.Sscan(lines.Text(), &ref, &leaf); k != 2 || len(leaf) != 64 {
			continue // the line that the kill cut off
		}
		answers[ref] = leaf
		if len(answers) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(answers) < n {
		t.Fatalf("child ended by itself after %d answers: %v", len(answers), err)
	}
	return answers
}
