package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/passphrase"
	"bonded/internal/recipient"
	"bonded/internal/request"
	"bonded/verify"
)

// requestCommands are what an officer of an authority does.
type requestCommands struct {
	Keygen   requestKeygen   `cmd:"" help:"Make the keys of an officer: one to sign with, one to receive under."`
	File     requestFile     `cmd:"" help:"File a request, signed, with its documents; --template prints one to fill in."`
	Status   requestStatus   `cmd:"" help:"Show how a case stands."`
	Answer   requestAnswer   `cmd:"" help:"Answer a question about a case."`
	Accept   requestAccept   `cmd:"" help:"Accept a scope that was narrowed."`
	Withdraw requestWithdraw `cmd:"" help:"Withdraw a case before anything is opened."`
	Fetch    requestFetch    `cmd:"" help:"Fetch the release package of a case."`
	Verify   requestVerify   `cmd:"" help:"Check a release package, without keys."`
	Open     requestOpen     `cmd:"" help:"Check a release package, then open it on this machine."`
}

// keyFlags name the key file of an officer.
type keyFlags struct {
	Key            string `default:"officer.key" env:"BONDED_OFFICER_KEY" placeholder:"FILE" help:"Key file of the officer, from bonded request keygen."`
	PassphraseFile string `env:"BONDED_PASSPHRASE_FILE" placeholder:"FILE" help:"File with the passphrase of the key file. Without it: a prompt."`
}

// officer reads the key file.
func (f *keyFlags) officer(s *streams) (*recipient.Officer, error) {
	b, err := passphrase.OwnFile(f.Key, "key file")
	if err != nil {
		return nil, err
	}
	defer clear(b)
	sealed, err := recipient.OfficerSealed(b)
	if err != nil {
		return nil, at(f.Key, err)
	}
	var pass []byte
	if sealed {
		if pass, err = passphrase.Get(f.PassphraseFile, s.in, s.err, false); err != nil {
			return nil, err
		}
		defer clear(pass)
	}
	o, err := recipient.ParseOfficer(b, pass)
	return o, at(f.Key, err)
}

// personFlags say as whom an officer acts, and at which cell.
type personFlags struct {
	deploymentFlags
	keyFlags
	As string `required:"" env:"BONDED_OFFICER" placeholder:"ID" help:"Your id in the register, such as officer-7."`
}

func (f *personFlags) connect(s *streams, cell bonded.CellID) (*client.PersonClient, *recipient.Officer, error) {
	return connectPerson(s, &f.deploymentFlags, &f.keyFlags, f.As, cell)
}

func connectPerson(s *streams, d *deploymentFlags, k *keyFlags, as string, cell bonded.CellID) (*client.PersonClient, *recipient.Officer, error) {
	dir, err := client.ReadDirectory(d.layout().Directory())
	if err != nil {
		return nil, nil, needsDir(err)
	}
	o, err := k.officer(s)
	if err != nil {
		return nil, nil, err
	}
	p, err := client.NewPerson(client.PersonConfig{Directory: dir, Cell: cell, Person: as, Key: o.Signing})
	return p, o, err
}

type requestKeygen struct {
	Path           string `arg:"" help:"Folder or file to write the key to: a folder gets officer.key."`
	PassphraseFile string `env:"BONDED_PASSPHRASE_FILE" placeholder:"FILE" help:"File with the passphrase to seal the key under. Without it: a prompt."`
	NoPassphrase   bool   `help:"Leave the key unsealed, in a file for its owner only."`
}

type keygenView struct {
	Key       string `json:"key_file"`
	Public    string `json:"public_file"`
	Signing   string `json:"signing_key"`
	Recipient string `json:"recipient_digest"`
}

