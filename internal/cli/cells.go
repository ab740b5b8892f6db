package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bonded"
	"bonded/client"
	"bonded/internal/deploy"
	"bonded/verify"
)

// callFlags say where to ask and why.
type callFlags struct {
	deploymentFlags
	As      string         `default:"app" placeholder:"NAME" help:"Principal to ask as: keys/NAME.json of the deployment, or a path."`
	Purpose bonded.Purpose `help:"What the call is for; may be left out if the principal has one purpose only."`
	Reason  string         `help:"Why now: a ticket or case number; at most 256 bytes, never personal data."`
	Basis   string         `help:"Legal basis, or id of a basis record."`
	Bearer  bool           `help:"Use the bearer key alone, without proving the call to the keyholder."`

	anyPurpose bool // the call opens nothing: the principal's first purpose will do
}

// cells is a client for each cell of a deployment.
type cells struct {
	dir     *verify.Directory
	clients map[bonded.CellID]*client.Client
}

// forAnything says that the command names its purposes itself, or opens
// nothing.
func (f *callFlags) forAnything() { f.anyPurpose = true }

func (f *callFlags) why() client.Why {
	return client.Why{Purpose: f.Purpose, Reason: f.Reason, Basis: f.Basis}
}

// connect reads the directory and the principal's keys.
func (f *callFlags) connect() (*cells, error) {
	d, err := client.ReadDirectory(f.layout().Directory())
	if err != nil {
		return nil, needsDir(err)
	}
	path := f.As
	if !strings.ContainsAny(path, `/\`) {
		path = f.layout().Credential(f.As)
	}
	cred, err := deploy.LoadCredential(path)
	if err != nil {
		return nil, err
	}
	if f.Purpose == "" && (len(cred.Purposes) == 1 || f.anyPurpose && len(cred.Purposes) > 0) {
		f.Purpose = cred.Purposes[0]
	}
	if f.Purpose == "" {
		return nil, &bonded.Error{
			Code: bonded.CodeMissingPurpose, Field: "--purpose", Message: "every call names what it is for",
			Hint: cred.Principal + " may use " + join(cred.Purposes),
		}
	}
	cs := &cells{dir: d, clients: map[bonded.CellID]*client.Client{}}
	for id, cc := range cred.Cells {
		conf := client.Config{Directory: d, Cell: id, Why: f.why(), Credential: client.Credential{Bearer: cc.Bearer}}
		if key := cc.Key(); key != nil && !f.Bearer {
			conf.Grant, conf.GrantKey = cred.Principal, key
		}
		if cs.clients[id], err = client.New(conf); err != nil {
			return nil, err
		}
	}
	return cs, nil
}

// needsDir adds how a deployment's folder is named to an error of reading it.
func needsDir(err error) error {
	var e *bonded.Error
	if errors.As(err, &e) && e.Hint == "" {
		e.Hint = "name the deployment's folder with --dir or BONDED_DIR"
	}
	return err
}

func (f *deploymentFlags) layout() deploy.Layout { return deploy.Layout{Dir: f.Dir} }

// at returns the client of a cell.
func (cs *cells) at(id bonded.CellID) (*client.Client, error) {
	if c, ok := cs.clients[id]; ok {
		return c, nil
	}
	if _, ok := cs.dir.Cell(id); ok {
		return nil, bonded.Errorf(bonded.CodeUnauthenticated, "these keys do not open cell %s", id)
	}
	return nil, &bonded.Error{Code: bonded.CodeWrongCell, Message: fmt.Sprintf("the directory has no cell %s", id)}
}

// ids returns the cells there are keys for, in order.
func (cs *cells) ids() []bonded.CellID {
	var ids []bonded.CellID
	for id := range cs.clients {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
