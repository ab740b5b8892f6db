//go:build unix

package ledger_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"bonded/internal/ledger"
	"bonded/verify"
)

// TestMain turns the test binary into a ledger writer of its own when asked,
// so that the crash test can kill a real process.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LEDGER_TEST_WRITER"); dir != "" {
		if err := runWriter(dir, os.Getenv("LEDGER_TEST_FILES")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runWriter appends entries until it is killed, and prints a line for each
// that was acknowledged.
func runWriter(dir, files string) error {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(files, name))
		if err != nil {
			panic(err)
		}
		return b
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(read("ca.pem"))
	ctx := context.Background()
	l, err := ledger.Open(ctx, ledger.Config{
		Dir: dir, Origin: origin, SignerKey: string(read("key")), Policy: read("policy"), CheckpointInterval: 100e6, BatchAge: 5e6,
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}},
	})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				leaf := fmt.Sprintf("pid %d writer %d entry %d", os.Getpid(), w, i)
				r, err := l.Append(ctx, []byte(leaf))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Printf("%d %s\n", r.Index(), leaf)
				mu.Unlock()
			}
		}()
	}
	select {}
}

func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	c := newTestCell(t)
	files := t.TempDir()
	for name, b := range map[string][]byte{
		"ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.witnesses[0].srv.Certificate().Raw}),
		"key":    []byte(c.skey), "policy": []byte(c.policy),
	} {
		if err := os.WriteFile(filepath.Join(files, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	acked := map[int64]string{}
	var previous *verify.Checkpoint
	for range rounds {
		killWriterDuringLoad(t, c.dir, files, 4+rand.IntN(24), acked)

		l := c.open(t, c.dir)
		mustAppend(t, l, "after the crash")
		for i, leaf := range acked {
			if got, err := l.ReadEntry(t.Context(), i); err != nil || string(got) != leaf {
				t.Fatalf("entry %d: %q, %v; want %q", i, got, err, leaf)
			}
		}
		closeLedger(t, l)
		rep, err := verify.CheckLog(fetchDir(c.dir), c.vkey, c.verifyPolicy(), verify.LogOptions{Previous: previous})
		if err != nil {
			t.Fatal(err)
		}
		previous = rep.Checkpoint
	}
	if len(acked) == 0 {
		t.Error("nothing was acknowledged")
	}
}

// killWriterDuringLoad starts a writer and kills it after so many answers.
func killWriterDuringLoad(t *testing.T, dir, files string, after int, acked map[int64]string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "LEDGER_TEST_WRITER="+dir, "LEDGER_TEST_FILES="+files)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for s := bufio.NewScanner(out); s.Scan(); {
		var index int64
		var leaf string
		if _, err := fmt.Sscanf(s.Text(), "%d", &index); err != nil {
			break // the line was cut by the kill
		}
		leaf = s.Text()[len(fmt.Sprint(index))+1:]
		if other, ok := acked[index]; ok {
			t.Errorf("index %d was given to %q and to %q", index, other, leaf)
		}
		acked[index] = leaf
		if n++; n == after {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
}
