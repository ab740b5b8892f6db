package frontdoor

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// FileCase files a request that an officer signed. A request whose officer
// cannot be told is counted and no more; one that is refused by the rules is
// entered as a case that was rejected at the door. Errors: code
// refused_request, with the reject code in Rules and the place in Field;
// rate_limited when an officer has been refused too often.
//
// The case is a draft until the last of its documents is there.
func (s *Service) FileCase(ctx context.Context, call *apitype.PersonCall, st *verify.Statement) (*apitype.CaseResult, error) {
	now := s.now()

	// 1. Who asks: the officer who calls, in force, whose key signed it.
	q := s.store.Read(ctx)
	officer, err := s.person(q, call.Person, now)
	if err != nil {
		return nil, err
	}
	if officer == nil || officer.Role != string(rules.RoleRequester) {
		return nil, s.atDoor(refuse(rules.RejectNotAuthenticated, "officer", "only an officer in force files requests", "have the officer registered"))
	}
	r, perr := verify.ParseCaseRequest(st)
	key, kerr := verify.DecodePublicKey(officer.Key)
	if kerr != nil || st == nil || !st.SignedBy(verify.LabelRequest, officer.ID, key) {
		return nil, s.atDoor(refuse(rules.RejectNotAuthenticated, "signatures", "the request is not signed by the officer who hands it in", "sign it by bonded request file"))
	}
	agency, err := s.agency(q, officer.Agency, now)
	if err != nil {
		return nil, err
	}
	if agency == nil || agency.Trust == trustSuspended {
		return nil, s.atDoor(refuse(rules.RejectNotAuthenticated, "agency", "the agency is not in the register, or suspended", "have it verified and registered"))
	}

	// 2. What is asked.
	var refusal *bonded.Error
	switch {
	case perr != nil:
		r = &verify.CaseRequest{Kind: "disclosure", Filed: now}
		refusal = incomplete("body", "the request is not the JSON of the format", "see spec/frontdoor.md")
	case r.Officer != officer.ID || r.Agency != officer.Agency:
		refusal = refuse(rules.RejectNotAuthenticated, "officer", "the request names another officer or agency than the one who signed it", "")
	default:
		refusal = s.check(r, agency, officer, now)
	}
	if refusal != nil {
		return nil, s.rejectAtDoor(ctx, st, r, officer, agency, refusal, now)
	}

	// 3. The case, in one commit with what separation must know of it.
	c, err := s.newCase(r, st, officer, agency, now)
	if err != nil {
		return nil, err
	}
	err = s.store.Update(ctx, func(q frontdoorsql.Q) error { return s.addCase(q, c, r, st, officer, key, now) })
	if refused, ok := errors.AsType[*bonded.Error](err); ok && refused.Code == bonded.CodeRefusedRequest {
		return nil, s.atDoor(refused)
	}
	if err != nil {
		return nil, err
	}
	s.nudge()
	return result(c), nil
}

// atDoor counts a refusal that is not entered.
func (s *Service) atDoor(err *bonded.Error) error {
	s.refused.count(rejectCodeOf(err))
	return err
}

func result(c *kase) *apitype.CaseResult {
	return &apitype.CaseResult{Case: c.id, State: string(c.state), Number: c.row.Number}
}

// newCase makes a draft of a checked request.
func (s *Service) newCase(r *verify.CaseRequest, st *verify.Statement, officer *verify.Person, agency *verify.Agency, now time.Time) (*kase, error) {
	c := &kase{id: bonded.CaseID{Cell: s.cfg.Cell, ID: bonded.NewID()}, state: rules.StateDraft}
	a := &r.Authorisation
	same, err := sameDigest(r)
	if err != nil {
		return nil, err
	}
	c.row = frontdoorsql.Case{
		ID: c.id.ID, Live: true, Agency: agency.ID, Officer: officer.ID, Process: a.ProcessType, Priority: a.Priority,
		Filed: now.Unix(), Request: st.Digest(verify.LabelRequest), Nonce: r.Nonce, Same: same,
	}
	c.body = body{
		Kind: r.Kind, Country: agency.Country, AgencyKind: agency.Kind, AgencyV: agency.Version, OfficerV: officer.Version,
		Treaty: a.TreatyRoute, Contract: a.Contract != "", ValidFrom: a.ValidFrom, ValidTo: a.ValidTo, Entered: now,
		Secrecy: newSecrecy(a.Secrecy, now, s.rules.Secrecy().Review.Duration()),
	}
	if len(a.LegalBasis) > 0 {
		c.Basis = cut(a.LegalBasis[0].Law+", "+a.LegalBasis[0].Article, verify.MaxCaseText)
	}
	for i := range r.Tasks {
		t := &r.Tasks[i]
		c.Tasks = append(c.Tasks, task{Kind: t.Kind, Class: t.DataClass, Status: rules.TaskReceived, Targets: len(t.Targets)})
		c.TargetsTotal += len(t.Targets)
		if s.classRank(t.DataClass) > s.classRank(c.Class) {
			c.Class = t.DataClass
		}
	}
	for i := range a.Documents {
		c.Documents = append(c.Documents, a.Documents[i].SHA256)
	}
	for _, l := range a.Linked {
		c.Linked = append(c.Linked, l.Relation+" "+l.Case.String())
	}
	return c, nil
}

