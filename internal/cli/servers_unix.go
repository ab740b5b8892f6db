//go:build unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/demo"
	"bonded/internal/deploy"
	"bonded/internal/foundation"
	"bonded/internal/node"
)

// serverCommands run parties.
type serverCommands struct {
	Init    initCommand    `cmd:"" help:"Make the folders of a deployment: two cells, their keyholders, three witnesses."`
	Dev     devCommand     `cmd:"" help:"Run a whole deployment on this machine until Ctrl-C; make it first if DIR is new."`
	Serve   serveCommand   `cmd:"" help:"Run a vault with its ledger."`
	Witness witnessCommand `cmd:"" help:"Run a witness."`
	Demo    demoCommand    `cmd:"" help:"Tell the main job as a story on a deployment of its own."`
}

type initCommand struct {
	Dir  string `arg:"" help:"Folder to make."`
	Port int    `default:"7440" help:"First port; the others follow. 0 takes free ones."`
}

// Run implements the command.
func (c *initCommand) Run(ctx context.Context, s *streams) error {
	l, err := create(ctx, c.Dir, c.Port)
	if err != nil {
		return err
	}
	return s.print(map[string]string{"dir": l.Dir, "directory": l.Directory(), "keys": l.Keys()}, func(w *tabwriter.Writer) {
		row(w, "deployment", l.Dir)
		row(w, "directory", l.Directory())
		row(w, "keys", l.Keys())
		row(w, "start it with", "bonded dev "+l.Dir)
	})
}

func create(ctx context.Context, dir string, port int) (deploy.Layout, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return deploy.Layout{}, err
	}
	p, err := deploy.DevPlan(port)
	if err != nil {
		return deploy.Layout{}, err
	}
	if p.Bin, err = binaries(); err != nil {
		return deploy.Layout{}, err
	}
	p.FrontDoor = true
	l := deploy.Layout{Dir: abs}
	return l, deploy.Create(ctx, l, p, time.Now())
}

// binaries returns the folder this program is in, where its sisters are.
func binaries() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our own program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find our own program: %w", err)
	}
	dir := filepath.Dir(self)
	if _, err := os.Stat(filepath.Join(dir, "bonded-keyholder")); err != nil {
		return "", &bonded.Error{
			Code: bonded.CodeConfig, Field: dir, Message: "bonded-keyholder is not beside bonded", Err: err,
			Hint: "make build puts both into bin/",
		}
	}
	return dir, nil
}

type devCommand struct {
	Dir  string `arg:"" help:"Folder of the deployment."`
	Port *int   `help:"First port of a new deployment, 7440 if not given; the others follow. 0 takes free ones."`
}

// Run implements the command.
func (c *devCommand) Run(ctx context.Context, s *streams) error {
	// 1. Make the deployment if the folder is new.
	l := deploy.Layout{Dir: c.Dir}
	if abs, err := filepath.Abs(c.Dir); err == nil {
		l.Dir = abs
	}
	bin, err := binaries()
	if err != nil {
		return err
	}
	if _, err := os.Stat(l.Directory()); errors.Is(err, os.ErrNotExist) {
		port := 7440
		if c.Port != nil {
			port = *c.Port
		}
		fmt.Fprintf(s.err, "making a deployment in %s\n", l.Dir)
		if l, err = create(ctx, c.Dir, port); err != nil {
			return err
		}
	} else if c.Port != nil {
		return &bonded.Error{
			Code: bonded.CodeInvalid, Field: "--port", Message: "the deployment in this folder has its ports already",
			Hint: "leave --port out, or name a new folder",
		}
	}
	// 2. Start every party.
	d, err := deploy.Start(ctx, l, bin)
	if err != nil {
		return err
	}
	// 3. Custodians and register of front doors that have none yet.
	if err := found(ctx, s, d, bin); err != nil {
		return errors.Join(err, d.Stop())
	}
	// 4. Say what is there, and stay.
	if err := printDeployment(ctx, s, d); err != nil {
		return errors.Join(err, d.Stop())
	}
	fmt.Fprintln(s.err, "running; Ctrl-C ends all of them")
	return stay(ctx, s, d)
}

// found sets up every front door of a deployment that has none yet.
func found(ctx context.Context, s *streams, d *deploy.Deployment, bin string) error {
	for i := range d.Directory.Cells {
		id := d.Directory.Cells[i].ID
		conf, err := node.LoadVaultConfig(d.Layout.Vault(id))
		if err != nil {
			return err
		}
		if conf.FrontDoor == nil {
			continue
		}
		f := foundation.New(d, bin, id)
		done, err := f.Founded(ctx)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		fmt.Fprintf(s.err, "cell %s: custodians hold their first ceremony, people come into the register\n", id)
		if err := f.Found(ctx); err != nil {
			return err
		}
		for _, c := range f.Plan.Custodians {
			if err := d.StartCustodian(id, c.ID, bin); err != nil {
				return err
			}
		}
	}
	return nil
}

// stay waits for Ctrl-C, or for a process that ends by itself.
func stay(ctx context.Context, s *streams, d *deploy.Deployment) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(s.err, "stopping")
			return d.Stop()
		case <-tick.C:
			if p := d.Ended(); p != nil {
				return errors.Join(&bonded.Error{
					Code: bonded.CodeInternal, Field: p.Log, Message: p.Name + " has ended; the others were stopped",
					Hint: "its last words:\n" + p.LastLines(5),
				}, d.Stop())
			}
		}
	}
}

