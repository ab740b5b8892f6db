package frontdoor

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/quorum"
	"bonded/verify"
)

// Limits of a board. A ceremony has at most four messages of each seat, and
// one complaint and answer for each pair; more is noise.
const (
	MaxBoardMessages = 4096
	MaxBoardPage     = 64
	MaxRunning       = 4 // ceremonies at once
)

// States of a ceremony.
const (
	ceremonyRunning   = "running"
	ceremonyCertified = "certified"
	ceremonyFailed    = "failed"
)

// StartCeremony opens the board of a ceremony of the custodians, which the
// administrator or a registrar has ordered. The vault carries messages and
// judges them; it has no share and sees none.
func (s *Service) StartCeremony(ctx context.Context, call *apitype.PersonCall, in *apitype.CeremonyStart) (*apitype.CeremonyMessages, error) {
	now := s.now()
	p, err := quorum.ParseParams(in.Params)
	if err != nil {
		return nil, err
	}
	if p.Cell != s.cfg.Cell {
		return nil, &bonded.Error{Code: bonded.CodeWrongCell, Field: "params", Message: "the ceremony is of another cell"}
	}
	previous, err := s.previous(p)
	if err != nil {
		return nil, err
	}
	if err := p.Check(previous); err != nil {
		return nil, err
	}
	if in.Statement == nil || verify.CheckCeremonyOrder(in.Statement, s.cfg.Cell, p.Digest()) != nil {
		return nil, invalid("statement", "the statement does not order this ceremony", "order it by bonded custodians")
	}
	err = s.store.Update(ctx, func(q frontdoorsql.Q) error {
		key, err := s.registrar(q, call.Person, now)
		if err != nil {
			return err
		}
		if !in.Statement.SignedBy(verify.LabelCeremony, call.Person, key) {
			return &bonded.Error{Code: bonded.CodeProof, Field: "statement", Message: "the order is not signed by whoever hands it in"}
		}
		if previous == nil && call.Person != verify.SignerAdmin {
			return forbidden("role.ceremony", "the first ceremony of a cell is ordered by the directory's administrator", "")
		}
		old, err := q.Ceremony(p.Ceremony)
		if err != nil {
			return err
		}
		if old != nil {
			if string(old.Params) == string(in.Params) {
				return nil // ordered before
			}
			return conflict("a ceremony of this id has other parameters", "choose a fresh id")
		}
		running, err := q.Ceremonies(ceremonyRunning)
		if err != nil {
			return err
		}
		if len(running) >= MaxRunning {
			return &bonded.Error{Code: bonded.CodeBusy, Message: "four ceremonies are running", Hint: "end one of them first"}
		}
		return q.AddCeremony(&frontdoorsql.Ceremony{ID: p.Ceremony, State: ceremonyRunning, Params: in.Params, Body: in.Statement.Encode(), Started: now.Unix()})
	})
	if err != nil {
		return nil, err
	}
	return s.board(ctx, p.Ceremony, 0)
}

// previous returns the key set that a ceremony hands on: the one in force, for
// a resharing; nil for a first one, of which a cell has only one.
func (s *Service) previous(p *quorum.Params) (*quorum.KeySet, error) {
	now := s.custody.Load()
	switch {
	case p.Kind == quorum.KindReshare && now == nil:
		return nil, conflict("there is no key set to hand on", "hold the first ceremony")
	case p.Kind == quorum.KindReshare:
		if p.Previous != now.keys.Digest() {
			return nil, conflict("the ceremony hands on another key set than the one in force", "order one that follows from it")
		}
		return now.keys, nil
	case now != nil:
		return nil, conflict("the cell has a release key already", "hand it on by a resharing: a second one would leave what is sealed behind")
	}
	return nil, nil //nolint:nilnil // a first ceremony has none
}

// Ceremony returns the board of a ceremony from a message on, to those who
// take part and to registrars.
func (s *Service) Ceremony(ctx context.Context, call *apitype.PersonCall, id string, from int) (*apitype.CeremonyMessages, error) {
	ceremony, err := bonded.ParseHexID(id)
	if err != nil {
		return nil, err
	}
	if custodianOf(call) == "" {
		if _, err := s.registrar(s.store.Read(ctx), call.Person, s.now()); err != nil {
			return nil, withheld()
		}
	}
	return s.board(ctx, ceremony, from)
}

