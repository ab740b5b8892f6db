package frontdoor

import (
	"context"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/notice"
	"bonded/verify"
)

// announces reports whether the person is to be told before anything opens:
// the process type leaves them time to object, and no secrecy is in force.
func (st *step) announces() bool {
	return !st.c.Secrecy.active() && st.s.rules.ChallengeWindow(st.c.row.Process) > 0
}

// tells reports whether it is for the firm to tell the person.
func tells(n rules.NoticeBy) bool {
	return n != rules.NoticeAuthority && n != rules.NoticeSelf && n != rules.NoticeNone
}

// tellLater sees to it that the person is told of a case that has come to
// something: once it is over or delivered, no secrecy is in force, and an
// emergency has had its paper or not. It may be called too often.
func (st *step) tellLater() error {
	c := st.c
	over := st.s.final(c.state) || c.Package != nil
	switch {
	case c.NoticesMade || !over || c.Submitted.IsZero():
		return nil
	case c.Secrecy.active():
		return nil // comes back when it ends
	case c.Emergency && c.state == rules.StateEmergencyOpened:
		return nil // comes back with the paper, or without it
	}
	p, _ := st.s.rules.Process(c.row.Process)
	if p.Notice == rules.NoticeAuthority && !c.OpenedAt.IsZero() {
		c.NoticesMade, c.Told = true, true
		return st.note(verify.EventNotice, "authority", &act{by: rules.RoleClock})
	}
	if !tells(p.Notice) || len(c.Subjects) == 0 {
		c.NoticesMade, c.Told = true, true
		return nil
	}
	c.NoticesMade = true
	due := st.now
	return st.work(workTell, "", due, nil)
}

// unratified publishes that the paper did not come: the agency loses its
// standing until it is verified anew.
func (st *step) unratified() error { return st.s.suspendAgency(st.q, st.c.row.Agency, st.now) }

// A letter is a notice to one person on its way.
type letter struct {
	Before  bool            `json:"before,omitempty"`
	ID      bonded.ID       `json:"id"`
	Code    notice.Code     `json:"code"`
	Kind    notice.Kind     `json:"kind"`
	Fields  []string        `json:"fields,omitempty"`
	Due     time.Time       `json:"due"`
	Message *notice.Message `json:"message,omitempty"` // as it goes out, once the address is known
}

