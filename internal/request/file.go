package request

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"path"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/verify"
)

// Template is an example with comments, ready to be filled in.
//
//go:embed template.yaml
var Template string

// Limits of a request.
const (
	MaxTasks     = 100
	MaxTargets   = 1000 // of one task
	MaxDocuments = 32
	MaxDocument  = 16 << 20 // bytes
	maxText      = 4096     // bytes of any text
)

// A File is a request as an officer writes it. Its members are those of
// [verify.CaseRequest].
type File struct {
	Cell          bonded.CellID `yaml:"cell" json:"cell" required:"true"`
	Kind          string        `yaml:"kind" json:"kind" required:"true"`
	Officer       string        `yaml:"officer" json:"officer" required:"true"`
	Agency        string        `yaml:"agency" json:"agency" required:"true"`
	Authorisation Authorisation `yaml:"authorisation" json:"authorisation" required:"true"`
	Tasks         []Task        `yaml:"tasks" json:"tasks" required:"true"`
}

// An Authorisation is [verify.Authorisation].
type Authorisation struct {
	Reference    string              `yaml:"reference" json:"reference" required:"true"`
	ProcessType  string              `yaml:"process_type" json:"process_type" required:"true"`
	Jurisdiction bonded.Jurisdiction `yaml:"jurisdiction" json:"jurisdiction" required:"true"`
	LegalBasis   []LegalBasis        `yaml:"legal_basis" json:"legal_basis" required:"true"`
	Priority     string              `yaml:"priority" json:"priority" required:"true"`
	Flags        []string            `yaml:"flags" json:"flags"`
	ValidFrom    time.Time           `yaml:"valid_from" json:"valid_from" required:"true"`
	ValidTo      time.Time           `yaml:"valid_to" json:"valid_to" required:"true"`
	Offence      *Offence            `yaml:"offence" json:"offence"`
	Necessity    string              `yaml:"necessity" json:"necessity" required:"true"`
	Approvals    []Approval          `yaml:"approvals" json:"approvals" required:"true"`
	Documents    []Document          `yaml:"documents" json:"documents"`
	Secrecy      *Secrecy            `yaml:"secrecy" json:"secrecy"`
	TreatyRoute  string              `yaml:"treaty_route" json:"treaty_route" required:"true"`
	Contract     string              `yaml:"contract_basis" json:"contract_basis"`
	Linked       []Linked            `yaml:"linked" json:"linked"`
}

// A LegalBasis is [verify.LegalBasis].
type LegalBasis struct {
	Law     string `yaml:"law" json:"law" required:"true"`
	Article string `yaml:"article" json:"article" required:"true"`
}

// An Offence is [verify.Offence].
type Offence struct {
	Category        string `yaml:"category" json:"category" required:"true"`
	Provision       string `yaml:"provision" json:"provision" required:"true"`
	MaxPenaltyYears int    `yaml:"max_penalty_years" json:"max_penalty_years"`
}

// An Approval is [verify.LegalApproval].
type Approval struct {
	Kind      string    `yaml:"kind" json:"kind" required:"true"`
	Reference string    `yaml:"reference" json:"reference" required:"true"`
	Approver  string    `yaml:"approver" json:"approver" required:"true"`
	Role      string    `yaml:"role" json:"role" required:"true"`
	Time      time.Time `yaml:"time" json:"time" required:"true"`
}

// A Document is a file that goes with the request. Hash and size are taken
// from it.
type Document struct {
	File      string `yaml:"file" json:"file" required:"true"` // relative to the request's folder
	MediaType string `yaml:"media_type" json:"media_type"`     // absent: by the name of the file
	Language  string `yaml:"language" json:"language" required:"true"`
}

// A Secrecy is [verify.Secrecy].
type Secrecy struct {
	Basis    LegalBasis `yaml:"basis" json:"basis" required:"true"`
	From     time.Time  `yaml:"from" json:"from" required:"true"`
	Until    *time.Time `yaml:"until" json:"until"`
	ReviewAt *time.Time `yaml:"review_at" json:"review_at"`
	Scope    string     `yaml:"scope" json:"scope" required:"true"`
}

// A Linked is [verify.LinkedCase].
type Linked struct {
	Relation string        `yaml:"relation" json:"relation" required:"true"`
	Case     bonded.CaseID `yaml:"case" json:"case" required:"true"`
}

// A Task is [verify.CaseTask].
type Task struct {
	Kind         string     `yaml:"kind" json:"kind" required:"true"`
	Targets      []Target   `yaml:"targets" json:"targets" required:"true"`
	DataClass    string     `yaml:"data_class" json:"data_class" required:"true"`
	Collection   string     `yaml:"collection" json:"collection" required:"true"`
	FieldsWanted []string   `yaml:"fields_wanted" json:"fields_wanted" required:"true"`
	From         *time.Time `yaml:"from" json:"from"`
	To           *time.Time `yaml:"to" json:"to"`
	MaxSubjects  int        `yaml:"max_subjects" json:"max_subjects" required:"true"`
	HoldUntil    *time.Time `yaml:"hold_until" json:"hold_until"`
	Note         string     `yaml:"note" json:"note"`
}

