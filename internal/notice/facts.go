package notice

import (
	"net"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"bonded"
)

// A Kind says what a person is told.
type Kind string

// Kinds of notice.
const (
	Announced            Kind = "announced"             // a request was approved; nothing has opened, and there is time to object
	Disclosed            Kind = "disclosed"             // fields were handed over
	Refused              Kind = "refused"               // a request was refused; nothing opened
	Preserved            Kind = "preserved"             // data is kept from deletion; nothing opened
	PreservationReleased Kind = "preservation_released" // and is so no longer
	EmergencyDisclosed   Kind = "emergency_disclosed"   // fields were handed over before the written order
	EmergencyUnratified  Kind = "emergency_unratified"  // and the written order did not come
	GagEnded             Kind = "gag_ended"             // a case was kept secret and may be told now
)

// Kinds lists every kind.
var Kinds = []Kind{Announced, Disclosed, Refused, Preserved, PreservationReleased, EmergencyDisclosed, EmergencyUnratified, GagEnded}

// Limits of facts.
const (
	MaxName    = 200  // runes of a name, a law or an article
	MaxContact = 2000 // runes of the contact text
	MaxURL     = 1024 // bytes of the ledger's address
	MaxFields  = 256  // fields disclosed
	MaxBases   = 16   // legal bases
)

// A LegalBasis is the law an authority named, and the article in it.
type LegalBasis struct {
	Law     string
	Article string // may be empty
}

// Facts are what a notice says. Names are shown as given, without control
// characters. Times are shown in UTC.
type Facts struct {
	Kind      Kind
	Place     string              // of the cell, as people know it: "European Union"
	Operator  string              // who keeps the data; absent: [Sender] fills in its own
	Authority string              // who asked
	Country   bonded.Jurisdiction // of the authority
	Basis     []LegalBasis        // none: the request named none; Disclosed needs one
	Fields    []string            // names of the fields disclosed, never values; with Opened only

	Requested time.Time
	Opened    time.Time // zero: nothing was opened. Set for disclosures, and for GagEnded if there was one
	Decided   time.Time // refused, frozen or released; zero: not told
	Until     time.Time // when a freeze ends at the latest; zero: not told

	// SecretUntil is when the secrecy ended that held this notice back; zero:
	// there was none. GagEnded needs it.
	SecretUntil time.Time

	Case      bonded.CaseID
	Entry     uint64 // index of the case's entry in the ledger
	LedgerURL string // https, or http on loopback
	Code      Code   // lets the person ask about the case later
	Contact   string // where to ask and complain, lines of text; absent: [Sender] fills in its own
}

// opens reports whether a notice of the kind must tell, must not tell, or may
// tell of an opening.
func (k Kind) opens() (must, may bool) {
	switch k {
	case Disclosed, EmergencyDisclosed, EmergencyUnratified:
		return true, true
	case GagEnded:
		return false, true
	case Announced, Refused, Preserved, PreservationReleased:
	}
	return false, false
}

// Check returns an error with code [bonded.CodeInvalid] that names what is
// missing or does not fit the kind.
func (f *Facts) Check() error {
	bad := func(field, message string) error {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: message}
	}
	// 1. What every notice tells.
	if !slices.Contains(Kinds, f.Kind) {
		return bad("kind", "no such kind of notice")
	}
	for _, n := range []struct{ field, text string }{{"place", f.Place}, {"operator", f.Operator}, {"authority", f.Authority}} {
		if !named(n.text) {
			return bad(n.field, "a name of 1 to 200 visible characters is needed")
		}
	}
	switch {
	case countryName("en", f.Country) == "":
		return bad("country", "not a country code of ISO 3166-1, nor EU")
	case f.Requested.IsZero():
		return bad("requested", "a notice tells when the data was asked for")
	case f.Case.IsZero():
		return bad("case", "a notice names its case")
	case f.Code.IsZero():
		return bad("code", "a notice carries a notice code")
	case len(f.LedgerURL) > MaxURL || !safeURL(f.LedgerURL):
		return bad("ledger_url", "an https address without user name and fragment is needed")
	case cleanLines(f.Contact) == "" || utf8.RuneCountInString(f.Contact) > MaxContact:
		return bad("contact", "a contact text of 1 to 2000 characters is needed")
	case len(f.Basis) > MaxBases:
		return bad("basis", "more than 16 legal bases")
	}
	for _, b := range f.Basis {
		if !named(b.Law) || b.Article != "" && !named(b.Article) {
			return bad("basis", "a law and an article have up to 200 visible characters")
		}
	}

	// 2. What depends on the kind.
	must, may := f.Kind.opens()
	opened := !f.Opened.IsZero()
	switch {
	case must && !opened:
		return bad("opened", "this kind of notice tells when the data was opened")
	case opened && !may:
		return bad("opened", "this kind of notice tells of no opening")
	case opened != (len(f.Fields) > 0) || len(f.Fields) > MaxFields:
		return bad("fields", "an opening has 1 to 256 fields, and only an opening has")
	case f.Kind == Disclosed && len(f.Basis) == 0:
		return bad("basis", "nothing is disclosed without a legal basis")
	case f.Kind == GagEnded && f.SecretUntil.IsZero():
		return bad("secret_until", "this kind of notice tells when the secrecy ended")
	case !f.Until.IsZero() && f.Kind != Preserved:
		return bad("until", "only a freeze has an end to tell")
	case !f.Decided.IsZero() && decidedLabel[f.Kind] == "":
		return bad("decided", "this kind of notice tells of no decision")
	}
	for _, name := range f.Fields {
		if !bonded.ValidName(name) {
			return bad("fields", "not the name of a field")
		}
	}
	return nil
}

// named reports whether anything of s can be seen, and not too much.
func named(s string) bool {
	return utf8.RuneCountInString(s) <= MaxName && clean(s) != ""
}

// safeURL reports whether s is an https address, or http to this machine.
func safeURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || clean(s) != s {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopbackHost(u.Hostname())
}

// loopbackHost reports whether host means this machine.
func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
