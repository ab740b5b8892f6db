//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A load drives one URL with bodies chosen at random from a file.
type load struct {
	url     string
	headers map[string]string
	bodies  string // path; one JSON body a line
	conns   int
	once    bool // each body is sent once: creates
}

// A rate is what one round gave.
type rate struct {
	perSecond float64
	p50, p99  string
	failed    int
}

// drive runs the load for d with wrk, or with our own bounded client if there
// is no wrk.
func (l *load) drive(ctx context.Context, dir string, d time.Duration) (rate, error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return l.driveOwn(ctx, d)
	}
	script := filepath.Join(dir, "load.lua")
	if err := os.WriteFile(script, []byte(l.lua()), 0o600); err != nil {
		return rate{}, err
	}
	out, err := exec.CommandContext(ctx, "wrk", "-t2", "-c"+strconv.Itoa(l.conns), "-d"+d.String(), "--latency", "-s", script, l.url).CombinedOutput() //nolint:gosec // our own arguments
	if err != nil {
		return rate{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(string(out))
}

func (l *load) lua() string {
	var b strings.Builder
	fmt.Fprintf(&b, "local bodies = {}\nfor line in io.lines(%q) do bodies[#bodies+1] = line end\n", l.bodies)
	b.WriteString("local headers = {[\"Content-Type\"]=\"application/json\"")
	for k, v := range l.headers {
		fmt.Fprintf(&b, ",[%q]=%q", k, v)
	}
	// Threads begin at different places, so that two never send the same body
	// where each is sent once.
	b.WriteString(`}
local threads = 0
function setup(t) t:set("id", threads); threads = threads + 1 end
function init(args) math.randomseed(os.time() * 7 + id); at = id - 1 end
`)
	if l.once {
		b.WriteString("function request() at = at + 2; return wrk.format(\"POST\", nil, headers, bodies[at % #bodies + 1]) end\n")
	} else {
		b.WriteString("function request() return wrk.format(\"POST\", nil, headers, bodies[math.random(#bodies)]) end\n")
	}
	return b.String()
}

func parseWrk(out string) (rate, error) {
	var r rate
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "Requests/sec:":
			r.perSecond, _ = strconv.ParseFloat(f[1], 64)
		case len(f) == 2 && f[0] == "50%":
			r.p50 = f[1]
		case len(f) == 2 && f[0] == "99%":
			r.p99 = f[1]
		case strings.Contains(line, "Non-2xx"):
			r.failed, _ = strconv.Atoi(f[len(f)-1])
		}
	}
	if r.perSecond == 0 {
		return r, fmt.Errorf("wrk said nothing we understand: %s", out)
	}
	return r, nil
}

// driveOwn is the client used where there is no wrk. It costs more CPU, which
// the cell and the baseline lose alike.
func (l *load) driveOwn(ctx context.Context, d time.Duration) (rate, error) {
	b, err := os.ReadFile(l.bodies)
	if err != nil {
		return rate{}, err
	}
	bodies := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.conns, MaxConnsPerHost: l.conns}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var done, failed, next atomic.Int64
	var wg sync.WaitGroup
	for range l.conns {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := rand.IntN(len(bodies)) //nolint:gosec // no secret
				if l.once {
					i = int(next.Add(1)) % len(bodies)
				}
				if l.post(ctx, client, bodies[i]) {
					done.Add(1)
				} else if ctx.Err() == nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return rate{perSecond: float64(done.Load()) / d.Seconds(), failed: int(failed.Load())}, nil
}

func (l *load) post(ctx context.Context, client *http.Client, body []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range l.headers {
		req.Header.Set(k, v)
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode/100 == 2
}