// classRank is the place of a data class in the rules, which order them from
// what says least about a person.
func (s *Service) classRank(class string) int {
	for i, c := range []rules.DataClass{
		rules.ClassExistence, rules.ClassSubscriber, rules.ClassUserIdentification, rules.ClassTraffic, rules.ClassMetadata,
		rules.ClassContent, rules.ClassFinancial, rules.ClassHealth, rules.ClassSourceCode,
	} {
		if string(c) == class {
			return i + 1
		}
	}
	return 0
}

// sameDigest is over what makes two requests the same while one is open: who
// asks under which number for what.
func sameDigest(r *verify.CaseRequest) ([32]byte, error) {
	tasks, err := json.Marshal(r.Tasks)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(append([]byte("bonded/same-request/1"), canon.LP([]byte(r.Agency), []byte(r.Authorisation.Reference), []byte(r.Authorisation.ProcessType), tasks)...)), nil
}

// cut shortens plain text to n bytes, whole runes.
func cut(s string, n int) string {
	for len(s) > n {
		r := []rune(s)
		s = string(r[:len(r)-1])
	}
	return s
}

func (s *Service) addCase(q frontdoorsql.Q, c *kase, r *verify.CaseRequest, st *verify.Statement, officer *verify.Person, key ed25519.PublicKey, now time.Time) error {
	// 1. Neither the same request, nor one with the same nonce, nor the same
	// task while it is open.
	like, err := q.CaseLike(c.row.Request, c.row.Officer, c.row.Nonce, c.row.Same)
	if err != nil {
		return err
	}
	if like != nil {
		hint := "use a fresh nonce, and wait for the open case"
		if like.Officer == officer.ID {
			hint = "it is " + bonded.CaseID{Cell: s.cfg.Cell, ID: like.ID}.String()
		}
		return refuse(rules.RejectDuplicate, "nonce", "the same request is here already, or its nonce was used", hint)
	}

	drafts, err := q.FiledSince(officer.ID, string(rules.StateDraft), 0)
	if err != nil {
		return err
	}
	if drafts >= MaxDrafts {
		return &bonded.Error{Code: bonded.CodeRateLimited, Message: "this officer has too many requests that wait for documents", Hint: "upload the documents of those first, or wait until they lapse"}
	}

	today, err := q.FiledSince(officer.ID, "", now.Add(-24*time.Hour).Unix())
	if err != nil {
		return err
	}
	if today >= MaxFiledADay {
		return &bonded.Error{Code: bonded.CodeRateLimited, Message: "this officer has filed too many requests today", Hint: "a request takes up to 1,000 targets; file again tomorrow"}
	}

	// 2. Cases it says it is linked to are this agency's.
	for _, l := range r.Authorisation.Linked {
		other, err := q.Case(l.Case.ID)
		if err != nil {
			return err
		}
		if other == nil || other.Agency != c.row.Agency {
			return refuse(rules.RejectManifestError, "authorisation.linked", "the case linked to is not one of your agency", "")
		}
	}

	// 3. What is odd about it, for intake to see.
	if c.Warnings, err = s.signals(q, c, r, officer, now); err != nil {
		return err
	}

	// 4. The rows.
	if c.row.Body, err = s.sealJSON(c.row.ID, "body", &c.body); err != nil {
		return err
	}
	c.row.State, c.row.Due = string(c.state), s.due(c)
	if err := q.AddCase(&c.row); err != nil {
		return err
	}
	if err := s.addStatement(q, c, st, frontdoorsql.Statement{Label: verify.LabelRequest, Person: officer.ID, Version: officer.Version}); err != nil {
		return err
	}
	return (&step{s: s, q: q, c: c, now: now}).take(officer.ID, [32]byte(key), rules.RoleRequester)
}