// Run implements the command.
func (c *requestKeygen) Run(s *streams) error {
	path := c.Path
	if fi, err := os.Stat(path); err == nil && fi.IsDir() || os.IsPathSeparator(path[len(path)-1]) {
		path = filepath.Join(path, "officer.key")
	}
	public := filepath.Join(filepath.Dir(path), "officer.json")
	for _, p := range []string{path, public} {
		if _, err := os.Lstat(p); err == nil {
			return &bonded.Error{
				Code: bonded.CodeConflict, Field: p, Message: "there is a file of that name already",
				Hint: "packages made for its key open with nothing else: name another place",
			}
		}
	}
	var pass []byte
	if !c.NoPassphrase {
		var err error
		if pass, err = passphrase.Get(c.PassphraseFile, s.in, s.err, true); err != nil {
			return err
		}
		defer clear(pass)
	}
	o, err := recipient.NewOfficer()
	if err != nil {
		return err
	}
	defer o.Private.Erase()
	key, err := o.Encode(pass)
	if err != nil {
		return err
	}
	defer clear(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the key: %w", err)
	}
	pub := o.Public()
	for _, f := range []struct {
		path  string
		write func(io.Writer) error
	}{
		{path, func(w io.Writer) error { _, err := w.Write(key); return err }},
		{public, pub.Write},
	} {
		if err := writeWhole(f.path, f.write); err != nil {
			return err
		}
	}
	return s.print(keygenView{path, public, pub.Key, pub.Digest}, func(w *tabwriter.Writer) {
		row(w, "key, for you alone", path)
		row(w, "for the registrar", public)
		row(w, "signing key", pub.Key)
		row(w, "recipient digest", pub.Digest)
	})
}

type requestFile struct {
	deploymentFlags
	keyFlags
	File     string   `arg:"" optional:"" name:"request.yaml" help:"The request."`
	Document []string `type:"existingfile" placeholder:"FILE" help:"A further document that goes with it."`
	Language string   `default:"und" help:"Language of the further documents, BCP 47."`
	Template bool     `help:"Print a request to fill in, with comments."`
}

// Run implements the command.
func (c *requestFile) Run(ctx context.Context, s *streams) error {
	if c.Template {
		_, err := io.WriteString(s.out, request.Template)
		return err
	}
	if c.File == "" {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "request.yaml", Message: "no request is named", Hint: "bonded request file --template prints one to fill in"}
	}
	// 1. Read the request and its documents.
	b, err := os.ReadFile(c.File)
	if err != nil {
		return unreadable(c.File, "the request", err)
	}
	f, err := request.Parse(c.File, b)
	if err != nil {
		return err
	}
	p, o, err := connectPerson(s, &c.deploymentFlags, &c.keyFlags, f.Officer, f.Cell)
	if err != nil {
		return err
	}
	defer o.Private.Erase()
	r, docs, err := f.Request(os.DirFS(filepath.Dir(c.File)), request.Asker{Recipient: o.Key.Bytes(), Nonce: bonded.NewID().Hex(), Now: time.Now()})
	if err != nil {
		return err
	}
	for _, name := range c.Document {
		d := request.Document{File: filepath.Base(name), Language: c.Language}
		doc, content, err := d.Read(os.DirFS(filepath.Dir(name)))
		if err != nil {
			return err
		}
		r.Authorisation.Documents, docs = append(r.Authorisation.Documents, *doc), append(docs, *content)
	}

	// 2. Sign and file it.
	st, err := verify.NewStatement(r)
	if err != nil {
		return err
	}
	st.Sign(verify.LabelRequest, f.Officer, o.Signing)
	res, err := p.FileCase(ctx, st)
	if err != nil {
		return err
	}

	// 3. Upload what it names.
	for i := range docs {
		if _, err := p.PutDocument(ctx, res.Case, docs[i].SHA256, docs[i].Bytes); err != nil {
			return fmt.Errorf("%s is filed, and document %s is not there yet: %w", res.Case, docs[i].Name, err)
		}
	}
	return s.print(res, func(w *tabwriter.Writer) {
		row(w, "case", res.Case)
		row(w, "state", res.State)
		row(w, "documents", len(docs))
	})
}

// caseFlags name a case.
type requestCaseFlags struct {
	personFlags
	Case string `arg:"" help:"Case id, such as case_eu_…."`
}

func (f *requestCaseFlags) connect(s *streams) (bonded.CaseID, *client.PersonClient, *recipient.Officer, error) {
	id, err := bonded.ParseCaseID(f.Case)
	if err != nil {
		return id, nil, nil, err
	}
	p, o, err := f.personFlags.connect(s, id.Cell)
	return id, p, o, err
}

type requestStatus struct{ requestCaseFlags }

