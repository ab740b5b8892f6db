package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/operator"
	"bonded/internal/passphrase"
	"bonded/internal/personkey"
	"bonded/verify"
)

// registerCommands keep the register of agencies and people.
type registerCommands struct {
	Keygen  registerKeygen  `cmd:"" help:"Make the key file of an operator: intake, legal, guardian, auditor or registrar."`
	List    registerList    `cmd:"" help:"Show the register."`
	Agency  registerAgency  `cmd:"" help:"Propose an entry of an agency; --template prints one to fill in."`
	Person  registerPerson  `cmd:"" help:"Propose an entry of an officer or operator; --template prints one to fill in."`
	Suspend registerSuspend `cmd:"" help:"Suspend an agency or a person, at once."`
}

type registerKeygen struct {
	deploymentFlags
	ID             string        `arg:"" help:"Id that the person will have in the register, such as legal-1."`
	Cell           bonded.CellID `required:"" help:"Cell that the person acts at."`
	File           string        `short:"f" placeholder:"FILE" help:"Where to write the key; keys/ID.person.json of --dir if not given."`
	PassphraseFile string        `env:"BONDED_PASSPHRASE_FILE" placeholder:"FILE" help:"File with a passphrase to seal the key under. Without it the file is for its owner only, and not sealed."`
}

type personKeyView struct {
	*operator.Public
	KeyFile    string `json:"key_file"`
	PublicFile string `json:"public_file"`
}

// Run implements the command.
func (c *registerKeygen) Run(s *streams) error {
	// 1. Nothing is overwritten.
	path := c.File
	if path == "" {
		path = filepath.Join(c.layout().Keys(), c.ID+".person.json")
	}
	public := strings.TrimSuffix(strings.TrimSuffix(path, ".json"), ".person") + ".public.json"
	for _, p := range []string{path, public} {
		if _, err := os.Lstat(p); err == nil {
			return &bonded.Error{Code: bonded.CodeConflict, Field: p, Message: "there is a file of that name already", Hint: "name another with --file: the key in it may be in the register"}
		}
	}

	// 2. The key, sealed if there is a passphrase.
	k, err := personkey.New(c.ID, c.Cell)
	if err != nil {
		return err
	}
	var pass []byte
	if c.PassphraseFile != "" {
		if pass, err = passphrase.Get(c.PassphraseFile, s.in, s.err, true); err != nil {
			return err
		}
		defer clear(pass)
	}
	b, err := k.Encode(pass)
	if err != nil {
		return err
	}
	defer clear(b)

	// 3. Both files.
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the key: %w", err)
	}
	if err := writeWhole(path, func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
		return err
	}
	pub := operator.PublicOf(k)
	if err := writeWhole(public, pub.Write); err != nil {
		return err
	}
	return s.print(personKeyView{pub, path, public}, func(w *tabwriter.Writer) {
		row(w, "person", pub.Person)
		row(w, "key, for them alone", path)
		row(w, "for the registrar", public)
		row(w, "signing key", pub.Key)
	})
}

type registerList struct {
	actorFlags
	cellFlag
	State string `enum:",proposed,confirmed,in_force,superseded,suspended" default:"" help:"Only entries that stand so: proposed, confirmed, in_force, superseded or suspended."`
	Kind  string `enum:",agency,person" default:"" help:"Only agencies, or only persons."`
}

// Run implements the command.
func (c *registerList) Run(ctx context.Context, s *streams) error {
	a, err := c.connect(s, c.Cell)
	if err != nil {
		return err
	}
	list, err := a.Register(ctx)
	if err != nil {
		return err
	}
	list.Entries = slices.DeleteFunc(list.Entries, func(e apitype.RegistryEntry) bool {
		return c.State != "" && e.State != c.State || c.Kind != "" && e.Kind != c.Kind
	})
	return s.print(list, func(w *tabwriter.Writer) {
		if len(list.Entries) == 0 {
			row(w, "nothing found")
			return
		}
		row(w, "KIND", "ID", "VERSION", "STATE", "NAME", "WHAT", "IN FORCE", "ENTRY")
		for i := range list.Entries {
			e := &list.Entries[i]
			name, what := words(e)
			entry := "-"
			if e.Index != nil {
				entry = fmt.Sprint(*e.Index)
			}
			row(w, e.Kind, e.ID, e.Version, e.State, name, what, stampOf(e.InForce), entry)
		}
	})
}

// words says in words who an entry is.
func words(e *apitype.RegistryEntry) (name, what string) {
	if e.Statement == nil {
		return "-", "-"
	}
	if e.Kind == verify.RegistryAgency {
		a := new(verify.Agency)
		if e.Statement.DecodeBody(a) != nil {
			return "-", "unreadable"
		}
		return a.Name, fmt.Sprintf("%s %s, %s, powers %s", a.Country, a.Kind, a.Trust, strings.Join(a.Powers, ", "))
	}
	p := new(verify.Person)
	if e.Statement.DecodeBody(p) != nil {
		return "-", "unreadable"
	}
	what = p.Role
	if p.Agency != "" {
		what += fmt.Sprintf(" of %s, level %d", p.Agency, p.Level)
	}
	return p.Name, what
}

// entryFlags are what proposing an entry needs.
type entryFlags struct {
	actorFlags
	cellFlag
	File     string `arg:"" optional:"" name:"file.yaml" help:"The entry."`
	Template bool   `help:"Print a file to fill in, with comments."`
}

