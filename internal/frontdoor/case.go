package frontdoor

import (
	"context"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// A dossier of state: what a case is, beside its statements. It is sealed at
// rest.
type body struct {
	Kind         string              `json:"kind"`
	Country      bonded.Jurisdiction `json:"country"` // of the agency
	AgencyKind   string              `json:"agency_kind"`
	AgencyV      uint64              `json:"agency_v"` // versions of the register that the request was checked by
	OfficerV     uint64              `json:"officer_v"`
	Basis        string              `json:"basis"`
	Class        string              `json:"class"`
	Treaty       string              `json:"treaty"`
	Contract     bool                `json:"contract,omitempty"`
	ValidFrom    time.Time           `json:"valid_from"`
	ValidTo      time.Time           `json:"valid_to"`
	Submitted    time.Time           `json:"submitted"`
	Entered      time.Time           `json:"entered"` // the state it is in
	Deadline     time.Time           `json:"deadline"`
	Tasks        []task              `json:"tasks"`
	Documents    []string            `json:"documents"` // SHA-256 that the request names
	Secrecy      *secrecy            `json:"secrecy,omitempty"`
	Hold         *hold               `json:"hold,omitempty"`
	Approved     *firstApproval      `json:"approved,omitempty"`
	Drafters     []string            `json:"drafters,omitempty"` // of narrowings
	CalledBack   bool                `json:"called_back,omitempty"`
	Emergency    bool                `json:"emergency,omitempty"` // came through emergency_opened
	EmergencyAt  time.Time           `json:"emergency_at"`
	Asked        bool                `json:"asked,omitempty"` // the emergency scope is to go before the custodians
	Announced    int                 `json:"announced,omitempty"`
	NoticeSent   bool                `json:"notice_sent,omitempty"` // those to be told before were told
	Told         bool                `json:"told,omitempty"`        // everybody who is to be told was told
	NoticesMade  bool                `json:"notices_made,omitempty"`
	Round        uint64              `json:"round,omitempty"` // of scopes; 0: none yet
	Scope        *scope              `json:"scope,omitempty"` // of the round; nil when it was taken back
	Opening      int64               `json:"opening,omitempty"`
	OpenedAt     time.Time           `json:"opened_at"`
	Package      *pack               `json:"package,omitempty"`
	Outcome      string              `json:"outcome,omitempty"` // of the delivery: full, part, none
	Reject       string              `json:"reject,omitempty"`
	Warnings     []string            `json:"warnings,omitempty"`
	Rules        []string            `json:"rules,omitempty"`  // why it was allowed
	Linked       []string            `json:"linked,omitempty"` // relation and case
	Subjects     []bonded.ID         `json:"subjects,omitempty"`
	Resealed     bool                `json:"resealed,omitempty"`
	Fraud        bool                `json:"fraud,omitempty"`
	TargetsTotal int                 `json:"targets"`
}

// A task is what became of one task of the request.
type task struct {
	Kind     string          `json:"kind"`
	Class    string          `json:"class"`
	Status   rules.TaskState `json:"status"`
	Code     string          `json:"code,omitempty"` // reject code
	Matched  int             `json:"matched,omitempty"`
	Targets  int             `json:"targets"`
	Narrowed bool            `json:"narrowed,omitempty"`
}

// A firstApproval is the first of two people's approval of the same tasks.
type firstApproval struct {
	Person    string   `json:"person"`
	Tasks     [32]byte `json:"tasks"`
	Statement [32]byte `json:"statement"`
}

// A scope is what was put before the custodians.
type scope struct {
	Head    []byte   `json:"head"` // canonical
	Digest  [32]byte `json:"digest"`
	Items   int      `json:"items"`
	Sealed  int      `json:"sealed"` // items with a quorum envelope
	Entry   int64    `json:"entry"`  // id in the book
	Epoch   uint64   `json:"epoch"`
	Expires int64    `json:"expires"`
	Unpart  []int    `json:"unpart,omitempty"` // items that cannot be answered in full
}

// A pack is a release package on disk.
type pack struct {
	SHA256  string    `json:"sha256"`
	Size    int64     `json:"size"`
	Expires time.Time `json:"expires"`
	Fetched bool      `json:"fetched,omitempty"`
	Gone    bool      `json:"gone,omitempty"`
}

// A kase is a case while it is worked on.
type kase struct {
	row frontdoorsql.Case
	body

	id        bonded.CaseID
	state     rules.State
	notBefore time.Time // the clock has been here and does not come again before
}

func (s *Service) open(row *frontdoorsql.Case) (*kase, error) {
	c := &kase{row: *row, id: bonded.CaseID{Cell: s.cfg.Cell, ID: row.ID}, state: rules.State(row.State)}
	if err := s.unsealJSON(row.ID, "body", row.Body, &c.body); err != nil {
		return nil, err
	}
	return c, nil
}

// load returns a case; code withheld if it is not there.
func (s *Service) load(q frontdoorsql.Q, id bonded.CaseID) (*kase, error) {
	if id.Cell != s.cfg.Cell {
		return nil, withheld()
	}
	row, err := q.Case(id.ID)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, withheld()
	}
	return s.open(row)
}