// Run implements the command.
func (c *requestStatus) Run(ctx context.Context, s *streams) error {
	id, p, o, err := c.connect(s)
	if err != nil {
		return err
	}
	defer o.Private.Erase()
	v, err := p.Case(ctx, id)
	if err != nil {
		return err
	}
	return s.print(v, func(w *tabwriter.Writer) {
		row(w, "case", v.Case)
		row(w, "state", v.State)
		row(w, "process", v.Process+", "+v.Priority)
		row(w, "filed", stamp(v.Filed))
		if v.Deadline != nil {
			row(w, "due", stamp(*v.Deadline))
		}
		if v.RejectCode != "" {
			row(w, "refused because", v.RejectCode)
		}
		for i := range v.Tasks {
			t := &v.Tasks[i]
			text := t.Status
			if t.Reason != "" {
				text += " (" + t.Reason + ")"
			}
			row(w, fmt.Sprintf("task %d", i), text+": "+t.Collection+" "+join(t.FieldsWanted))
		}
		printQuestion(w, v)
		for i := range v.Documents {
			if !v.Documents[i].Uploaded {
				row(w, "document missing", v.Documents[i].Name)
			}
		}
		if v.Package != "" {
			row(w, "package", v.Package)
		}
		if v.Expires != nil {
			row(w, "package expires", stamp(*v.Expires))
		}
		if len(v.Actions) > 0 {
			row(w, "you may", join(v.Actions))
		}
		for i := range v.Entries {
			e := &v.Entries[i]
			row(w, fmt.Sprintf("entry %d", e.Number), stamp(e.Time)+" "+e.Event+" "+e.State)
		}
	})
}

// printQuestion says what the officer is asked, or what narrower scope is
// offered and why.
func printQuestion(w *tabwriter.Writer, v *apitype.CaseView) {
	var offered []verify.TaskChange
	if text := v.Extra["offered"]; text != "" {
		if err := json.Unmarshal([]byte(text), &offered); err != nil {
			row(w, "offered", text)
		}
	}
	for i := range offered {
		row(w, "offered", "task "+strconv.Itoa(offered[i].Task)+": "+changeOf(&offered[i]))
	}
	if text := v.Extra["question"]; text != "" {
		label := "question"
		if v.Extra["offered"] != "" {
			label = "because"
		}
		row(w, label, text)
	}
}

// changeOf says what is left of a task; what a narrowing does not name stays.
func changeOf(c *verify.TaskChange) string {
	var parts []string
	if c.Code != "" {
		parts = append(parts, "refused, "+c.Code)
	}
	if len(c.FieldsWanted) > 0 {
		parts = append(parts, "fields "+join(c.FieldsWanted))
	}
	if c.From != nil {
		parts = append(parts, "from "+stamp(*c.From))
	}
	if c.To != nil {
		parts = append(parts, "to "+stamp(*c.To))
	}
	if c.MaxSubjects > 0 {
		parts = append(parts, fmt.Sprintf("at most %d people", c.MaxSubjects))
	}
	return join(parts)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// act makes the officer's decision on a case as it stands.
func (f *requestCaseFlags) act(ctx context.Context, s *streams, action, reason string) error {
	id, p, o, err := f.connect(s)
	if err != nil {
		return err
	}
	defer o.Private.Erase()
	v, err := p.Case(ctx, id)
	if err != nil {
		return err
	}
	st, err := verify.NewStatement(&verify.CaseDecision{
		Format: verify.LabelDecision, Case: id, Person: f.As, Role: "requester", Action: action,
		State: v.State, Number: v.Number, Time: time.Now().UTC().Truncate(time.Second), Reason: reason,
	})
	if err != nil {
		return err
	}
	st.Sign(verify.LabelDecision, f.As, o.Signing)
	res, err := p.Decide(ctx, id, st)
	if err != nil {
		return err
	}
	return s.print(res, func(w *tabwriter.Writer) {
		row(w, "case", res.Case)
		row(w, "state", res.State)
	})
}

type requestWithdraw struct {
	requestCaseFlags
	Reason string `required:"" help:"Why; no personal data."`
}

// Run implements the command.
func (c *requestWithdraw) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "withdraw", c.Reason)
}

type requestAnswer struct {
	requestCaseFlags
	Reason string `required:"" help:"The answer; at most 4,096 bytes."`
}

// Run implements the command.
func (c *requestAnswer) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "answer", c.Reason)
}

type requestAccept struct{ requestCaseFlags }

// Run implements the command.
func (c *requestAccept) Run(ctx context.Context, s *streams) error {
	return c.act(ctx, s, "accept", "")
}
