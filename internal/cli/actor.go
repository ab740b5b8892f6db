package cli

import (
	"context"
	"crypto/ed25519"
	"os"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/operator"
	"bonded/internal/passphrase"
	"bonded/internal/personkey"
	"bonded/internal/recipient"
	"bonded/verify"
)

// directoryFlags name the directory of cells.
type directoryFlags struct {
	deploymentFlags
	Directory string `placeholder:"cells.json" help:"Directory file; cells.json of --dir if not given."`
}

// actorFlags say as whom somebody acts at the front door, and with which key.
type actorFlags struct {
	directoryFlags
	Person         string `env:"BONDED_PERSON" placeholder:"FILE" help:"Your key file, from bonded register keygen, or an officer's from bonded request keygen."`
	As             string `env:"BONDED_OFFICER" placeholder:"ID" help:"Your id in the register; an officer's key file does not hold it."`
	Admin          string `placeholder:"FILE" help:"Act as the directory's administrator instead, with this key: admin/admin.key of the deployment."`
	PassphraseFile string `env:"BONDED_PASSPHRASE_FILE" placeholder:"FILE" help:"File with the passphrase of the key file. Without it: a prompt."`
}

// cellFlag names a cell.
type cellFlag struct {
	Cell bonded.CellID `help:"Cell; that of the key file, or the default cell, if not given."`
}

// An actor is somebody with a key, at a cell.
type actor struct {
	*client.PersonClient
	dir *verify.Directory
	key ed25519.PrivateKey
}

// sign adds the actor's signature to a statement over v.
func (a *actor) sign(label string, v any) (*verify.Statement, error) {
	st, err := verify.NewStatement(v)
	if err != nil {
		return nil, err
	}
	st.Sign(label, a.Person(), a.key)
	return st, nil
}

// role returns the actor's role in the register.
func (a *actor) role(ctx context.Context) (string, error) {
	list, err := a.Register(ctx)
	if err != nil {
		return "", err
	}
	pub, _ := a.key.Public().(ed25519.PublicKey) //nolint:errcheck // always one
	return operator.Role(list, a.Person(), verify.EncodePublicKey(pub))
}

// readDirectory reads the directory that the flags name.
func (f *directoryFlags) readDirectory() (*verify.Directory, error) {
	path := f.Directory
	if path == "" {
		path = f.layout().Directory()
	}
	d, err := client.ReadDirectory(path)
	return d, needsDir(err)
}

// connect reads directory and key. An empty cell is that of the key file, else
// the directory's default.
func (f *actorFlags) connect(s *streams, cell bonded.CellID) (*actor, error) {
	d, err := f.readDirectory()
	if err != nil {
		return nil, err
	}
	k, err := f.readKey(s)
	if err != nil {
		return nil, err
	}
	switch {
	case cell == "" && k.Cell != "":
		cell = k.Cell
	case cell == "":
		cell = d.Default
	case k.Cell != "" && k.Cell != cell:
		return nil, &bonded.Error{Code: bonded.CodeWrongCell, Message: "the key file is of cell " + string(k.Cell) + ", and this is about cell " + string(cell), Hint: "name the key file of that cell with --person"}
	}
	p, err := client.NewPerson(client.PersonConfig{Directory: d, Cell: cell, Person: k.Person, Key: k.Private()})
	if err != nil {
		return nil, err
	}
	return &actor{p, d, k.Private()}, nil
}

// public returns a client that may ask what anyone may.
func (f *directoryFlags) public(cell bonded.CellID) (*client.PersonClient, *verify.Directory, error) {
	d, err := f.readDirectory()
	if err != nil {
		return nil, nil, err
	}
	if cell == "" {
		cell = d.Default
	}
	p, err := client.NewPerson(client.PersonConfig{Directory: d, Cell: cell})
	return p, d, err
}

// readKey reads the administrator's key, an operator's or an officer's. The
// cell of the result is empty where the file does not name one.
func (f *actorFlags) readKey(s *streams) (*personkey.Key, error) {
	if f.Admin != "" {
		b, err := passphrase.OwnFile(f.Admin, "administrator's key")
		if err != nil {
			return nil, err
		}
		defer clear(b)
		if len(b) != ed25519.SeedSize {
			return nil, &bonded.Error{Code: bonded.CodeConfig, Field: f.Admin, Message: "not the key of an administrator: it has 32 bytes", Hint: "it is admin/admin.key of the deployment"}
		}
		return personkey.Of(verify.SignerAdmin, "", ed25519.NewKeyFromSeed(b)), nil
	}
	if f.Person == "" {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "--person", Message: "no key file is named", Hint: "name yours with --person or BONDED_PERSON; bonded register keygen makes one"}
	}
	b, err := passphrase.OwnFile(f.Person, "key file")
	if err != nil {
		return nil, err
	}
	defer clear(b)
	if is, sealed := personkey.Is(b); is {
		pass, err := f.passphrase(s, sealed)
		if err != nil {
			return nil, err
		}
		defer clear(pass)
		k, err := personkey.Parse(b, pass)
		if err == nil && f.As != "" && f.As != k.Person {
			err = &bonded.Error{Code: bonded.CodeConfig, Field: "--as", Message: "the key file is of " + k.Person}
		}
		return k, at(f.Person, err)
	}
	sealed, err := recipient.OfficerSealed(b)
	if err != nil {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: f.Person, Message: "not a key file of a person", Hint: "bonded register keygen makes an operator's, bonded request keygen an officer's"}
	}
	if f.As == "" {
		return nil, &bonded.Error{Code: bonded.CodeConfig, Field: "--as", Message: "an officer's key file does not say who you are", Hint: "name your id in the register with --as or BONDED_OFFICER"}
	}
	pass, err := f.passphrase(s, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(pass)
	o, err := recipient.ParseOfficer(b, pass)
	if err != nil {
		return nil, at(f.Person, err)
	}
	o.Private.Erase() // nothing is opened here
	return personkey.Of(f.As, "", o.Signing), nil
}

func (f *actorFlags) passphrase(s *streams, sealed bool) ([]byte, error) {
	if !sealed {
		return nil, nil
	}
	return passphrase.Get(f.PassphraseFile, s.in, s.err, false)
}

// readInput reads a file that is no secret.
func readInput(path, what string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, what, err)
	}
	return b, nil
}

// stampOf is stamp of a time that may be absent.
func stampOf(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return stamp(*t)
}