// read returns a case with what the caller may see of it.
func (s *Service) read(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID, now time.Time) (frontdoorsql.Q, *kase, *reader, error) {
	q := s.store.Read(ctx)
	c, err := s.load(q, id)
	if err != nil {
		return q, nil, nil, err
	}
	r, err := s.reader(q, c, call, now)
	return q, c, r, err
}

// workCase returns the case that work is for.
func (s *Service) workCase(ctx context.Context, w *frontdoorsql.Work) (frontdoorsql.Q, *kase, error) {
	q := s.store.Read(ctx)
	c, err := s.load(q, bonded.CaseID{Cell: s.cfg.Cell, ID: w.Case})
	return q, c, err
}

// placed returns where an entry stands in the ledger; absent as the error while
// no cosigned checkpoint covers it.
func (s *Service) placed(ctx context.Context, entry int64, absent error) (*Placed, error) {
	p, err := s.cfg.Book.Placed(ctx, entry)
	if err == nil && p == nil {
		err = absent
	}
	return p, err
}

// notWitnessed refuses what is right and comes too early.
func notWitnessed(message string) error {
	return &bonded.Error{Code: bonded.CodeStale, Message: message, Hint: "wait for the next slot of the ledger"}
}

// save writes a case that was loaded in the same commit.
func (s *Service) save(q frontdoorsql.Q, c *kase) error {
	sealed, err := s.sealJSON(c.row.ID, "body", &c.body)
	if err != nil {
		return err
	}
	c.row.Body, c.row.State, c.row.Live, c.row.Due = sealed, string(c.state), !s.final(c.state), s.due(c)
	ok, err := q.PutCase(&c.row)
	if err == nil && !ok {
		return conflict("the case has moved on", "read it again")
	}
	s.changes.Add(1)
	return firstErr(err, s.noteDeadline(q, c), s.noteLists(q, c))
}

func (s *Service) final(state rules.State) bool {
	r, ok := s.rules.State(state)
	return ok && r.Final
}

// A file is the statements of a case.
type file struct {
	request   *verify.CaseRequest
	digest    [32]byte
	statement *verify.Statement
	decisions []*verify.CaseDecision
	signed    []*verify.Statement
	rows      []frontdoorsql.Statement
	tasks     []verify.DecidedTask
}

// file opens the statements of a case and what its tasks are after them.
func (s *Service) file(q frontdoorsql.Q, c *kase) (*file, error) {
	rows, err := q.Statements(c.row.ID)
	if err != nil {
		return nil, err
	}
	f := &file{rows: rows}
	for i := range rows {
		if rows[i].Label == verify.LabelRequest {
			if f.request, f.statement, err = s.request(c.row.ID, rows[i].Body); err != nil {
				return nil, err
			}
			f.digest = rows[i].Digest
			continue
		}
		st, err := s.statement(c.row.ID, rows[i].Body)
		if err != nil {
			return nil, err
		}
		d, err := verify.ParseCaseDecision(st)
		if err != nil {
			return nil, altered("decision", err)
		}
		f.decisions, f.signed = append(f.decisions, d), append(f.signed, st)
	}
	if f.request == nil {
		return nil, altered("request", nil)
	}
	if f.tasks, err = verify.DecideTasks(f.request, f.decisions); err != nil {
		return nil, altered("decisions", err)
	}
	return f, nil
}

// addStatement keeps a statement of a case, sealed.
func (s *Service) addStatement(q frontdoorsql.Q, c *kase, st *verify.Statement, row frontdoorsql.Statement) error {
	sealed, err := s.seal(c.row.ID, "statement", st.Encode())
	if err != nil {
		return err
	}
	row.Digest, row.Body = st.Digest(row.Label), sealed
	return q.AddStatement(c.row.ID, &row)
}