// signals names what is odd about a request. A signal refuses nothing.
func (s *Service) signals(q frontdoorsql.Q, c *kase, r *verify.CaseRequest, officer *verify.Person, now time.Time) ([]string, error) {
	var out []string
	if now.Sub(officer.NotBefore) < 30*24*time.Hour {
		out = append(out, string(rules.SignalNewAccount))
	}
	before, err := q.FiledSince(officer.ID, "", 0)
	if err != nil {
		return nil, err
	}
	if before == 0 && rules.Priority(c.row.Priority) == rules.PriorityEmergency {
		out = append(out, string(rules.SignalFirstIsEmergency))
	}
	for _, d := range c.Documents {
		h, err := hex.DecodeString(d)
		if err != nil || len(h) != 32 {
			continue
		}
		elsewhere, err := q.DocumentElsewhere(c.row.ID, [32]byte(h))
		if err != nil {
			return nil, err
		}
		if elsewhere {
			out = append(out, string(rules.SignalDocumentReused))
			break
		}
	}
	if g := r.Authorisation.Secrecy; g != nil && g.Until == nil && g.ReviewAt == nil {
		out = append(out, string(rules.RejectSecrecyWithoutEnd))
	}
	return out, nil
}

// rejectAtDoor enters a request that its officer signed and the rules refuse:
// one case, one entry, from draft to rejected by the clock, which stands for
// the rules themselves. It returns the refusal.
func (s *Service) rejectAtDoor(ctx context.Context, st *verify.Statement, r *verify.CaseRequest, officer *verify.Person, agency *verify.Agency, refusal *bonded.Error, now time.Time) error {
	code := rejectCodeOf(refusal)
	c, err := s.newCase(r, st, officer, agency, now)
	if err != nil {
		return err
	}
	c.Reject, c.Secrecy = code, nil // nothing was asked that could be kept secret: the person learns of it at once, or never
	for i := range c.Tasks {
		c.Tasks[i].Status, c.Tasks[i].Code = rules.TaskRefused, code
	}
	if _, known := s.rules.Process(c.row.Process); !known {
		c.row.Process = ""
	}
	if s.classRank(c.Class) == 0 {
		c.Class = ""
	}
	err = s.store.Update(ctx, func(q frontdoorsql.Q) error {
		like, err := q.CaseLike(c.row.Request, "", "", [32]byte{})
		if err != nil || like != nil {
			return err // entered before
		}
		// A nonce that was used stays with the case that used it.
		if other, err := q.CaseLike([32]byte{}, officer.ID, r.Nonce, [32]byte{}); err != nil {
			return err
		} else if other != nil || r.Nonce == "" {
			c.row.Nonce = c.row.ID.Hex()
		}
		n, err := q.FiledSince(officer.ID, string(rules.StateRejected), now.Add(-24*time.Hour).Unix())
		if err != nil {
			return err
		}
		if n >= int64(s.cfg.DoorRefusal) {
			return &bonded.Error{Code: bonded.CodeRateLimited, Message: "this officer has been refused too often today", Hint: "file again tomorrow, or talk to intake"}
		}
		if c.row.Body, err = s.sealJSON(c.row.ID, "body", &c.body); err != nil {
			return err
		}
		c.row.State = string(rules.StateDraft)
		if err := q.AddCase(&c.row); err != nil {
			return err
		}
		if err := s.addStatement(q, c, st, frontdoorsql.Statement{Label: verify.LabelRequest, Person: officer.ID, Version: officer.Version}); err != nil {
			return err
		}
		step := &step{s: s, q: q, c: c, now: now}
		if err := step.move(rules.StateRejected, &act{by: rules.RoleClock, detail: code, content: [][32]byte{c.row.Request}, checked: true}); err != nil {
			return err
		}
		return step.end()
	})
	s.refused.count(code)
	if err != nil {
		return err
	}
	s.nudge()
	return refusal
}

// missingDocuments returns the documents that the request names and that are
// not there yet.
func (st *step) missingDocuments() ([]string, error) {
	have, err := st.q.Documents(st.c.row.ID)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, h := range have {
		there[hex.EncodeToString(h)] = true
	}
	var missing []string
	for _, d := range st.c.Documents {
		if !there[d] {
			missing = append(missing, d)
		}
	}
	return missing, nil
}
