package notice_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bonded/internal/notice"
)

func outboxConfig(dir string) notice.Config {
	return config(notice.ChannelConfig{Outbox: &notice.OutboxConfig{Dir: dir}})
}

func readOutbox(t *testing.T, path string) notice.OutboxFile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f notice.OutboxFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || f.Format != notice.OutboxFormat {
		t.Fatalf("%s: format %q (%v)", filepath.Base(path), f.Format, err)
	}
	return f
}

func TestOutboxWritesOnce(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "outbox")
	s := sender(t, base, 0, outboxConfig("outbox"))
	m := message(t, 1)
	out, err := s.Deliver(context.Background(), m)
	wantOutcome(t, out, err, notice.Done, "")
	path := filepath.Join(dir, m.ID.Hex()+".json")
	f := readOutbox(t, path)
	text, err := notice.Render("en", m.Facts)
	if err != nil {
		t.Fatal(err)
	}
	want := notice.OutboxFile{
		Format: "bonded/notice/1", ID: m.ID.Hex(), Case: m.Facts.Case.String(), Kind: notice.Disclosed, Subject: m.Subject.String(),
		To: m.To, Language: "en", SubjectLine: text.Subject, Body: text.Body, Due: "2027-03-06T00:00:00Z",
	}
	if f != want {
		t.Errorf("file %+v", f)
	}
	before, err := os.Stat(path)
	if err != nil || before.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v (%v)", before.Mode(), err)
	}

	m.Facts.Authority = "Somebody else" // a defect of the caller: what is out stays
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if out, err := s.Deliver(context.Background(), m); out.Status != notice.Done {
				t.Errorf("again: %v %v", out, err)
			}
		})
	}
	all.Wait()
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) || readOutbox(t, path) != want {
		t.Errorf("the same id wrote something new (%v)", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("%d names in the folder", len(names))
	}
}

func TestOutboxTogether(t *testing.T) {
	base := t.TempDir()
	s := sender(t, base, 0, outboxConfig("outbox"))
	m := message(t, 1)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				out, err := s.Deliver(context.Background(), m)
				if out.Status == notice.Done {
					return
				}
				if out.Status != notice.Retry {
					t.Errorf("%v %v", out, err)
					return
				}
			}
		})
	}
	all.Wait()
	names, err := os.ReadDir(filepath.Join(base, "outbox"))
	if err != nil || len(names) != 1 {
		t.Errorf("%d names in the folder (%v)", len(names), err)
	}
}

// TestOutboxSurvivesKill kills a process that delivers, again and again, and
// delivers the rest: each notice is there once, whole.
func TestOutboxSurvivesKill(t *testing.T) {
	const notices, rounds = 200, 5
	base := t.TempDir()
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOutboxVictim$")
		cmd.Env = append(os.Environ(), "NOTICE_OUTBOX="+base)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() { _ = cmd.Wait(); close(exited) }()
		waitFor(t, exited, func() bool {
			names, _ := filepath.Glob(filepath.Join(base, "outbox", "*.json"))
			return len(names) > round*10
		})
		_ = cmd.Process.Kill()
		<-exited
	}
	deliverAll(t, base, notices)
	names, err := os.ReadDir(filepath.Join(base, "outbox"))
	if err != nil || len(names) != notices {
		t.Errorf("%d names in the folder, want %d (%v)", len(names), notices, err)
	}
	for _, n := range names {
		f := readOutbox(t, filepath.Join(base, "outbox", n.Name()))
		if f.ID+".json" != n.Name() || !strings.HasSuffix(f.Body, "\nExample Ltd\n") {
			t.Errorf("%s is not whole", n.Name())
		}
	}
}

// TestOutboxVictim is the process that is killed.
func TestOutboxVictim(t *testing.T) {
	if base := os.Getenv("NOTICE_OUTBOX"); base != "" {
		deliverAll(t, base, 200)
	}
}

func deliverAll(t *testing.T, base string, n byte) {
	t.Helper()
	s := sender(t, base, 0, outboxConfig("outbox"))
	for i := range n {
		if out, err := s.Deliver(context.Background(), message(t, i)); out.Status != notice.Done {
			t.Fatalf("%v %v", out, err)
		}
	}
}

// waitFor polls another process's folder until there is what the test waits
// for, or the process is over.
func waitFor(t *testing.T, over <-chan struct{}, there func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !there() {
		select {
		case <-over:
			return
		case <-deadline:
			t.Fatal("the other process delivers nothing")
		case <-tick.C:
		}
	}
}

func TestOutboxNotWritable(t *testing.T) {
	base := t.TempDir()
	s := sender(t, base, 0, outboxConfig("outbox"))
	if err := os.Remove(filepath.Join(base, "outbox")); err != nil {
		t.Fatal(err)
	}
	out, err := s.Deliver(context.Background(), message(t, 1))
	wantOutcome(t, out, err, notice.Retry, notice.ReasonNotWritable)
}
