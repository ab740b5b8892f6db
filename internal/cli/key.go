package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/deploy"
	"bonded/verify"
)

// keyCommands work on the administrator's folder of a deployment.
type keyCommands struct {
	Create keyCreate `cmd:"" help:"Make a principal's keys and install its grant at vaults and keyholders."`
	List   keyList   `cmd:"" help:"List the principals of the cells."`
	Revoke keyRevoke `cmd:"" help:"Take a principal's grants away."`
}

type keyCreate struct {
	deploymentFlags
	Name     string           `arg:"" help:"Principal id, such as svc-orders."`
	Cell     []bonded.CellID  `help:"Cells it may ask in; all of them if not given."`
	Location bonded.CellID    `help:"Cell it sits in; the cell of each grant if not given."`
	Role     []string         `default:"app" help:"Roles, as the policy knows them."`
	Purpose  []bonded.Purpose `required:"" help:"Purposes it may name."`
	Scope    []string         `default:"users" help:"Collections it may ask for."`
	Budget   uint32           `default:"10000" help:"Distinct people an hour."`
	Valid    time.Duration    `default:"2160h" help:"How long from now."`
	NoBearer bool             `help:"Every call must be proven to the keyholder; the bearer key alone is refused."`
	Erase    bool             `help:"May ask for erasures."`
	Console  bool             `help:"For a person of the register at the console's pages: no key is made. Given again, it replaces what they had."`
}

// Run implements the command.
func (c *keyCreate) Run(ctx context.Context, s *streams) error {
	l, cells, err := c.open(c.Cell)
	if err != nil {
		return err
	}
	if !bonded.ValidName(c.Name) {
		return &bonded.Error{
			Code: bonded.CodeInvalid, Field: "name", Message: "not a principal id",
			Hint: "a–z, 0–9, _, - and ., beginning with a letter, such as svc-orders",
		}
	}
	if c.Valid <= 0 || c.Budget == 0 {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--valid, --budget", Message: "both are above 0"}
	}
	if err := c.knownWords(l, cells, s); err != nil {
		return err
	}
	scope := map[string][]string{}
	for _, coll := range c.Scope {
		scope[coll] = []string{"*"}
	}
	path := l.Credential(c.Name)
	if c.Console && (c.NoBearer || c.Location != "") {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--console", Message: "a grant without a key has no use for --no-bearer and --location"}
	}
	if _, err := os.Stat(path); err == nil {
		return &bonded.Error{
			Code: bonded.CodeConflict, Field: path, Message: "there are keys of that name already",
			Hint: "bonded key revoke it first, or choose another name",
		}
	}
	cred, err := l.Grant(deploy.Principal{
		ID: c.Name, Roles: c.Role, Purposes: c.Purpose, Scope: scope, Budget: c.Budget, Valid: c.Valid,
		NoBearer: c.NoBearer, Location: c.Location, Erase: c.Erase, Internal: c.Console,
	}, cells, time.Now())
	if err != nil {
		return err
	}
	if c.Console {
		path = ""
	} else if err := cred.Save(path); err != nil {
		return err
	}
	from, err := awaitGrants(ctx, s, l, cells)
	if err != nil {
		return err
	}
	return s.print(map[string]any{"principal": c.Name, "file": path, "in_force": from}, func(w *tabwriter.Writer) {
		row(w, "principal", c.Name)
		if path != "" {
			row(w, "keys written to", path)
		}
		sayInForce(w, from)
	})
}

type keyList struct{ deploymentFlags }

type keyView struct {
	Cell      bonded.CellID    `json:"cell"`
	Principal string           `json:"principal"`
	Location  bonded.CellID    `json:"location"`
	Roles     []string         `json:"roles"`
	Purposes  []bonded.Purpose `json:"purposes"`
	Budget    uint32           `json:"budget"`
	Bearer    bool             `json:"bearer"`
	NotAfter  time.Time        `json:"not_after"`
}

// Run implements the command.
func (c *keyList) Run(s *streams) error {
	l, cells, err := c.open(nil)
	if err != nil {
		return err
	}
	views := []keyView{}
	for _, cell := range cells {
		set, err := l.Grants(cell)
		if err != nil {
			return err
		}
		for _, g := range set.Grants {
			views = append(views, keyView{cell, g.ID, g.Location, g.Roles, g.Purposes, g.Budget, g.Bearer, g.NotAfter})
		}
	}
	return s.print(views, func(w *tabwriter.Writer) {
		row(w, "CELL", "PRINCIPAL", "SITS IN", "ROLES", "PURPOSES", "PEOPLE/HOUR", "BEARER", "UNTIL")
		for _, v := range views {
			row(w, v.Cell, v.Principal, v.Location, join(v.Roles), join(v.Purposes), v.Budget, v.Bearer, v.NotAfter.Format(time.DateOnly))
		}
	})
}

type keyRevoke struct {
	deploymentFlags
	Name string          `arg:"" help:"Principal id."`
	Cell []bonded.CellID `help:"Cells to take it from; all of them if not given."`
}

// Run implements the command.
func (c *keyRevoke) Run(ctx context.Context, s *streams) error {
	l, cells, err := c.open(c.Cell)
	if err != nil {
		return err
	}
	if err := l.Revoke(c.Name, cells, time.Now()); err != nil {
		return err
	}
	if err := os.Remove(l.Credential(c.Name)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove its key file: %w", err)
	}
	from, err := awaitGrants(ctx, s, l, cells)
	if err != nil {
		return err
	}
	return s.print(map[string]any{"revoked": c.Name, "in_force": from}, func(w *tabwriter.Writer) {
		row(w, "revoked", c.Name)
		for _, v := range from {
			if v.From != nil {
				row(w, "the rest of set "+strconv.FormatUint(v.Set, 10)+" in "+string(v.Cell), "in force from "+v.From.Format(time.RFC3339))
			}
		}
	})
}

// deploymentFlags name a deployment's folder.
type deploymentFlags struct {
	Dir string `env:"BONDED_DIR" default:"." placeholder:"DIR" help:"Folder of the deployment, with cells.json."`
}

// open reads the directory and returns the cells asked for, all if none.
func (f *deploymentFlags) open(want []bonded.CellID) (deploy.Layout, []bonded.CellID, error) {
	l := deploy.Layout{Dir: f.Dir}
	d, err := f.directory()
	if err != nil {
		return l, nil, err
	}
	if len(want) == 0 {
		for i := range d.Cells {
			want = append(want, d.Cells[i].ID)
		}
	}
	for _, id := range want {
		if _, ok := d.Cell(id); !ok {
			return l, nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "--cell", Message: "the directory has no cell " + string(id)}
		}
	}
	return l, want, nil
}

func (f *deploymentFlags) directory() (*verify.Directory, error) {
	l := deploy.Layout{Dir: f.Dir}
	b, err := os.ReadFile(l.Directory())
	if err != nil {
		return nil, &bonded.Error{
			Code: bonded.CodeConfig, Field: l.Directory(), Message: "no directory of cells here", Err: err,
			Hint: "name the deployment's folder with --dir or BONDED_DIR",
		}
	}
	return verify.ParseDirectory(b)
}
