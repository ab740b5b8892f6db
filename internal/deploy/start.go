//go:build unix

package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"bonded"
	"bonded/verify"
)

// StartWait is how long [Start] waits for every process to be ready.
const StartWait = 60 * time.Second

// A Deployment is running: every party a process of its own. It is safe for
// concurrent use.
type Deployment struct {
	Layout    Layout
	Directory *verify.Directory
	Processes []*Process // witnesses, then keyholders, vaults and custodians

	lock *os.File // held while the deployment runs from here
}

// Start starts every process of the deployment in l.Dir with the programs in
// bin, and returns when all cells are ready. Their logs are in l.Dir/logs. On
// an error nothing is left running.
func Start(ctx context.Context, l Layout, bin string) (*Deployment, error) {
	b, err := os.ReadFile(l.Directory())
	if err != nil {
		e := &bonded.Error{
			Code: bonded.CodeConfig, Field: l.Dir, Message: "there is no deployment in this folder", Err: err,
			Hint: "bonded dev DIR makes one in a new folder",
		}
		if !errors.Is(err, os.ErrNotExist) {
			e.Message, e.Hint = "the deployment in this folder cannot be read: "+Cause(err), "ask the owner of the folder"
		}
		return nil, e
	}
	dir, err := verify.ParseDirectory(b)
	if err != nil {
		return nil, err
	}
	d := &Deployment{Layout: l, Directory: dir}
	if d.lock, err = lockDir(l.Dir); err != nil {
		return nil, err
	}
	for n := 1; n <= Witnesses; n++ {
		d.add(fmt.Sprintf("witness-%d", n), filepath.Join(bin, "bonded"), "witness", l.Witness(n))
	}
	for i := range dir.Cells {
		id := dir.Cells[i].ID
		d.add(string(id)+"/keyholder", filepath.Join(bin, "bonded-keyholder"), "serve", l.Keyholder(id), "--passphrase-file", l.Passphrase(id))
		d.add(string(id)+"/vault", filepath.Join(bin, "bonded"), "serve", l.Vault(id))
	}
	ctx, cancel := context.WithTimeout(ctx, StartWait)
	defer cancel()
	for _, p := range d.Processes {
		if err := p.start(); err != nil {
			return nil, errors.Join(err, d.Stop())
		}
	}
	for i := range dir.Cells {
		if err := d.Ready(ctx, dir.Cells[i].ID); err != nil {
			return nil, errors.Join(err, d.Stop())
		}
	}
	for i := range dir.Cells {
		if err := d.startCustodians(dir.Cells[i].ID, bin); err != nil {
			return nil, errors.Join(err, d.Stop())
		}
	}
	return d, nil
}

// startCustodians starts every custodian of a cell whose folder is here.
func (d *Deployment) startCustodians(cell bonded.CellID, bin string) error {
	entries, err := os.ReadDir(d.Layout.Custodians(cell))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start custodians: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := d.StartCustodian(cell, e.Name(), bin); err != nil {
				return err
			}
		}
	}
	return nil
}

// StartCustodian starts the program of a custodian, which shows its page on a
// free port of loopback and computes for what it approved.
func (d *Deployment) StartCustodian(cell bonded.CellID, id, bin string) error {
	d.add(string(cell)+"/custodian-"+id, filepath.Join(bin, "bonded-custodian"),
		"--passphrase-file", d.Layout.CustodianPassphrase(cell, id), "serve", d.Layout.Custodian(cell, id))
	return d.Processes[len(d.Processes)-1].start()
}

// CustodianPage returns the address of a custodian's page, with its secret, as
// soon as the program serves it.
func (d *Deployment) CustodianPage(ctx context.Context, cell bonded.CellID, id string) (string, error) {
	p := d.Process(string(cell) + "/custodian-" + id)
	if p == nil {
		return "", bonded.Errorf(bonded.CodeInvalid, "no custodian %s of cell %s runs", id, cell)
	}
	return p.Said(ctx, "custodian "+id+": open ")
}