// A Target is [verify.CaseTarget].
type Target struct {
	Format string `yaml:"format" json:"format" required:"true"`
	Value  string `yaml:"value" json:"value" required:"true"` // personal data: never in an error
}

func wrong(field, message, hint string) error {
	return &bonded.Error{Code: bonded.CodeConfig, Field: field, Message: message, Hint: hint}
}

// Validate implements [yamlstrict.Validator].
func (f *File) Validate() error {
	switch {
	case !f.Cell.Valid():
		return wrong("cell", "not a cell id", "such as eu; the directory lists the cells")
	case !slices.Contains([]string{"disclosure", "transfer", "source-review", "export"}, f.Kind):
		return wrong("kind", "no such kind of case", "disclosure, transfer, source-review or export")
	case filler(f.Officer):
		return wrong("officer", "not filled in", "your id in the register of the cell")
	case filler(f.Agency):
		return wrong("agency", "not filled in", "the id of your agency in the register of the cell")
	case len(f.Tasks) == 0 || len(f.Tasks) > MaxTasks:
		return wrong("tasks", fmt.Sprintf("a request has from 1 to %d tasks", MaxTasks), "")
	}
	return nil
}

// filler reports whether text is missing, too long, or still the template's.
func filler(text string) bool {
	return strings.TrimSpace(text) == "" || len(text) > maxText || strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">")
}

// Validate implements [yamlstrict.Validator].
func (a *Authorisation) Validate() error {
	switch {
	case filler(a.Reference):
		return wrong("reference", "not filled in", "the file number at your authority")
	case !a.Jurisdiction.Valid():
		return wrong("jurisdiction", "not an ISO 3166-1 alpha-2 code", "two capital letters, such as DE")
	case len(a.LegalBasis) == 0:
		return wrong("legal_basis", "no law is named", "name law and article")
	case !slices.Contains([]string{"routine", "urgent", "emergency"}, a.Priority):
		return wrong("priority", "no such priority", "routine, urgent or emergency")
	case !a.ValidFrom.Before(a.ValidTo):
		return wrong("valid_to", "the instrument ends before it begins", "an instrument has an end after its start")
	case filler(a.Necessity):
		return wrong("necessity", "not filled in, or too long", "why this data and why not less, in at most 4,096 bytes")
	case len(a.Approvals) == 0:
		return wrong("approvals", "nobody has approved the instrument", "name who issued it")
	case len(a.Documents) > MaxDocuments:
		return wrong("documents", fmt.Sprintf("there are more than %d documents", MaxDocuments), "")
	}
	return nil
}

// Validate implements [yamlstrict.Validator].
func (a *Approval) Validate() error {
	if filler(a.Reference) {
		return wrong("reference", "not filled in", "the file number of the approval")
	}
	if filler(a.Approver) {
		return wrong("approver", "not filled in", "who approved, by name or office")
	}
	return nil
}

// Validate implements [yamlstrict.Validator].
func (s *Secrecy) Validate() error {
	if s.Until == nil && s.ReviewAt == nil {
		return wrong("from", "the secrecy has neither an end nor a date of review", "add until or review_at")
	}
	if !slices.Contains([]string{"subject", "public", "both"}, s.Scope) {
		return wrong("scope", "no such scope of secrecy", "subject, public or both")
	}
	return nil
}

// Validate implements [yamlstrict.Validator].
func (t *Task) Validate() error {
	switch {
	case !slices.Contains([]string{"disclose", "preserve", "confirm_existence"}, t.Kind):
		return wrong("kind", "no such kind of task", "disclose, preserve or confirm_existence")
	case len(t.Targets) == 0:
		return wrong("targets", "the task names nobody", "bulk requests are refused: name each person")
	case len(t.Targets) > MaxTargets:
		return wrong("targets", fmt.Sprintf("the task names more than %d people", MaxTargets), "file several requests")
	case !bonded.ValidName(t.Collection):
		return wrong("collection", "not a collection name", "a–z, 0–9, _, - and ., such as users")
	case t.Kind == "disclose" && len(t.FieldsWanted) == 0:
		return wrong("fields_wanted", "the task names no field", "name each field")
	case t.MaxSubjects < 1:
		return wrong("max_subjects", "not a number of people", "1 if one person is meant")
	case t.From != nil && t.To != nil && !t.From.Before(*t.To):
		return wrong("to", "the window ends before it begins", "")
	case t.Kind == "preserve" && t.HoldUntil == nil:
		return wrong("kind", "a preservation without an end", "add hold_until")
	}
	for i, f := range t.FieldsWanted {
		if f == "*" || !bonded.ValidName(f) {
			return wrong(fmt.Sprintf("fields_wanted[%d]", i), "not the name of a field", "a star is refused: name each field")
		}
	}
	return nil
}