// read returns the bytes of the entry's file.
func (f *entryFlags) read(what string) ([]byte, error) {
	if f.File == "" {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "file.yaml", Message: "no file is named", Hint: "bonded register " + what + " --template prints one to fill in"}
	}
	return readInput(f.File, "the entry")
}

type registerAgency struct{ entryFlags }

// Run implements the command.
func (c *registerAgency) Run(ctx context.Context, s *streams) error {
	if c.Template {
		_, err := io.WriteString(s.out, operator.AgencyTemplate)
		return err
	}
	b, err := c.read(verify.RegistryAgency)
	if err != nil {
		return err
	}
	entry, err := operator.ParseAgency(c.File, b)
	if err != nil {
		return err
	}
	a, list, err := c.register(ctx, s, c.Cell)
	if err != nil {
		return err
	}
	entry.Cell, entry.Version = a.Cell(), operator.NextVersion(list, verify.RegistryAgency, entry.ID)
	return a.propose(ctx, s, verify.LabelAgency, entry, a.ProposeAgency)
}

type registerPerson struct {
	entryFlags
	KeyOf string `placeholder:"FILE" help:"Public file with the person's key: officer.json, ID.public.json, or public.json of a custodian."`
}

// Run implements the command.
func (c *registerPerson) Run(ctx context.Context, s *streams) error {
	if c.Template {
		_, err := io.WriteString(s.out, operator.PersonTemplate)
		return err
	}
	b, err := c.read(verify.RegistryPerson)
	if err != nil {
		return err
	}
	entry, err := operator.ParsePerson(c.File, b)
	if err != nil {
		return err
	}
	if c.KeyOf != "" {
		b, err := readInput(c.KeyOf, "the public file")
		if err != nil {
			return err
		}
		key, err := operator.KeyOf(b)
		if err != nil {
			return at(c.KeyOf, err)
		}
		text := verify.EncodePublicKey(key)
		if entry.Key != "" && entry.Key != text {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: "--key-of", Message: "the file names another key than " + c.File, Hint: "leave key: out of the file"}
		}
		entry.Key = text
	}
	if entry.Key == "" {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--key-of", Message: "no key is named", Hint: "name the public file that the person gave you with --key-of"}
	}
	a, list, err := c.register(ctx, s, c.Cell)
	if err != nil {
		return err
	}
	entry.Cell, entry.Version = a.Cell(), operator.NextVersion(list, verify.RegistryPerson, entry.ID)
	return a.propose(ctx, s, verify.LabelPerson, entry, a.ProposePerson)
}

type registerSuspend struct {
	actorFlags
	cellFlag
	Kind   string `arg:"" enum:"agency,person" help:"agency or person."`
	ID     string `arg:"" help:"Id in the register."`
	Reason string `required:"" help:"Why; it stands in the entry. No personal data."`
}

// Run implements the command.
func (c *registerSuspend) Run(ctx context.Context, s *streams) error {
	a, list, err := c.register(ctx, s, c.Cell)
	if err != nil {
		return err
	}
	e := operator.Newest(list, c.Kind, c.ID)
	if e == nil {
		return &bonded.Error{Code: bonded.CodeWithheld, Field: "id", Message: "the register has no " + c.Kind + " of that id", Hint: "bonded register list shows them"}
	}
	if c.Kind == verify.RegistryAgency {
		next, err := operator.SuspendAgency(e, c.Reason)
		if err != nil {
			return err
		}
		return a.propose(ctx, s, verify.LabelAgency, next, a.ProposeAgency)
	}
	next, err := operator.SuspendPerson(e, c.Reason)
	if err != nil {
		return err
	}
	return a.propose(ctx, s, verify.LabelPerson, next, a.ProposePerson)
}

// register connects and reads the register.
func (f *actorFlags) register(ctx context.Context, s *streams, cell bonded.CellID) (*actor, *apitype.RegistryList, error) {
	a, err := f.connect(s, cell)
	if err != nil {
		return nil, nil, err
	}
	list, err := a.Register(ctx)
	return a, list, err
}

// propose signs an entry, hands it in and says what is left to do.
func (a *actor) propose(ctx context.Context, s *streams, label string, entry any, post func(context.Context, *verify.Statement) (*apitype.RegistryEntry, error)) error {
	st, err := a.sign(label, entry)
	if err != nil {
		return err
	}
	e, err := post(ctx, st)
	if err != nil {
		return err
	}
	sum := st.Digest(label)
	digest := hex.EncodeToString(sum[:])
	return s.print(e, func(w *tabwriter.Writer) {
		row(w, e.Kind, e.ID)
		row(w, "cell", a.Cell())
		row(w, "version", e.Version)
		row(w, "state", e.State)
		switch e.State {
		case "proposed":
			row(w, "left to do", "a custodian of the role "+verify.RoleIndependent+" confirms it: bonded-custodian confirm DIR "+e.Kind+" "+e.ID+" --digest "+digest)
			row(w, "then", "it is entered in the ledger, and in force when the cell's waiting time has passed since it was witnessed")
		case "suspended":
			row(w, "in force", "at once; the ledger says so")
		default:
			row(w, "in force", stampOf(e.InForce))
		}
	})
}
