package frontdoor

import (
	"time"

	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// States of secrecy.
const (
	secrecyActive     = "active"
	secrecyReviewDue  = "review_due"
	secrecyExtended   = "extended"
	secrecyChallenged = "challenged"
	secrecyEnded      = "ended"
	secrecyNotified   = "notified"
)

// A secrecy is a gag on a case. It always has a date at which it ends by
// itself: End.
type secrecy struct {
	State    string     `json:"state"`
	From     time.Time  `json:"from"`
	Until    *time.Time `json:"until,omitempty"`
	ReviewAt *time.Time `json:"review_at,omitempty"`
	Endless  bool       `json:"endless,omitempty"` // was asked for without an end
	Ended    time.Time  `json:"ended"`
}

// newSecrecy reads an order of secrecy. One that names neither end nor review
// date is not obeyed as it stands: it is challenged from the first moment, and
// ends at the review that the rules set.
func newSecrecy(g *verify.Secrecy, now time.Time, review time.Duration) *secrecy {
	if g == nil {
		return nil
	}
	s := &secrecy{State: secrecyActive, From: g.From, Until: g.Until, ReviewAt: g.ReviewAt}
	if g.Until != nil && g.Until.Sub(now) > MaxSecrecy {
		s.Until = nil // as good as none
	}
	if s.Until == nil && s.ReviewAt == nil {
		at := now.Add(review)
		s.State, s.ReviewAt, s.Endless = secrecyChallenged, &at, true
	}
	return s
}

// active reports whether the gag is in force. A nil secrecy is none.
func (g *secrecy) active() bool {
	return g != nil && g.State != secrecyEnded && g.State != secrecyNotified
}

// end is when the gag ends by itself: at its end, or, without one, at its
// review date.
func (g *secrecy) end() time.Time {
	if g.Until != nil {
		return *g.Until
	}
	return *g.ReviewAt
}

// beginSecrecy enters the gag of a case that is submitted, and keeps its
// entries closed.
func (st *step) beginSecrecy(request [32]byte) error {
	g := st.c.Secrecy
	if g == nil {
		return nil
	}
	a := &act{by: rules.RoleRequester, content: [][32]byte{request}}
	if err := st.note(verify.EventSecrecy, g.State, a); err != nil {
		return err
	}
	return st.s.cfg.Book.Hold(st.q.Tx(), st.c.row.ID, g.end())
}

// tickSecrecy ends a gag whose time is over, judged on witness time, and marks
// one whose review is due.
func (st *step) tickSecrecy() error {
	g, witnessed := st.c.Secrecy, st.s.witnessed()
	if !g.active() || st.c.state == rules.StateDraft || witnessed.IsZero() {
		return nil
	}
	if !witnessed.Before(g.end()) {
		return st.endSecrecy(&act{by: rules.RoleClock})
	}
	if g.ReviewAt != nil && g.State != secrecyReviewDue && !witnessed.Before(*g.ReviewAt) {
		g.State = secrecyReviewDue
		return st.note(verify.EventSecrecy, secrecyReviewDue, &act{by: rules.RoleClock})
	}
	return nil
}

// endSecrecy ends the gag: the hold on the entries ends, and the person is to
// be told.
func (st *step) endSecrecy(a *act) error {
	st.c.Secrecy.State, st.c.Secrecy.Ended = secrecyEnded, st.now
	if err := st.s.cfg.Book.Hold(st.q.Tx(), st.c.row.ID, time.Time{}); err != nil {
		return err
	}
	if err := st.note(verify.EventSecrecy, secrecyEnded, a); err != nil {
		return err
	}
	if st.s.final(st.c.state) {
		if err := st.s.cfg.Book.RevealCase(st.q.Tx(), st.c.row.ID, verify.FieldPerson); err != nil {
			return err
		}
	}
	return st.tellLater()
}

func (st *step) endSecrecyBy(a *act) error {
	if !st.c.Secrecy.active() {
		return conflict("there is no secrecy in force", "")
	}
	return st.endSecrecy(a)
}

// extendSecrecy keeps a gag until a later date: the authority renewed it, with
// the document on file.
func (st *step) extendSecrecy(a *act) error {
	g := st.c.Secrecy
	if !g.active() {
		return conflict("there is no secrecy in force", "")
	}
	until := a.decision.Until
	switch {
	case until == nil || !until.After(g.end()):
		return wrongEnd("secrecy.after_present", "an extension names an end after the present one", "the gag ends at "+g.end().UTC().Format(time.RFC3339)+" as it is")
	case until.Sub(st.now) > 366*24*time.Hour:
		return wrongEnd("secrecy.extend_most", "a gag is extended by a year at most", "name an earlier end, and have it renewed again by then")
	}
	if err := st.onFile(a, "the authority's renewal"); err != nil {
		return err
	}
	u := until.UTC().Truncate(time.Second)
	g.State, g.Until, g.ReviewAt = secrecyExtended, &u, nil
	if err := st.note(verify.EventSecrecy, secrecyExtended, a); err != nil {
		return err
	}
	return st.s.cfg.Book.Hold(st.q.Tx(), st.c.row.ID, u)
}

func (st *step) challengeSecrecy(a *act) error {
	g := st.c.Secrecy
	if !unchallenged(st.c, st.now) {
		return conflict("there is no secrecy in force, or it is challenged already", "")
	}
	g.State = secrecyChallenged
	return st.note(verify.EventSecrecy, secrecyChallenged, a)
}
