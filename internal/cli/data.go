package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/client"
)

// parseValues reads NAME=VALUE arguments. A value that begins with "json:" is
// a JSON number, boolean or null; everything else is text.
func parseValues(args []string) (client.Values, error) {
	values := client.Values{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || !bonded.ValidName(name) {
			return nil, &bonded.Error{Code: bonded.CodeInvalid, Message: "not NAME=VALUE", Hint: "write for example name='Käthe Grünwald'"}
		}
		if raw, ok := strings.CutPrefix(value, "json:"); ok {
			if !json.Valid([]byte(raw)) {
				return nil, &bonded.Error{Code: bonded.CodeWrongType, Field: name, Message: "not JSON after json:"}
			}
			values[name] = json.RawMessage(raw)
			continue
		}
		b, err := json.Marshal(value)
		if err != nil {
			return nil, &bonded.Error{Code: bonded.CodeInvalidUTF8, Field: name, Message: "not text"}
		}
		values[name] = b
	}
	return values, nil
}

// factFlags are what decides a person's home.
type factFlags struct {
	Residence     []bonded.Jurisdiction `help:"Countries of residence, ISO 3166-1 alpha-2."`
	Citizenship   []bonded.Jurisdiction `help:"Countries of citizenship."`
	Collected     []bonded.Jurisdiction `help:"Countries in which the data is collected."`
	Service       []bonded.Jurisdiction `help:"Countries the service is offered in."`
	OperatorClass []string              `help:"What the operator is, in the words of the packs, such as cii_operator."`
}

func (f *factFlags) facts() client.Facts {
	return client.Facts{
		Residence: f.Residence, Citizenship: f.Citizenship, Collected: f.Collected, Service: f.Service, OperatorClass: f.OperatorClass,
	}
}

type routeCommand struct {
	callFlags
	factFlags
}

// Run implements the command.
func (c *routeCommand) Run(s *streams) error {
	c.forAnything()
	cs, err := c.connect()
	if err != nil {
		return err
	}
	cl, err := cs.at(cs.dir.Default)
	if err != nil {
		return err
	}
	a, err := cl.Route(c.facts())
	if err != nil {
		return err
	}
	return s.print(a, func(w *tabwriter.Writer) {
		row(w, "cell", a.Cell)
		row(w, "rule", a.Rule)
		row(w, "reason", a.Reason)
		if len(a.Cite) > 0 {
			row(w, "sources", strings.Join(a.Cite, ", "))
		}
		if a.Unverified {
			row(w, "note", "the rule has not been checked against its source yet")
		}
	})
}

type putCommand struct {
	callFlags
	factFlags
	Collection string   `arg:"" help:"Collection, such as users."`
	Values     []string `arg:"" help:"NAME=VALUE for each field; json:… for numbers, booleans and null (which removes a field)."`
	Subject    string   `help:"Write to this person instead of making a new one; without --record it adds a record."`
	Record     string   `help:"Write this record of the person instead of adding one."`
	Partial    bool     `help:"Change only the fields named, of the record that --record names."`
	IfVersion  *uint64  `help:"Write only if the record has this version; 0: only if it is new."`
	Token      []string `help:"Fields to make tokens for."`
}

// check refuses what would not do what it seems to.
func (c *putCommand) check() error {
	switch {
	case c.Record != "" && c.Subject == "":
		return &bonded.Error{
			Code: bonded.CodeInvalid, Field: "--record", Message: "a record is a person's: --subject is missing",
			Hint: "bonded put and bonded get print both",
		}
	case c.Partial && c.Record == "":
		return &bonded.Error{
			Code: bonded.CodeInvalid, Field: "--partial", Message: "there is nothing to change in part: without --record a new record is made",
			Hint: "name the record with --subject and --record, which bonded get prints; or leave --partial out to add a record",
		}
	}
	return nil
}

