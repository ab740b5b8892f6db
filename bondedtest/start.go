//go:build unix

package bondedtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
)

// Principals of a test deployment.
const (
	App     = deploy.PrincipalApp     // may read, write and search; purposes service, support, onboarding
	Privacy = deploy.PrincipalPrivacy // may export and erase; purpose subject_request
	Auditor = deploy.PrincipalAuditor // may read the journal; purpose audit
)

// An Option changes what [Start] makes.
type Option func(*deploy.Plan)

// UndoWindow sets how long erasures can be taken back; 0 s if not given.
func UndoWindow(d time.Duration) Option {
	return func(p *deploy.Plan) { p.UndoWindow = d.String() }
}

// WaitingTime sets how long announced grants, policies and directories wait
// until they take effect; 0 s if not given.
func WaitingTime(d time.Duration) Option {
	return func(p *deploy.Plan) { p.WaitingTime = d.String() }
}

// Schema sets the collections, as YAML.
func Schema(text []byte) Option { return func(p *deploy.Plan) { p.Schema = text } }

// OneCell leaves only the default cell, eu.
func OneCell() Option { return func(p *deploy.Plan) { p.Cells = p.Cells[1:] } }

// FrontDoor makes every cell take cases. Custodians and register come after the
// start: package foundation.
func FrontDoor() Option { return func(p *deploy.Plan) { p.FrontDoor = true } }

// A Deployment is two cells, cn under SM4 and eu under AES, with keyholders
// and three witnesses, each a process of its own.
type Deployment struct {
	*deploy.Deployment
	t testing.TB
}

// Start makes and starts a deployment and stops it when the test ends. If the
// test has failed, the ends of the processes' logs are in its output.
func Start(t testing.TB, options ...Option) *Deployment {
	t.Helper()
	p, err := deploy.DevPlan(0)
	if err != nil {
		t.Fatal(err)
	}
	p.UndoWindow, p.Bin = "0s", Binaries(t)
	for _, o := range options {
		o(p)
	}
	l := deploy.Layout{Dir: filepath.Join(shortTempDir(t), "d")}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := deploy.Create(ctx, l, p, time.Now()); err != nil {
		t.Fatalf("make deployment: %v", err)
	}
	run, err := deploy.Start(ctx, l, p.Bin)
	if err != nil {
		t.Fatalf("start deployment: %v\n%s", err, hintOf(err))
	}
	d := &Deployment{run, t}
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Errorf("stop deployment: %v", err)
		}
		if t.Failed() {
			for _, pr := range run.Processes {
				t.Logf("%s last said:\n%s", pr.Name, pr.LastLines(10))
			}
		}
	})
	return d
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*bonded.Error](err); ok {
		return e.Hint
	}
	return ""
}

// shortTempDir is t.TempDir with a path short enough for Unix sockets.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bt") //nolint:usetesting // its names are too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove deployment: %v", err)
		}
	})
	return dir
}

// Client returns a client of a cell that asks as the principal and proves its
// calls. Bearer leaves the proofs out.
func (d *Deployment) Client(principal string, cell bonded.CellID, purpose bonded.Purpose) *client.Client {
	d.t.Helper()
	return d.client(principal, cell, purpose, true)
}

// Bearer returns a client that uses the bearer key alone.
func (d *Deployment) Bearer(principal string, cell bonded.CellID, purpose bonded.Purpose) *client.Client {
	d.t.Helper()
	return d.client(principal, cell, purpose, false)
}

func (d *Deployment) client(principal string, cell bonded.CellID, purpose bonded.Purpose, prove bool) *client.Client {
	d.t.Helper()
	cred, err := deploy.LoadCredential(d.Layout.Credential(principal))
	if err != nil {
		d.t.Fatal(err)
	}
	cc := cred.Cells[cell]
	if cc == nil {
		d.t.Fatalf("%s has no keys for cell %s", principal, cell)
	}
	conf := client.Config{
		Directory: d.Directory, Cell: cell, Why: client.Why{Purpose: purpose, Reason: "test"},
		Credential: client.Credential{Bearer: cc.Bearer},
	}
	if prove {
		conf.Grant, conf.GrantKey = cred.Principal, cc.Key()
	}
	c, err := client.New(conf)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(c.Close)
	return c
}

var build = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("BONDED_BIN"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.MkdirTemp("", "bonded-bin-")
	if err != nil {
		return "", err
	}
	_, self, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/bonded", "./cmd/bonded-keyholder", "./cmd/bonded-verify", "./cmd/bonded-custodian") //nolint:gosec,noctx // bounded by the test
	cmd.Dir = filepath.Dir(filepath.Dir(self))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", &bonded.Error{Code: bonded.CodeInternal, Message: "build: " + string(out), Err: err}
	}
	return dir, nil
})

// Binaries returns the folder of the programs, built once a test binary, or
// the folder named by BONDED_BIN.
func Binaries(t testing.TB) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
