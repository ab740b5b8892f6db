package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/recipient"
	"bonded/internal/release"
	"bonded/internal/request"
	"bonded/verify"
)

// An officer is the key file that is open, if one is.
type officer struct{ keys *recipient.Officer }

// calls is everything the page may ask for, by name.
var calls = map[string]func(o *officer, args, body []byte) (any, error){
	"keygen": (*officer).keygen,
	"open":   (*officer).open,
	"sign":   (*officer).sign,
	"file":   (*officer).file,
	"decide": (*officer).decide,
	"unpack": (*officer).unpack,
}

func arguments(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return bonded.Wrap(bonded.CodeInvalid, err, "the arguments of the call are not what it takes")
	}
	return nil
}

func locked() error {
	return &bonded.Error{Code: bonded.CodeUnauthenticated, Message: "no key file is open", Hint: "open it first"}
}

// keygen makes keys: the body is the passphrase.
func (*officer) keygen(_, passphrase []byte) (any, error) {
	defer clear(passphrase)
	if len(passphrase) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "passphrase", Message: "a key file is sealed by a passphrase", Hint: "choose one"}
	}
	k, err := recipient.NewOfficer()
	if err != nil {
		return nil, err
	}
	defer k.Private.Erase()
	file, err := k.Encode(passphrase)
	if err != nil {
		return nil, err
	}
	p := k.Public()
	var public bytes.Buffer
	if err := p.Write(&public); err != nil {
		return nil, err
	}
	return map[string]string{"file": string(file), "public": public.String(), "key": p.Key, "recipient": p.Digest}, nil
}

// open opens a key file: the body is the passphrase.
func (o *officer) open(args, passphrase []byte) (any, error) {
	defer clear(passphrase)
	var a struct {
		File string `json:"file"`
	}
	if err := arguments(args, &a); err != nil {
		return nil, err
	}
	k, err := recipient.ParseOfficer([]byte(a.File), passphrase)
	if err != nil {
		return nil, err
	}
	o.keys = k
	p := k.Public()
	return map[string]string{"key": p.Key, "recipient": p.Digest}, nil
}

// sign proves a call of the API: the body is that of the call.
func (o *officer) sign(args, body []byte) (any, error) {
	var a struct {
		Person string        `json:"person"`
		Cell   bonded.CellID `json:"cell"`
		Method string        `json:"method"`
		Path   string        `json:"path"` // with its query
	}
	if err := arguments(args, &a); err != nil {
		return nil, err
	}
	if o.keys == nil {
		return nil, locked()
	}
	p := apitype.PersonProof{Person: a.Person, Time: time.Now().Unix()}
	_, _ = rand.Read(p.Nonce[:]) // never fails since Go 1.24
	p.Sign(o.keys.Signing, a.Cell, a.Method, a.Path, body)
	return p.Format(), nil
}

// file signs a request.
func (o *officer) file(args, _ []byte) (any, error) {
	var a struct {
		Request   request.File          `json:"request"`
		Documents []verify.CaseDocument `json:"documents"` // hashed by the page
	}
	if err := arguments(args, &a); err != nil {
		return nil, err
	}
	if o.keys == nil {
		return nil, locked()
	}
	if err := a.Request.Check(); err != nil {
		return nil, err
	}
	r := a.Request.Bare(request.Asker{Recipient: o.keys.Key.Bytes(), Nonce: bonded.NewID().Hex(), Now: time.Now()})
	r.Authorisation.Documents = append(r.Authorisation.Documents, a.Documents...)
	st, err := verify.NewStatement(r)
	if err != nil {
		return nil, err
	}
	st.Sign(verify.LabelRequest, a.Request.Officer, o.keys.Signing)
	return st, nil
}

// decide signs what the officer does with a case as it was shown.
func (o *officer) decide(args, _ []byte) (any, error) {
	var a struct {
		Case   bonded.CaseID `json:"case"`
		Person string        `json:"person"`
		Action string        `json:"action"`
		State  string        `json:"state"`
		Number uint64        `json:"number"`
		Reason string        `json:"reason"`
	}
	if err := arguments(args, &a); err != nil {
		return nil, err
	}
	if o.keys == nil {
		return nil, locked()
	}
	if !slices.Contains([]string{"answer", "accept", "withdraw"}, a.Action) {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "action", Message: "not what an officer may do", Hint: "answer, accept or withdraw"}
	}
	st, err := verify.NewStatement(&verify.CaseDecision{
		Format: verify.LabelDecision, Case: a.Case, Person: a.Person, Role: "requester", Action: a.Action,
		State: a.State, Number: a.Number, Time: time.Now().UTC().Truncate(time.Second), Reason: a.Reason,
	})
	if err != nil {
		return nil, err
	}
	st.Sign(verify.LabelDecision, a.Person, o.keys.Signing)
	return st, nil
}