// runAnnounce finds the person and has them told before anything opens.
func (s *Service) runAnnounce(ctx context.Context, w *frontdoorsql.Work) error {
	q, c, err := s.workCase(ctx, w)
	if err != nil {
		return err
	}
	if c.state != rules.StateNoticePending || c.NoticeSent || c.Announced > 0 {
		return s.drop(ctx, w)
	}
	f, err := s.file(q, c)
	if err != nil {
		return err
	}
	found, err := s.resolve(ctx, c, f)
	if err != nil {
		return err
	}
	return s.change(ctx, c.id, s.now(), func(st *step) error {
		if st.c.state != rules.StateNoticePending {
			return st.done(w)
		}
		st.found(found)
		letters := map[bonded.ID]*letter{}
		for _, person := range found.people {
			letters[person] = &letter{Before: true, Kind: notice.Announced}
		}
		st.c.Announced = len(letters)
		if len(letters) == 0 {
			st.c.NoticeSent = true // nobody is there to be told
		}
		return firstErr(st.post(letters), st.done(w))
	})
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// post queues letters, one for each person.
func (st *step) post(letters map[bonded.ID]*letter) error {
	for person, l := range letters {
		l.ID, l.Code, l.Due = bonded.NewID(), notice.NewCode(), st.now
		key := "after/" + person.Hex()
		if l.Before {
			key = "before/" + person.Hex()
		}
		sealed, err := st.s.sealJSON(st.c.row.ID, "letter/"+key, l)
		if err != nil {
			return err
		}
		if err := st.work(workNotice, key, st.now, sealed); err != nil {
			return err
		}
	}
	return nil
}

// runTell writes a letter to everybody whom the case was about.
func (s *Service) runTell(ctx context.Context, w *frontdoorsql.Work) error {
	q, c, err := s.workCase(ctx, w)
	if err != nil {
		return err
	}
	opened := map[bonded.ID][]string{}
	if c.Package != nil && c.Scope != nil && c.Outcome != outcomeNone {
		if opened, err = s.openedOf(q, c); err != nil {
			return err
		}
	}
	return s.change(ctx, c.id, s.now(), func(st *step) error {
		letters := map[bonded.ID]*letter{}
		for _, person := range st.c.Subjects {
			l := &letter{Kind: st.c.noticeKind(len(opened[person]) > 0), Fields: opened[person]}
			if l.Kind != "" {
				letters[person] = l
			}
		}
		if len(letters) == 0 {
			st.c.Told = true
		}
		return firstErr(st.post(letters), st.done(w))
	})
}

// openedOf returns the names of the fields that were released of each person.
func (s *Service) openedOf(q frontdoorsql.Q, c *kase) (map[bonded.ID][]string, error) {
	out := map[bonded.ID][]string{}
	for page := 0; page*scopePage < c.Scope.Items; page++ {
		items, err := s.scopeItems(q, c.row.ID, c.Round, page)
		if err != nil {
			return nil, err
		}
		err = s.releasedPage(q, c, page, func(it *verify.PackageItem) error {
			item := &items[it.Index-page*scopePage]
			if it.Code != "" {
				return nil
			}
			for _, f := range item.Fields {
				if !slices.Contains(out[item.Subject], f.Name) {
					out[item.Subject] = append(out[item.Subject], f.Name)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// noticeKind says what a person is told of a case that has come to something;
// empty if there is nothing to tell.
func (c *kase) noticeKind(opened bool) notice.Kind {
	switch {
	case c.Secrecy != nil:
		return notice.GagEnded
	case opened && c.state == rules.StateUnratified:
		return notice.EmergencyUnratified
	case opened && c.Emergency:
		return notice.EmergencyDisclosed
	case opened:
		return notice.Disclosed
	case c.Announced > 0 || c.state == rules.StateRejected:
		return notice.Refused
	case c.Hold != nil:
		return notice.PreservationReleased
	}
	return ""
}

// runNotice hands one letter to the channels, again and again until it is
// there or never will be. Its address is opened once, under the case.
func (s *Service) runNotice(ctx context.Context, w *frontdoorsql.Work) error {
	// 1. The letter, and its message, which stays as it is from then on.
	id := bonded.CaseID{Cell: s.cfg.Cell, ID: w.Case}
	label := "letter/" + w.Key
	l := new(letter)
	if err := s.unsealJSON(w.Case, label, w.Body, l); err != nil {
		return err
	}
	if l.Message == nil {
		m, err := s.message(ctx, id, w.Key, l)
		if err != nil {
			return err
		}
		l.Message = m
		sealed, err := s.sealJSON(w.Case, label, l)
		if err != nil {
			return err
		}
		w.Body = sealed
		if err := s.store.Update(ctx, func(q frontdoorsql.Q) error { return q.KeepWork(w) }); err != nil {
			return err
		}
	}

	// 2. Out.
	outcome, err := s.cfg.Notices.Deliver(ctx, *l.Message)
	switch {
	case outcome.Reason == notice.ReasonInvalid:
		return err // a defect: it is tried again, and logged
	case outcome.Status == notice.Retry:
		wait := max(outcome.RetryAfter, min(maxWait, pollSoon<<min(w.Tries, 10)))
		return s.store.Update(ctx, func(q frontdoorsql.Q) error { return q.DeferWork(w, s.now().Add(wait).Unix()) })
	}

	// 3. While others wait the letter is done, and the case is not touched: it
	// may be about thousands.
	beginning, _, _ := strings.Cut(w.Key, "/")
	last := false
	err = s.store.Update(ctx, func(q frontdoorsql.Q) error {
		others, err := q.OtherWork(w, beginning+"/")
		if last = !others || outcome.Status == notice.Failed; err != nil || last {
			return err
		}
		_, err = q.DropWork(w)
		return err
	})
	if err != nil || !last {
		return err
	}

	// 4. The entry, with the last letter of the case.
	return s.change(ctx, id, s.now(), func(st *step) error {
		if err := st.done(w); err != nil {
			return err
		}
		if outcome.Status == notice.Failed {
			if err := st.note(verify.EventNotice, "failed", &act{by: rules.RoleClock}); err != nil {
				return err
			}
		}
		if others, err := st.q.OtherWork(w, beginning+"/"); err != nil || others {
			return err
		}
		if l.Before {
			st.c.NoticeSent = true
			return st.note(verify.EventNotice, "before", &act{by: rules.RoleClock})
		}
		st.c.Told = true
		if st.c.Secrecy != nil {
			st.c.Secrecy.State = secrecyNotified
			if err := st.note(verify.EventSecrecy, secrecyNotified, &act{by: rules.RoleClock}); err != nil {
				return err
			}
		}
		return st.note(verify.EventNotice, "after", &act{by: rules.RoleClock})
	})
}

// message opens the address of a person and puts the facts of the case
// together.
func (s *Service) message(ctx context.Context, id bonded.CaseID, key string, l *letter) (*notice.Message, error) {
	q := s.store.Read(ctx)
	c, err := s.load(q, id)
	if err != nil {
		return nil, err
	}
	f, err := s.file(q, c)
	if err != nil {
		return nil, err
	}
	agency, err := s.agencyVersion(q, c.row.Agency, c.AgencyV)
	if err != nil {
		return nil, err
	}
	entries, err := q.Entries(c.row.ID)
	if err != nil {
		return nil, err
	}
	person, err := bonded.ParseHexID(key[slices.Index([]byte(key), '/')+1:])
	if err != nil {
		return nil, altered("letter", err)
	}

	// 1. The entry that the person can look up: the newest one that is witnessed.
	var index uint64
	for i := range slices.Backward(entries) {
		placed, err := s.cfg.Book.Placed(ctx, entries[i].Book)
		if err != nil {
			return nil, err
		}
		if placed != nil {
			index = uint64(placed.Index) //nolint:gosec // not negative
			break
		}
		if i == 0 {
			return nil, errLater
		}
	}

	// 2. What happened.
	facts := notice.Facts{
		Kind: l.Kind, Place: s.cfg.Place, Authority: agency.Name, Country: agency.Country, Fields: l.Fields,
		Requested: f.request.Filed, Case: id, Entry: index, LedgerURL: s.cfg.LedgerURL, Code: l.Code,
	}
	for _, b := range f.request.Authorisation.LegalBasis[:min(len(f.request.Authorisation.LegalBasis), notice.MaxBases)] {
		facts.Basis = append(facts.Basis, notice.LegalBasis{Law: b.Law, Article: b.Article})
	}
	if len(l.Fields) > 0 {
		facts.Opened = c.OpenedAt
	}
	if l.Kind == notice.Refused || l.Kind == notice.PreservationReleased {
		facts.Decided = c.Entered
	}
	if c.Secrecy != nil && !c.Secrecy.Ended.IsZero() {
		facts.SecretUntil = c.Secrecy.Ended
	}

	// 3. Where to.
	to, language, err := s.cfg.Records.Contact(ctx, id, person)
	if err != nil {
		return nil, err
	}
	return &notice.Message{ID: l.ID, Subject: bonded.SubjectID{Cell: s.cfg.Cell, ID: person}, Language: language, To: to, Due: l.Due, Facts: facts}, nil
}

// agencyVersion returns a version of an agency as it was registered.
func (s *Service) agencyVersion(q frontdoorsql.Q, id string, version uint64) (*verify.Agency, error) {
	row, err := q.Registered(verify.RegistryAgency, id, version)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, altered("register", nil)
	}
	st, err := verify.ParseStatement(row.Body)
	if err != nil {
		return nil, altered("register", err)
	}
	a, err := verify.ParseAgency(st)
	if err != nil {
		return nil, altered("register", err)
	}
	return a, nil
}