// Run implements the command.
func (c *putCommand) Run(ctx context.Context, s *streams) error {
	if err := c.check(); err != nil {
		return err
	}
	cs, err := c.connect()
	if err != nil {
		return err
	}
	req := client.PutRequest{Why: c.why(), Collection: c.Collection}
	req.Partial, req.IfVersion, req.Tokens = c.Partial, c.IfVersion, c.Token
	if req.Values, err = parseValues(c.Values); err != nil {
		return err
	}
	cell, err := c.target(cs, &req)
	if err != nil {
		return err
	}
	cl, err := cs.at(cell)
	if err != nil {
		return err
	}
	res, err := cl.Put(ctx, req)
	if err != nil {
		return err
	}
	return s.print(res, func(w *tabwriter.Writer) {
		row(w, "subject", res.Subject)
		row(w, "record", res.Record)
		row(w, "version", res.Version)
		for f, t := range res.Tokens {
			row(w, "token of "+f, t)
		}
		row(w, "entry", res.Entry)
	})
}

// target fills in whom the write is for and returns the cell it belongs to.
func (c *putCommand) target(cs *cells, req *client.PutRequest) (bonded.CellID, error) {
	if c.Record != "" {
		r, err := bonded.ParseRecordID(c.Record)
		if err != nil {
			return "", err
		}
		req.Record = &r
	}
	if c.Subject != "" {
		sub, err := bonded.ParseSubjectID(c.Subject)
		req.Subject = &sub
		return sub.Cell, err
	}
	facts := c.facts()
	req.Facts = &facts
	cl, err := cs.at(cs.dir.Default)
	if err != nil {
		return "", err
	}
	a, err := cl.Route(facts)
	if err != nil {
		return "", err
	}
	return a.Cell, nil
}

type getCommand struct {
	callFlags
	Collection string   `arg:"" help:"Collection, such as users."`
	What       string   `arg:"" help:"SUBJECT/RECORD, a token, or a subject id alone: its newest record, chosen by the vault."`
	Fields     []string `arg:"" optional:"" help:"Fields to open; none for a token."`
	Mask       bool     `help:"Show the fields masked."`
}

// Run implements the command.
func (c *getCommand) Run(ctx context.Context, s *streams) error {
	cs, err := c.connect()
	if err != nil {
		return err
	}
	item, cell, err := parseWhat(c.What)
	if err != nil {
		return err
	}
	item.Fields = c.Fields
	cl, err := cs.at(cell)
	if err != nil {
		return err
	}
	req := client.GetRequest{Why: c.why(), Collection: c.Collection, GetItem: *item}
	read := cl.Get
	if c.Mask {
		read = cl.Mask
	}
	res, err := read(ctx, req)
	if err != nil {
		return err
	}
	return s.print(res, func(w *tabwriter.Writer) {
		for _, f := range sortedFields(res.Values) {
			row(w, f, text(res.Values[f]))
		}
		row(w, "subject", res.Subject)
		row(w, "record", res.Record)
		row(w, "version", res.Version)
		row(w, "entry", res.Entry)
	})
}

// parseWhat reads a subject, a token, or subject/record.
func parseWhat(s string) (*client.GetItem, bonded.CellID, error) {
	if strings.HasPrefix(s, "tok_") {
		t, err := bonded.ParseToken(s)
		return &client.GetItem{Token: &t}, t.Cell, err
	}
	subject, record, both := strings.Cut(s, "/")
	sub, err := bonded.ParseSubjectID(subject)
	if err != nil {
		return nil, "", err
	}
	item := &client.GetItem{Subject: &sub}
	if both {
		r, err := bonded.ParseRecordID(record)
		if err != nil {
			return nil, "", err
		}
		item.Record = &r
	}
	return item, sub.Cell, nil
}