func (s *Service) board(ctx context.Context, id bonded.ID, from int) (*apitype.CeremonyMessages, error) {
	q := s.store.Read(ctx)
	row, err := q.Ceremony(id)
	if err != nil {
		return nil, err
	}
	if row == nil || from < 0 {
		return nil, withheld()
	}
	messages, err := q.Messages(id, from, MaxBoardPage)
	if err != nil {
		return nil, err
	}
	order, err := verify.ParseStatement(row.Body)
	if err != nil {
		return nil, altered("ceremony", err)
	}
	if messages == nil {
		messages = [][]byte{}
	}
	return &apitype.CeremonyMessages{Ceremony: id.Hex(), Params: row.Params, Order: order, State: row.State, Reason: row.Reason, Messages: messages, Next: from + len(messages)}, nil
}

// PostCeremony puts a message on the board. With the last one that is needed
// the key set is certified and its certificate entered; a message that proves
// somebody at fault ends the ceremony, and the entry names them.
func (s *Service) PostCeremony(ctx context.Context, call *apitype.PersonCall, id string, in *apitype.CeremonyPost) (*apitype.CeremonyMessages, error) {
	ceremony, err := bonded.ParseHexID(id)
	if err != nil {
		return nil, err
	}
	name := custodianOf(call)
	if name == "" {
		return nil, withheld()
	}
	if len(in.Message) == 0 || len(in.Message) > quorum.MaxMessageSize {
		return nil, bonded.Errorf(bonded.CodeTooLarge, "a message of a ceremony has at most %d bytes", quorum.MaxMessageSize)
	}

	// 1. What the board comes to with it.
	q := s.store.Read(ctx)
	row, err := q.Ceremony(ceremony)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, withheld()
	}
	if row.State != ceremonyRunning {
		return s.board(ctx, ceremony, 0)
	}
	p, err := quorum.ParseParams(row.Params)
	if err != nil {
		return nil, altered("ceremony", err)
	}
	previous, err := s.previous(p)
	if err != nil {
		return nil, err
	}
	if !takesPart(p, previous, name) {
		return nil, withheld()
	}
	messages, err := q.Messages(ceremony, 0, MaxBoardMessages)
	if err != nil {
		return nil, err
	}
	if len(messages) >= MaxBoardMessages {
		return nil, bonded.Errorf(bonded.CodeTooLarge, "the board of the ceremony is full")
	}
	if slices.ContainsFunc(messages, func(m []byte) bool { return string(m) == string(in.Message) }) {
		return s.board(ctx, ceremony, 0)
	}
	before, err := quorum.Judge(p, previous, messages)
	if err != nil {
		return nil, err
	}
	after, err := quorum.Judge(p, previous, append(messages, in.Message))
	if err != nil {
		return nil, err
	}
	if after.Ignored > before.Ignored {
		return nil, invalid("message", "the message belongs to nobody in this ceremony, or its signature does not hold", "")
	}

	// 2. One commit: the message, and how the ceremony ended if it did.
	digest := sha256.Sum256(in.Message)
	err = s.store.Update(ctx, func(q frontdoorsql.Q) error {
		err := q.AddMessage(ceremony, digest, in.Message)
		if frontdoorsql.IsTaken(err) {
			return nil
		}
		if err != nil {
			return err
		}
		// Others may have posted meanwhile: the board as it is decides.
		all, err := q.Messages(ceremony, 0, MaxBoardMessages)
		if err != nil {
			return err
		}
		if len(all) != len(messages)+1 {
			if after, err = quorum.Judge(p, previous, all); err != nil {
				return err
			}
		}
		return s.judged(q, row, after)
	})
	if err != nil {
		return nil, err
	}
	s.nudge()
	return s.board(ctx, ceremony, 0)
}

