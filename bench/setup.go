//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/deploy"
)

// A bench is a cell and the baseline, running side by side.
type bench struct {
	o      *options
	dir    string
	d      *deploy.Deployment
	api    string
	cred   *deploy.CellCredential
	echo   string
	echoed *exec.Cmd
	log    io.Writer

	refs []apitype.Found // people in the cell
	born bool            // people have a date of birth

	warming time.Duration // longer than usual, see measureLarge
}

func newBench(o *options, log io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp("", "bonded-bench-")
	if err != nil {
		return nil, err
	}
	return &bench{o: o, dir: dir, log: log}, nil
}

func start(ctx context.Context, o *options, log io.Writer) (*bench, error) {
	b, err := newBench(o, log)
	if err != nil {
		return nil, err
	}
	if err := b.startCell(ctx); err != nil {
		b.stop()
		return nil, err
	}
	if err := b.startEcho(ctx); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

func (b *bench) startCell(ctx context.Context) error {
	p, err := deploy.DevPlan(0)
	if err != nil {
		return err
	}
	p.Cells = p.Cells[1:] // eu alone
	p.Budget = 20_000_000
	if p.Bin, err = filepath.Abs(b.o.bin); err != nil {
		return err
	}
	l := deploy.Layout{Dir: filepath.Join(b.dir, "deployment")}
	if err := deploy.Create(ctx, l, p, time.Now()); err != nil {
		return err
	}
	return b.run(ctx, l, p.Bin)
}

// run starts a deployment that was made.
func (b *bench) run(ctx context.Context, l deploy.Layout, bin string) (err error) {
	if b.d, err = deploy.Start(ctx, l, bin); err != nil {
		return err
	}
	cred, err := deploy.LoadCredential(l.Credential(deploy.PrincipalApp))
	if err != nil {
		return err
	}
	b.cred, b.api = cred.Cells["eu"], b.d.Directory.Cells[0].API
	return nil
}

func (b *bench) startEcho(ctx context.Context) error {
	l, err := deploy.ListenFree()
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	_ = l.Close() // only its number was wanted
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b.echo = "http://" + addr + "/echo"
	b.echoed = exec.CommandContext(ctx, self, "-serve-echo", addr) //nolint:gosec // ourselves
	if err := b.echoed.Start(); err != nil {
		return err
	}
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil { //nolint:noctx // loopback
			return c.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("the baseline does not answer")
}

func (b *bench) stop() {
	if b.echoed != nil {
		_ = b.echoed.Process.Kill()
		_ = b.echoed.Wait()
	}
	if b.d != nil {
		_ = b.d.Stop()
	}
	_ = os.RemoveAll(b.dir)
}

// headers are those of the application's bearer calls.
func (b *bench) headers() map[string]string {
	return map[string]string{"Authorization": "Bearer " + b.cred.Bearer, apitype.HeaderPurpose: "service"}
}

// bornYear begins the date of birth of everybody who is asked for at a front
// door.
const bornYear = "1970-"

func email(n int) string { return fmt.Sprintf("person.number.%d@bench.example", n) }

func (b *bench) logf(format string, args ...any) { fmt.Fprintf(b.log, "bench: "+format+"\n", args...) }

// person makes a record of about 200 bytes.
func person(n int) apitype.Values {
	v := func(s string) json.RawMessage { b, _ := json.Marshal(s); return b }
	return apitype.Values{
		"person_id": v(fmt.Sprintf("bench-%09d", n)), "name": v(fmt.Sprintf("Person Number %d", n)),
		"email": v(email(n)), "phone": v(fmt.Sprintf("+49 30 %08d", n)),
		"postal_address": v(fmt.Sprintf("%d Long Street Name, Building %d, 10115 Berlin, Germany", n%977, n%31)),
	}
}

func facts() *apitype.Facts {
	return &apitype.Facts{Residence: []bonded.Jurisdiction{"DE"}, Citizenship: []bonded.Jurisdiction{"DE"}}
}

// fill puts people into the cell until it has n.
func (b *bench) fill(ctx context.Context, n int) error {
	const size, workers = 200, 4
	jobs := make(chan int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	for range workers {
		wg.Go(func() {
			for from := range jobs {
				found, err := b.putBatch(ctx, from, min(size, n-from))
				mu.Lock()
				b.refs = append(b.refs, found...)
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	for from := len(b.refs); from < n && ctx.Err() == nil; from += size {
		jobs <- from
	}
	close(jobs)
	wg.Wait()
	fmt.Fprintf(b.log, "bench: %d people in %s\n", len(b.refs), time.Since(began).Round(time.Millisecond))
	return failed
}

func (b *bench) putBatch(ctx context.Context, from, n int) ([]apitype.Found, error) {
	req := apitype.BatchPutRequest{Collection: "users"}
	for i := range n {
		values := person(from + i)
		if b.born {
			values[sealed], _ = json.Marshal(fmt.Sprintf("%s%02d-%02d", bornYear, (from+i)%12+1, (from+i)%28+1))
		}
		req.Items = append(req.Items, apitype.PutItem{Values: values, Facts: facts()})
	}
	var res apitype.BatchPutResult
	if err := b.call(ctx, "/v1/batch/put", &req, &res); err != nil {
		return nil, err
	}
	var found []apitype.Found
	for _, it := range res.Items {
		if it.Error != nil {
			return found, fmt.Errorf("put: %s: %s", it.Error.Code, it.Error.Message)
		}
		found = append(found, apitype.Found{Subject: it.Result.Subject, Record: it.Result.Record})
	}
	return found, nil
}

func (b *bench) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.api+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range b.headers() {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		var p apitype.Problem
		_ = json.NewDecoder(res.Body).Decode(&p)
		return fmt.Errorf("%s: %s: %s (%s)", path, p.Code, p.Message, p.Field)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// bodies writes one JSON body a line.
func (b *bench) bodies(name string, n int, body func(i int) any) (string, error) {
	path := filepath.Join(b.dir, name)
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for i := range n {
		err = errors.Join(err, enc.Encode(body(i)))
	}
	return path, errors.Join(err, w.Flush(), f.Close())
}

// pids returns the processes of the cell by a short name.
func (b *bench) pids() map[string]int {
	m := map[string]int{}
	for _, p := range b.d.Processes {
		m[strings.TrimPrefix(p.Name, "eu/")] = p.PID()
	}
	return m
}
