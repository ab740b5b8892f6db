//go:build unix

package witness_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bonded/internal/witness"
)

// TestMain turns the test binary into a witness process when asked, so that
// the crash test can kill a real one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WITNESS_TEST_DIR"); dir != "" {
		fmt.Fprintln(os.Stderr, serveWitness(dir, os.Getenv("WITNESS_TEST_LOG")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serveWitness(dir, vkey string) error {
	key, err := witness.LoadOrCreateKey(filepath.Join(dir, "key"), "w1.example")
	if err != nil {
		return err
	}
	w, err := witness.New(witness.Config{Dir: dir, Key: key, Logs: map[string]string{origin: vkey}})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	srv := &http.Server{Handler: w.Handler(), ReadHeaderTimeout: time.Second}
	return srv.Serve(ln)
}

// crashLogSize is more than the rounds below get through.
const crashLogSize = 5000

// A witness killed at any moment never comes back with a smaller size than one
// it has answered for.
func TestKilledWitnessRemembersWhatItCosigned(t *testing.T) {
	l := newTestLog(t, crashLogSize)
	dir := t.TempDir()
	acked := int64(0)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		url, cmd := startWitnessProcess(t, dir, l.vkey)
		known := askKnownSize(t, url, l)
		if known < acked {
			t.Fatalf("the witness knows size %d after it cosigned %d", known, acked)
		}
		var after *time.Timer // from the first answer on
		for known < crashLogSize {
			status, err := postTo(url, l.request(t, known, known+1))
			if err != nil || status != 200 {
				break // killed
			}
			known++
			acked = known
			if after == nil {
				after = time.AfterFunc(time.Duration(1+rand.IntN(60))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if acked == 0 || acked == crashLogSize {
		t.Errorf("%d cosigned: the kills did not fall into the work", acked)
	}
}

func startWitnessProcess(t *testing.T, dir, vkey string) (url string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "WITNESS_TEST_DIR="+dir, "WITNESS_TEST_LOG="+vkey)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + strings.TrimSpace(addr), cmd
}

func postTo(url, body string) (int, error) {
	resp, err := http.Post(url+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// askKnownSize submits from an impossible old size to be told the known one.
func askKnownSize(t *testing.T, url string, l *testLog) int64 {
	t.Helper()
	resp, err := http.Post(url+"/add-checkpoint", "text/plain", strings.NewReader(fmt.Sprintf("old %d\n\n", crashLogSize)+string(l.checkpoint(t, crashLogSize))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode == 200 {
		return crashLogSize
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || resp.StatusCode != 409 {
		t.Fatalf("status %d %q", resp.StatusCode, b)
	}
	return n
}