// judged ends a ceremony that is certified, or of which somebody is proven at
// fault.
func (s *Service) judged(q frontdoorsql.Q, row *frontdoorsql.Ceremony, o *quorum.Outcome) error {
	now := s.now()
	switch {
	case len(o.Faults) > 0:
		ok, err := q.EndCeremony(row.ID, ceremonyFailed, o.Err().Error())
		if err != nil || !ok {
			return err
		}
		f := o.Faults[0]
		_, err = s.enterCustody(q, "ceremony_failed", "failed", cut(f.Party.String()+": "+string(f.Reason), verify.MaxCaseText), sha256.Sum256(row.Params), now)
		return err
	case o.Certificate != nil:
		ok, err := q.EndCeremony(row.ID, ceremonyCertified, "")
		if err != nil || !ok {
			return err
		}
		detail := o.KeySet.Kind().String()
		if o.KeySet.Dealt() {
			detail += ", dealt" // for ever
		}
		book, err := s.enterCustody(q, "ceremony", "certified", detail, o.Certificate.Digest(), now)
		if err != nil {
			return err
		}
		if err := q.AddCustody(&frontdoorsql.Custody{Epoch: o.KeySet.Epoch(), Certificate: o.Certificate.Bytes(), Book: book}); err != nil {
			return err
		}
		if err := s.failOthers(q, row.ID); err != nil {
			return err
		}
		return q.AddWork(&frontdoorsql.Work{Kind: workCustody, Key: row.ID.Hex(), Due: now.Unix()})
	}
	return nil
}

// failOthers ends ceremonies that another one has overtaken.
func (s *Service) failOthers(q frontdoorsql.Q, but bonded.ID) error {
	running, err := q.Ceremonies(ceremonyRunning)
	if err != nil {
		return err
	}
	for i := range running {
		if running[i].ID != but {
			if _, err := q.EndCeremony(running[i].ID, ceremonyFailed, "another ceremony was certified first"); err != nil {
				return err
			}
		}
	}
	return nil
}

// enterCustody enters what came of a ceremony, open to everybody.
func (s *Service) enterCustody(q frontdoorsql.Q, event, state, detail string, content [32]byte, now time.Time) (int64, error) {
	id, err := s.cfg.Book.Add(q.Tx(), &verify.CaseEntry{
		Type: verify.EntryCustody, Event: event, State: state, Detail: detail, Content: content, Time: uint64(now.Unix()), //nolint:gosec // after 1970
	})
	if err != nil {
		return 0, err
	}
	return id, s.cfg.Book.Reveal(q.Tx(), id)
}

// takesPart reports whether a custodian has a seat in a ceremony.
func takesPart(p *quorum.Params, previous *quorum.KeySet, name string) bool {
	has := func(roles []quorum.Role) bool {
		return slices.ContainsFunc(roles, func(r quorum.Role) bool {
			return slices.ContainsFunc(r.Members, func(m quorum.Custody) bool { return m.ID == name })
		})
	}
	return has(p.Roles) || p.Dealer.ID == name || previous != nil && has(previous.Roles())
}

// ceremonyKey returns the key of somebody who takes part in a ceremony that
// runs and is no custodian yet; nil if there is none.
func (s *Service) ceremonyKey(q frontdoorsql.Q, name string) (ed25519.PublicKey, error) {
	for _, state := range []string{ceremonyRunning, ceremonyCertified} {
		rows, err := q.Ceremonies(state)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			p, err := quorum.ParseParams(rows[i].Params)
			if err != nil {
				return nil, altered("ceremony", err)
			}
			for _, r := range p.Roles {
				for _, m := range r.Members {
					if m.ID == name {
						return m.Approval, nil
					}
				}
			}
			if p.Dealer.ID == name && p.Dealer.ID != "" {
				return p.Dealer.Approval, nil
			}
		}
	}
	return nil, nil
}

// firstOrder returns the order of the ceremony that a first certificate came
// from.
func (s *Service) firstOrder(q frontdoorsql.Q, certificate []byte) (*verify.Statement, error) {
	c, err := quorum.ParseCertificate(certificate)
	if err != nil {
		return nil, altered("certificate of the custodians", err)
	}
	rows, err := q.Ceremonies(ceremonyCertified)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		p, err := quorum.ParseParams(rows[i].Params)
		if err != nil {
			return nil, altered("ceremony", err)
		}
		if p.Digest() == c.KeySet().Ceremony() {
			st, err := verify.ParseStatement(rows[i].Body)
			if err != nil {
				return nil, altered("ceremony", err)
			}
			return st, nil
		}
	}
	return nil, altered("ceremony", nil)
}