func sortedFields(v client.Values) []string {
	var names []string
	for n := range v {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// text returns a JSON string as itself and other values as JSON.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

type findCommand struct {
	callFlags
	Collection string        `arg:"" help:"Collection, such as users."`
	Where      []string      `arg:"" help:"NAME=VALUE conditions; all must hold."`
	Cell       bonded.CellID `help:"Cell to search; every cell if not given."`
	Limit      int           `default:"100" help:"Records of one cell at most, 1 to 1000."`
}

// Run implements the command.
func (c *findCommand) Run(ctx context.Context, s *streams) error {
	cs, err := c.connect()
	if err != nil {
		return err
	}
	where := map[string]string{}
	for _, a := range c.Where {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return &bonded.Error{Code: bonded.CodeInvalid, Message: "not NAME=VALUE"}
		}
		where[name] = value
	}
	ids := cs.ids()
	if c.Cell != "" {
		ids = []bonded.CellID{c.Cell}
	}
	found := []client.Found{}
	var failed error
	for _, id := range ids {
		cl, err := cs.at(id)
		if err != nil {
			return err
		}
		res, err := cl.Find(ctx, client.FindRequest{Why: c.why(), Collection: c.Collection, Where: where, Limit: c.Limit})
		if err != nil { // the other cells may be well
			failed = errors.Join(failed, fmt.Errorf("cell %s: %w", id, err))
			continue
		}
		found = append(found, res.Records...)
	}
	return errors.Join(failed, s.print(found, func(w *tabwriter.Writer) {
		if len(found) == 0 {
			row(w, "nothing found")
			return
		}
		row(w, "SUBJECT", "RECORD")
		for _, f := range found {
			row(w, f.Subject, f.Record)
		}
	}))
}

// subjectFlags name one person.
type subjectFlags struct {
	callFlags
	Subject string `arg:"" help:"Subject id."`
}

func (f *subjectFlags) open() (*client.Client, client.SubjectRequest, error) {
	sub, err := bonded.ParseSubjectID(f.Subject)
	if err != nil {
		return nil, client.SubjectRequest{}, err
	}
	cs, err := f.connect()
	if err != nil {
		return nil, client.SubjectRequest{}, err
	}
	cl, err := cs.at(sub.Cell)
	return cl, client.SubjectRequest{Why: f.why(), Subject: sub}, err
}

type historyCommand struct {
	subjectFlags
	Limit int `default:"50" help:"Entries at most."`
}

// Run implements the command.
func (c *historyCommand) Run(ctx context.Context, s *streams) error {
	cl, req, err := c.open()
	if err != nil {
		return err
	}
	req.Limit = c.Limit
	res, err := cl.History(ctx, req)
	if err != nil {
		return err
	}
	return s.print(res, func(w *tabwriter.Writer) {
		row(w, "TIME", "WHAT", "OUTCOME", "BY", "KNOWN BY", "FIELDS", "PURPOSE", "REASON", "ENTRY")
		for _, e := range res.Entries {
			outcome := e.Outcome
			if e.Code != "" {
				outcome += " (" + string(e.Code) + ")"
			}
			row(w, e.Time.UTC().Format(time.RFC3339), e.Operation, outcome, e.Principal, e.Assurance, strings.Join(e.Fields, ","), e.Purpose, e.Reason, e.Entry)
		}
		row(w)
		row(w, fmt.Sprintf("the keyholder has released this person's keys %d times, by its signed count", res.Releases))
	})
}

type exportCommand struct {
	subjectFlags
	File string `short:"f" placeholder:"FILE.json" help:"Write the copy here, for its owner only; standard output if not given."`
}

// Run implements the command.
func (c *exportCommand) Run(ctx context.Context, s *streams) error {
	cl, req, err := c.open()
	if err != nil {
		return err
	}
	res, err := cl.Export(ctx, req)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(res, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if c.File == "" {
		_, err = s.out.Write(b)
		return err
	}
	if err := os.WriteFile(c.File, b, 0o600); err != nil {
		return fmt.Errorf("write the copy: %w", err)
	}
	fmt.Fprintf(s.err, "%d records written to %s\n", len(res.Records), c.File)
	return nil
}

type eraseCommand struct {
	subjectFlags
	Undo bool `help:"Take an erasure back while its window is open."`
}

// Run implements the command.
func (c *eraseCommand) Run(ctx context.Context, s *streams) error {
	cl, req, err := c.open()
	if err != nil {
		return err
	}
	erase := cl.Erase
	if c.Undo {
		erase = cl.EraseUndo
	}
	res, err := erase(ctx, req)
	if err != nil {
		return err
	}
	return s.print(res, func(w *tabwriter.Writer) {
		row(w, "state", res.State)
		if res.Due != nil {
			row(w, "due", res.Due.UTC().Format(time.RFC3339))
		}
		if res.Tombstone != 0 {
			row(w, "tombstone", res.Tombstone)
		}
		if res.BackupsBy != nil {
			row(w, "backups dead by", res.BackupsBy.UTC().Format(time.RFC3339))
		}
		if res.Note != "" {
			row(w, "note", res.Note)
		}
		row(w, "entry", res.Entry)
	})
}