type deploymentView struct {
	Dir       string        `json:"dir"`
	Processes []processView `json:"processes"`
	KeyFile   string        `json:"key_file"`
	Cell      bonded.CellID `json:"cell"`
	Bearer    string        `json:"bearer"`
	Pages     []pageView    `json:"pages"` // for people, in a browser
}

type pageView struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// pages are where people of the deployment's first cell go with a browser.
func pages(ctx context.Context, d *deploy.Deployment) (out []pageView, err error) {
	ctx, cancel := context.WithTimeout(ctx, deploy.StartWait)
	defer cancel()
	cell := d.Directory.Default
	conf, err := node.LoadVaultConfig(d.Layout.Vault(cell))
	if err != nil {
		return nil, err
	}
	if conf.Console != nil {
		out = append(out, pageView{"console", conf.Console.Origin + "/console/"}, pageView{"officers' pages", conf.Console.Origin + "/officers/"})
	}
	for _, p := range d.Processes {
		custodian, ok := strings.CutPrefix(p.Name, string(cell)+"/custodian-")
		if !ok {
			continue
		}
		link, err := d.CustodianPage(ctx, cell, custodian)
		if err != nil {
			return nil, err
		}
		out = append(out, pageView{"custodian " + custodian, link})
	}
	return out, nil
}

type processView struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Address string `json:"address"`
	Log     string `json:"log"`
}

func printDeployment(ctx context.Context, s *streams, d *deploy.Deployment) error {
	cred, err := deploy.LoadCredential(d.Layout.Credential(deploy.PrincipalApp))
	if err != nil {
		return err
	}
	v := deploymentView{Dir: d.Layout.Dir, KeyFile: d.Layout.Credential(deploy.PrincipalApp), Cell: d.Directory.Default}
	v.Bearer = cred.Cells[v.Cell].Bearer
	for _, p := range d.Processes {
		v.Processes = append(v.Processes, processView{p.Name, p.PID(), d.Address(p.Name), p.Log})
	}
	if v.Pages, err = pages(ctx, d); err != nil {
		return err
	}
	return s.print(v, func(w *tabwriter.Writer) {
		row(w, "PROCESS", "LISTENS AT", "PID", "LOG")
		for _, p := range v.Processes {
			row(w, p.Name, p.Address, p.PID, p.Log)
		}
		row(w)
		row(w, "first API key", v.Bearer+"  (cell "+string(v.Cell)+", principal "+deploy.PrincipalApp+")")
		row(w, "keys of every cell", d.Layout.Keys())
		row(w, "people of the front door", d.Layout.People())
		row(w, "custodians of the cell", d.Layout.Custodians(v.Cell))
		row(w)
		row(w, "PAGES OF CELL "+string(v.Cell), "ADDRESS")
		for _, p := range v.Pages {
			row(w, p.Name, p.Address)
		}
		row(w, "to sign in at the console", "bonded console invite --person-id legal-1 --cell "+string(v.Cell)+" --admin "+filepath.Join(d.Layout.Admin(), "admin.key"))
	})
}

type serveCommand struct {
	Dir   string `arg:"" help:"The vault's folder, with vault.yaml."`
	Check bool   `help:"Read everything in the folder as a start would, and stop."`

	AcceptDirectory bool `help:"Accept the directory in the folder as it is, in place of the one in force."`
}

// Run implements the command.
func (c *serveCommand) Run(ctx context.Context, s *streams) error {
	if c.Check {
		if err := node.CheckVault(c.Dir, logger(s)); err != nil {
			return err
		}
		fmt.Fprintf(s.err, "%s is ready to be served\n", c.Dir)
		return nil
	}
	return node.RunVault(ctx, c.Dir, node.Options{AcceptDirectory: c.AcceptDirectory}, logger(s))
}

type witnessCommand struct {
	Dir string `arg:"" help:"The witness's folder, with witness.yaml."`
}

// Run implements the command.
func (c *witnessCommand) Run(ctx context.Context, s *streams) error {
	return node.RunWitness(ctx, c.Dir, logger(s))
}

func logger(s *streams) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(os.Getenv("BONDED_LOG_LEVEL"))) // absent or unknown: info
	return slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: level}))
}

type demoCommand struct {
	Input string `placeholder:"FILE.csv" help:"CSV of people; without it a synthetic sample is made."`
	Dir   string `placeholder:"DIR" help:"Folder of the deployment; without it a temporary one is made."`
	Exit  bool   `help:"Stop the deployment at the end and remove a temporary folder, instead of leaving it running."`
}

// Run implements the command.
func (c *demoCommand) Run(ctx context.Context, s *streams) error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	d, err := demo.Run(ctx, demo.Options{Input: c.Input, Dir: c.Dir, Bin: bin, Out: s.out})
	if d == nil {
		return err
	}
	remove := func() error {
		if c.Dir != "" {
			return nil
		}
		return os.RemoveAll(d.Layout.Dir)
	}
	if err != nil || c.Exit {
		return errors.Join(err, d.Stop(), remove())
	}
	if err := printDeployment(ctx, s, d); err != nil {
		return errors.Join(err, d.Stop(), remove())
	}
	fmt.Fprintln(s.err, "the deployment stays; Ctrl-C ends it and removes a temporary folder")
	return errors.Join(stay(ctx, s, d), remove())
}