// Validate implements [yamlstrict.Validator].
func (t *Target) Validate() error {
	if filler(t.Value) {
		return wrong("value", "not filled in", "who is meant")
	}
	if t.Value == "*" || strings.ContainsAny(t.Value, "\n\r") {
		return wrong("value", "names nobody", "a star is refused: name the person")
	}
	return nil
}

// A Content is a document's bytes with the hash that the request names.
type Content struct {
	SHA256 string // hexadecimal
	Name   string
	Bytes  []byte
}

// An Asker is who signs a request.
type Asker struct {
	Recipient []byte // recipient key
	Nonce     string // fresh for each request
	Now       time.Time
}

// Request makes the request of f, reading its documents from a folder. The
// documents are returned for upload. Errors have code invalid or too_large and
// name the document.
func (f *File) Request(folder fs.FS, by Asker) (*verify.CaseRequest, []Content, error) {
	r := f.Bare(by)
	var docs []Content
	for i := range f.Authorisation.Documents {
		d, c, err := f.Authorisation.Documents[i].Read(folder)
		if err != nil {
			return nil, nil, err
		}
		r.Authorisation.Documents = append(r.Authorisation.Documents, *d)
		docs = append(docs, *c)
	}
	return r, docs, nil
}

// Bare makes the request of f without its documents, for a caller who has
// hashed them.
func (f *File) Bare(by Asker) *verify.CaseRequest {
	a := &f.Authorisation
	r := &verify.CaseRequest{
		Format: verify.LabelRequest, Cell: f.Cell, Kind: f.Kind, Nonce: by.Nonce, Filed: by.Now.UTC().Truncate(time.Second),
		Officer: f.Officer, Agency: f.Agency, Recipient: by.Recipient,
		Authorisation: verify.Authorisation{
			Reference: a.Reference, ProcessType: a.ProcessType, Jurisdiction: a.Jurisdiction, Priority: a.Priority, Flags: a.Flags,
			ValidFrom: a.ValidFrom.UTC(), ValidTo: a.ValidTo.UTC(), Necessity: a.Necessity, TreatyRoute: a.TreatyRoute, Contract: a.Contract,
			Approvals: []verify.LegalApproval{}, Documents: []verify.CaseDocument{}, LegalBasis: []verify.LegalBasis{},
		},
	}
	for _, b := range a.LegalBasis {
		r.Authorisation.LegalBasis = append(r.Authorisation.LegalBasis, verify.LegalBasis(b))
	}
	if a.Offence != nil {
		o := verify.Offence(*a.Offence)
		r.Authorisation.Offence = &o
	}
	for _, p := range a.Approvals {
		p.Time = p.Time.UTC()
		r.Authorisation.Approvals = append(r.Authorisation.Approvals, verify.LegalApproval(p))
	}
	if s := a.Secrecy; s != nil {
		r.Authorisation.Secrecy = &verify.Secrecy{Basis: verify.LegalBasis(s.Basis), From: s.From.UTC(), Until: utc(s.Until), ReviewAt: utc(s.ReviewAt), Scope: s.Scope}
	}
	for _, l := range a.Linked {
		r.Authorisation.Linked = append(r.Authorisation.Linked, verify.LinkedCase(l))
	}
	for i := range f.Tasks {
		t := &f.Tasks[i]
		c := verify.CaseTask{
			Kind: t.Kind, DataClass: t.DataClass, Collection: t.Collection, FieldsWanted: append([]string{}, t.FieldsWanted...),
			From: utc(t.From), To: utc(t.To), MaxSubjects: t.MaxSubjects, HoldUntil: utc(t.HoldUntil), Note: t.Note,
		}
		for _, x := range t.Targets {
			c.Targets = append(c.Targets, verify.CaseTarget(x))
		}
		r.Tasks = append(r.Tasks, c)
	}
	return r
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// Read reads a document from a folder and returns how a request names it.
func (d *Document) Read(folder fs.FS) (*verify.CaseDocument, *Content, error) {
	name := path.Clean(d.File)
	b, err := fs.ReadFile(folder, name)
	if err != nil {
		return nil, nil, &bonded.Error{
			Code: bonded.CodeInvalid, Field: d.File, Message: "the document cannot be read", Err: err,
			Hint: "documents stand beside the request or below it",
		}
	}
	if len(b) == 0 || len(b) > MaxDocument {
		return nil, nil, &bonded.Error{Code: bonded.CodeTooLarge, Field: d.File, Message: "the document is empty or over 16 MiB"}
	}
	media := d.MediaType
	if media == "" {
		media, _, _ = strings.Cut(mime.TypeByExtension(path.Ext(name)), ";")
	}
	if media == "" {
		media = "application/octet-stream"
	}
	sum := sha256.Sum256(b)
	h := hex.EncodeToString(sum[:])
	return &verify.CaseDocument{SHA256: h, MediaType: media, Language: d.Language, Name: path.Base(name), Size: int64(len(b))},
		&Content{SHA256: h, Name: path.Base(name), Bytes: b}, nil
}
