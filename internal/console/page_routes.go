package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/grant"
	"bonded/verify"
)

// A pageRoute is a path and the page that answers it.
type pageRoute struct {
	pattern string
	answer  func(*visit) error
}

// pages are the pages about the cell, its people's data, its books and its
// parties.
var pages = []pageRoute{
	{"GET /console/{$}", (*visit).overviewPage},
	{"GET /console/people", (*visit).peoplePage},
	{"POST /console/people", (*visit).peopleFind},
	{"GET /console/people/{subject}", (*visit).personAsk},
	{"POST /console/people/{subject}", (*visit).personPage},
	{"POST /console/people/{subject}/reveal", (*visit).reveal},
	{"POST /console/people/{subject}/export", (*visit).export},
	{"POST /console/people/{subject}/erase", (*visit).erase},
	{"POST /console/people/{subject}/undo", (*visit).eraseUndo},
	{"POST /console/receipt", (*visit).receipt},
	{"GET /console/register", (*visit).registerPage},
	{"GET /console/register/{kind}/{id}", (*visit).registerEntryPage},
	{"GET /console/custody", (*visit).custodyPage},
	{"GET /console/journal", (*visit).journalPage},
	{"GET /console/journal/{entry}", (*visit).journalRowPage},
	{"GET /console/ledger", (*visit).ledgerPage},
	{"GET /console/ledger/entry/{index}", (*visit).ledgerEntryPage},
	{"GET /console/ledger/entry/{index}/proof", (*visit).ledgerProof},
	{"GET /console/ledger/entry/{index}/opening", (*visit).ledgerOpening},
	{livePattern, (*visit).live},
}

// pageRoutes registers the pages.
func (c *Console) pageRoutes() {
	for _, p := range pages {
		c.page(p.pattern, p.answer)
	}
	c.action("POST /console/people/{subject}/confirm/{act}", (*visit).confirmBegin)
}

// Why a person's grant is of no use here.
const (
	grantNone  = "none"   // there is none of that id
	grantTime  = "time"   // not yet in force, or over
	grantProof = "proof"  // it asks for proofs, which a browser does not make
	grantOther = "system" // of the vault's own work
)

// grant returns the grant under which the person asks the vault: that whose id
// is the person's. Else it says why there is none.
func (x *visit) grant() (g *grant.Grant, why string) {
	g, ok := x.c.cfg.Grant(x.who.Person)
	now := x.c.cfg.Now()
	switch {
	case !ok || g == nil || g.ID != x.who.Person:
		return nil, grantNone
	case g.Job || slices.Contains(g.Roles, "front_door"):
		return nil, grantOther
	case now.Before(g.NotBefore) || !now.Before(g.NotAfter):
		return nil, grantTime
	case !g.Bearer:
		return nil, grantProof
	}
	return g, ""
}

// ask is a call of the vault in the person's name. The keyholder sees that the
// vault vouches for who asks.
func (x *visit) ask(g *grant.Grant, why apitype.Why) *apitype.Call {
	return &apitype.Call{Grant: g, Assurance: verify.AssuranceVault, Why: why, RequestID: x.call.RequestID}
}

// why reads purpose, reason and basis from a form.
func (x *visit) why() apitype.Why {
	return apitype.Why{
		Purpose: bonded.Purpose(x.r.PostFormValue("purpose")),
		Reason:  strings.TrimSpace(x.r.PostFormValue("reason")),
		Basis:   strings.TrimSpace(x.r.PostFormValue("basis")),
	}
}

// attach answers with a file to keep.
func (x *visit) attach(name, mediaType string, b []byte) error {
	h := x.w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(b) //nolint:gosec // a file to keep, never a page; the asker is gone if this fails
	return nil
}

// since says how long ago something was.
func (x *visit) since(t time.Time) string {
	d := x.c.cfg.Now().Sub(t)
	switch {
	case d < 2*time.Minute:
		return x.N("page.seconds_ago", int(max(d, 0)/time.Second))
	case d < 2*time.Hour:
		return x.N("page.minutes_ago", int(d/time.Minute))
	case d < 48*time.Hour:
		return x.N("page.hours_ago", int(d/time.Hour))
	}
	return x.N("page.days_ago", int(d/(24*time.Hour)))
}

// plain returns a text that cannot turn what stands around it around, or look
// like another one: characters that override the direction of writing, and
// control characters, are shown by their number.
func plain(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			const hex = "0123456789ABCDEF"
			b.WriteString("[U+")
			for i := 12; i >= 0; i -= 4 {
				b.WriteByte(hex[r>>i&15])
			}
			b.WriteByte(']')
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden reports whether r shows nothing and changes what others look like.
func hidden(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 ||
		r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r >= 0x200b && r <= 0x200f || r == 0x61c || r == 0xad || r == 0xfeff
}

// number reads a number from the address, other if there is none.
func (x *visit) number(name string, other uint64) (uint64, error) {
	s := x.r.URL.Query().Get(name)
	if s == "" {
		return other, nil
	}
	n := uint64(0)
	for _, d := range s {
		if d < '0' || d > '9' || n > 1<<58 {
			return 0, &bonded.Error{Code: bonded.CodeInvalid, Field: name, Message: "not a number"}
		}
		n = 10*n + uint64(d-'0')
	}
	return n, nil
}
