package operator

import (
	"encoding/hex"
	"strings"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

// hidden stands for a value that names somebody.
const hidden = "[target]"

// A File is a case as its reader sees it, with what its statements say.
type File struct {
	Case          *apitype.CaseView      `json:"case"`
	Authorisation *verify.Authorisation  `json:"authorisation,omitempty"`
	TasksDigest   string                 `json:"tasks_digest,omitempty"` // hexadecimal, computed here
	Targets       [][]verify.CaseTarget  `json:"targets,omitempty"`      // of each task; only when revealed
	Decisions     []*verify.CaseDecision `json:"decisions,omitempty"`    // in their order, each with its reason
	Altered       string                 `json:"altered,omitempty"`      // what does not fit
}

// NewFile returns the file of a case. The dossier may be nil, for readers whom
// the front door shows none. Unless reveal is set, values that name somebody
// are left out, also where somebody repeats them in other words of the request
// or in a reason. Errors have code altered.
func NewFile(v *apitype.CaseView, d *apitype.CaseDossier, reveal bool) (*File, error) {
	f := &File{Case: v}
	if d == nil || d.Request == nil {
		return f, nil
	}
	r, tasks, decisions, err := tasksOf(d)
	if err != nil {
		return nil, err
	}
	f.Decisions = decisions
	f.TasksDigest = tasksDigest(d, tasks)
	if shown, ok := v.Extra["tasks"]; ok && shown != f.TasksDigest {
		f.Altered = "the front door says another digest of the tasks than its statements make: approve nothing, and tell the auditor"
	}
	if err := signedByOfficer(d, r); err != nil {
		f.Altered = "the request is not signed by the officer whom the register names"
	}
	f.Authorisation = &r.Authorisation
	if reveal {
		for i := range r.Tasks {
			f.Targets = append(f.Targets, r.Tasks[i].Targets)
		}
		return f, nil
	}
	f.hide(r)
	return f, nil
}

// hide takes the values of targets out of the words of the officer, and of
// whoever decided.
func (f *File) hide(r *verify.CaseRequest) {
	var pairs []string
	for i := range r.Tasks {
		for _, t := range r.Tasks[i].Targets {
			if len(t.Value) >= 3 { // shorter ones say nothing and would tear words apart
				pairs = append(pairs, t.Value, hidden)
			}
		}
	}
	a := f.Authorisation
	h := strings.NewReplacer(pairs...)
	for _, s := range []*string{&a.Reference, &a.Necessity, &a.Contract} {
		*s = h.Replace(*s)
	}
	for _, d := range f.Decisions {
		d.Reason, d.Detail = h.Replace(d.Reason), h.Replace(d.Detail)
	}
	for i := range a.Approvals {
		a.Approvals[i].Reference = h.Replace(a.Approvals[i].Reference)
	}
	for i := range a.Documents {
		a.Documents[i].Name = h.Replace(a.Documents[i].Name)
	}
	for i := range f.Case.Documents {
		f.Case.Documents[i].Name = h.Replace(f.Case.Documents[i].Name)
	}
}

// ApproveTasks returns the digest that somebody approves, computed from the
// request and the decisions as they were signed. Looked is the digest that they
// looked at before, if they name one. Errors: altered if the front door shows
// statements that do not fit together, conflict if the tasks are others than
// those looked at.
func ApproveTasks(v *apitype.CaseView, d *apitype.CaseDossier, looked string) (string, error) {
	if d.Request == nil {
		return "", bonded.Errorf(bonded.CodeAltered, "the front door shows no request to approve")
	}
	r, tasks, _, err := tasksOf(d)
	if err != nil {
		return "", err
	}
	if err := signedByOfficer(d, r); err != nil {
		return "", err
	}
	digest := tasksDigest(d, tasks)
	if shown, ok := v.Extra["tasks"]; ok && shown != digest {
		return "", bonded.Errorf(bonded.CodeAltered, "the front door says another digest of the tasks than its statements make: approve nothing, and tell the auditor")
	}
	if looked != "" && !strings.EqualFold(looked, digest) {
		return "", &bonded.Error{Code: bonded.CodeConflict, Field: "--digest", Message: "the tasks are others than those you looked at", Hint: "bonded case show prints them as they stand"}
	}
	return digest, nil
}

func tasksDigest(d *apitype.CaseDossier, tasks []verify.DecidedTask) string {
	sum := verify.TasksDigest(d.Request.Digest(verify.LabelRequest), tasks)
	return hex.EncodeToString(sum[:])
}

// tasksOf reads the request of a dossier, the decisions, and what its tasks are
// after them.
func tasksOf(d *apitype.CaseDossier) (*verify.CaseRequest, []verify.DecidedTask, []*verify.CaseDecision, error) {
	altered := func(err error) error {
		return bonded.Wrap(bonded.CodeAltered, err, "the front door shows statements of the case that cannot be read")
	}
	r, err := verify.ParseCaseRequest(d.Request)
	if err != nil {
		return nil, nil, nil, altered(err)
	}
	decisions := make([]*verify.CaseDecision, len(d.Decisions))
	for i := range d.Decisions {
		if decisions[i], err = verify.ParseCaseDecision(d.Decisions[i]); err != nil {
			return nil, nil, nil, altered(err)
		}
	}
	tasks, err := verify.DecideTasks(r, decisions)
	if err != nil {
		return nil, nil, nil, altered(err)
	}
	return r, tasks, decisions, nil
}

// signedByOfficer checks the officer's signature where the dossier has the
// officer's entry of the register.
func signedByOfficer(d *apitype.CaseDossier, r *verify.CaseRequest) error {
	if d.Officer == nil {
		return nil
	}
	p, err := verify.ParsePerson(d.Officer)
	if err != nil || p.ID != r.Officer || p.Agency != r.Agency {
		return bonded.Errorf(bonded.CodeAltered, "the front door shows another officer than the request names")
	}
	key, err := verify.DecodePublicKey(p.Key)
	if err != nil || !d.Request.SignedBy(verify.LabelRequest, r.Officer, key) {
		return bonded.Errorf(bonded.CodeAltered, "the request is not signed by the officer whom the register names")
	}
	return nil
}