// An opened is a release package that held.
type opened struct {
	*facts

	Fields []string `json:"fields"`
	Rows   []row    `json:"rows"`
	CSV    string   `json:"csv"`
	JSON   string   `json:"json"`
}

// A row is one item; Values has one for each field that the item has.
type row struct {
	Item       int               `json:"item"`
	Task       int               `json:"task"`
	Subject    string            `json:"subject"`
	Record     string            `json:"record"`
	Collection string            `json:"collection"`
	Refused    string            `json:"refused,omitempty"`
	Matched    []string          `json:"matched,omitempty"`
	Values     map[string]string `json:"values,omitempty"`
}

// facts is what the checks of a package established, one member for each.
type facts struct {
	Case       string        `json:"case"`
	Copy       string        `json:"copy"`
	Made       time.Time     `json:"made"`
	Expires    time.Time     `json:"expires"`
	Cell       bonded.CellID `json:"cell"`
	Officer    string        `json:"officer"`
	Agency     string        `json:"agency"`
	Process    string        `json:"process"`
	Reference  string        `json:"reference"`
	KeySet     string        `json:"key_set"`
	Epoch      uint64        `json:"epoch"`
	Dealt      bool          `json:"dealt"`
	Approvals  []approval    `json:"approvals"`
	ScopeEntry int64         `json:"scope_entry"`
	OpenEntry  int64         `json:"open_entry"`
	Witnessed  time.Time     `json:"witnessed"`
	Items      int           `json:"items"`
	People     int           `json:"people"`
	Released   uint64        `json:"released"`
	Refused    uint64        `json:"refused_items"`
	Receipts   uint64        `json:"receipts"`
}

type approval struct {
	Custodian string `json:"custodian"`
	Role      string `json:"role"`
}

// unpack checks a package by the directory and opens it: the body is the
// package. An error says that nothing of it is shown.
func (o *officer) unpack(args, body []byte) (any, error) {
	var a struct {
		Directory string `json:"directory"` // cells.json, byte for byte
		Digest    string `json:"digest"`    // SHA-256 of the package as the case names it; empty: not compared
		Case      string `json:"case"`      // that it must be of; empty: any
	}
	if err := arguments(args, &a); err != nil {
		return nil, err
	}
	if o.keys == nil {
		return nil, locked()
	}
	if err := sameBytes(body, a.Digest); err != nil {
		return nil, err
	}
	// 1. Checked by all that bonded request open checks, then opened.
	var csv, object bytes.Buffer
	out := &opened{Rows: []row{}}
	s := &sinks{out: out, files: []release.Sink{release.NewCSV(&csv), release.NewJSON(&object)}}
	rep, err := release.Open(bytes.NewReader(body), int64(len(body)), []byte(a.Directory), time.Now(), o.keys.Key, o.keys.Private, s)
	if err != nil {
		return nil, err
	}
	if a.Case != "" && rep.Manifest.Case.String() != a.Case {
		return nil, &bonded.Error{Code: bonded.CodeAltered, Message: "the package is of another case", Hint: "fetch it again; if it stays so, tell whoever released it"}
	}
	// 2. What the checks established.
	out.CSV, out.JSON, out.Fields = csv.String(), object.String(), rep.Fields
	out.facts = factsOf(rep)
	return out, nil
}

func factsOf(r *verify.PackageReport) *facts {
	m := r.Manifest
	f := &facts{
		Case: m.Case.String(), Copy: m.Copy, Made: m.Made, Expires: m.Expires, Cell: m.Cell, Officer: r.Officer.ID, Agency: r.Agency.ID,
		Process: r.Request.Authorisation.ProcessType, Reference: r.Request.Authorisation.Reference,
		KeySet: hex.EncodeToString(r.Custodians.Custodians.KeySet[:8]), Epoch: r.Custodians.Custodians.Epoch, Dealt: r.Custodians.Dealt,
		ScopeEntry: r.QuorumEntry.Index, OpenEntry: r.OpenEntry.Index, Witnessed: r.OpenEntry.Checkpoint.WitnessTime(),
		Items: m.Items, People: r.Subjects, Released: r.End.Released, Refused: r.End.Refused, Receipts: r.End.Receipts,
	}
	for _, a := range r.Approvals {
		f.Approvals = append(f.Approvals, approval{a.Custodian, a.Role})
	}
	return f
}