func (d *Deployment) add(name string, args ...string) {
	d.Processes = append(d.Processes, &Process{
		Name: name, Log: filepath.Join(d.Layout.Dir, "logs", flatten(name)+".log"), args: args,
	})
}

func flatten(name string) string {
	b := []byte(name)
	for i := range b {
		if b[i] == '/' {
			b[i] = '-'
		}
	}
	return string(b)
}

// Process returns the process of that name, such as "eu/vault", or nil.
func (d *Deployment) Process(name string) *Process {
	i := slices.IndexFunc(d.Processes, func(p *Process) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return d.Processes[i]
}

// Ready waits until a cell answers that it is ready to open.
func (d *Deployment) Ready(ctx context.Context, cell bonded.CellID) error {
	c, ok := d.Directory.Cell(cell)
	if !ok {
		return bonded.Errorf(bonded.CodeWrongCell, "no cell %s in the directory", cell)
	}
	return d.Process(string(cell)+"/vault").await(ctx, func(ctx context.Context) error {
		// Another deployment may answer at this address.
		served, err := fetch(ctx, c.API+"/v1/directory")
		if err != nil {
			return err
		}
		if !sameDeployment(served, d.Directory, c) {
			return fmt.Errorf("%s is another deployment: stop it, or make this one with other ports", c.API)
		}
		return d.Readiness(ctx, cell)
	})
}

// sameDeployment reports whether a served directory is of this deployment. Its
// version may be another: a new one waits before it takes effect.
func sameDeployment(served []byte, d *verify.Directory, c *verify.DirectoryCell) bool {
	s, err := verify.ParseDirectory(served)
	if err != nil || s.Admin != d.Admin {
		return false
	}
	o, ok := s.Cell(c.ID)
	return ok && o.LedgerKey == c.LedgerKey
}

// Readiness asks a cell once whether it would open something now. The error
// holds the answer, with its code.
func (d *Deployment) Readiness(ctx context.Context, cell bonded.CellID) error {
	c, ok := d.Directory.Cell(cell)
	if !ok {
		return bonded.Errorf(bonded.CodeWrongCell, "no cell %s in the directory", cell)
	}
	_, err := fetch(ctx, c.API+"/readyz")
	return err
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, b)
	}
	return b, err
}

// Stop ends every process: vaults first, witnesses last.
func (d *Deployment) Stop() error {
	var errs []error
	for _, p := range slices.Backward(d.Processes) {
		if p.Done() != nil {
			errs = append(errs, p.Stop())
		}
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
		d.lock = nil
	}
	return errors.Join(errs...)
}

// lockDir keeps two commands from running one deployment.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".running.lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // inside the deployment
	if err != nil {
		return nil, fmt.Errorf("lock the deployment: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // a descriptor fits an int
		return nil, errors.Join(&bonded.Error{
			Code: bonded.CodeBusy, Field: dir, Message: "this deployment is running already",
			Hint: "stop it with Ctrl-C where it runs, or look at it with bonded status --dir " + dir,
		}, f.Close())
	}
	return f, nil
}

// Ended returns the first process that has ended by itself, or nil.
func (d *Deployment) Ended() *Process {
	for _, p := range d.Processes {
		select {
		case <-p.Done():
			return p
		default:
		}
	}
	return nil
}

// Address returns where a process listens, for people.
func (d *Deployment) Address(name string) string {
	for i := range d.Directory.Cells {
		c := &d.Directory.Cells[i]
		switch name {
		case string(c.ID) + "/vault":
			return c.API
		case string(c.ID) + "/keyholder":
			return c.Keyholder + " (mTLS)"
		}
	}
	if len(d.Directory.Cells) == 0 {
		return ""
	}
	pol, err := verify.ParseWitnessPolicy([]byte(d.Directory.Cells[0].WitnessPolicy))
	if err != nil {
		return ""
	}
	for i, w := range pol.Witnesses() {
		if name == fmt.Sprintf("witness-%d", i+1) {
			return w.URL
		}
	}
	return ""
}
