package console

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/locale"
)

// Ways to sign in.
const (
	wayPasskey = "passkey"
	wayOIDC    = "oidc"
)

// How long a session lasts: from the last page, and from signing in.
const (
	sessionIdle = 30 * time.Minute
	sessionLife = 12 * time.Hour
	seenEvery   = time.Minute // a visit is noted no more often
)

// maxForm is the most bytes of a form without documents.
const maxForm = 256 << 10

// HeaderForm carries the token of a form that a script sends.
const HeaderForm = "Bonded-Form"

// roles are those that have pages.
var roles = []string{"intake", "legal", "guardian", "auditor", "registrar"}

// sessionRoutes are the pages and calls about signing in and out, enrolling,
// and one's own settings.
func (c *Console) sessionRoutes() {
	c.open("GET /console/sign-in", (*visit).signInPage)
	c.anyone("POST /console/sign-in/begin", (*visit).signInBegin)
	c.anyone("POST /console/sign-in/finish", (*visit).signInFinish)
	c.page("POST /console/sign-out", (*visit).signOut)
	c.open("GET /console/enrol", (*visit).enrolPage)
	c.anyone("POST /console/enrol/begin", (*visit).enrolBegin)
	c.anyone("POST /console/enrol/finish", (*visit).enrolFinish)
	c.page("GET /console/settings", (*visit).settingsPage)
	c.page("POST /console/settings/sessions", (*visit).endOthers)
	c.page("POST /console/settings/passkeys/remove", (*visit).removePasskey)
	c.action("POST /console/settings/passkeys/begin", (*visit).addKeyBegin)
	c.action("POST /console/settings/passkeys/finish", (*visit).addKeyFinish)
	if c.oidc != nil {
		c.open("GET /console/oidc/start", (*visit).oidcStart)
		c.open("GET /console/oidc/callback", (*visit).oidcCallback)
	}
}

// action serves a call that a script of ours makes for somebody signed in. Its
// answer is JSON, an error too.
func (c *Console) action(pattern string, answer func(*visit) (any, error)) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		x := c.visit(w, r)
		if x.who == nil {
			x.answerError(&bonded.Error{Code: bonded.CodeUnauthenticated, Message: x.T("session.ended"), Hint: x.T("session.sign_in_again")})
			return
		}
		if err := x.checkForm(); err != nil {
			x.countRefusal(err)
			x.answerError(err)
			return
		}
		v, err := answer(x)
		x.countRefusal(err)
		x.answer(v, err)
	})
}

// anyone serves such a call of somebody who is not signed in.
func (c *Console) anyone(pattern string, answer func(*visit) (any, error)) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		x := c.visit(w, r)
		if err := x.checkOrigin(); err != nil {
			x.countRefusal(err)
			x.answerError(err)
			return
		}
		x.answer(answer(x))
	})
}

func (x *visit) answer(v any, err error) {
	if err != nil {
		x.answerError(err)
		return
	}
	x.w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(x.w).Encode(v) // the asker is gone if this fails
}

// answerError answers what a script shows in its place.
func (x *visit) answerError(err error) {
	e := x.outward(err)
	if e.Code == bonded.CodeRateLimited {
		x.w.Header().Set("Retry-After", "60")
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(apitype.InfoOf(e.Code).Status)
	_ = json.NewEncoder(x.w).Encode(map[string]any{ // the asker is gone if this fails
		"title": x.Or("code."+string(e.Code), e.Message), "message": e.Message, "hint": e.Hint, "lang": x.foreign(e.Message),
		"field": x.formName(e.Field), "at": e.Field,
		"foot": x.T("error.request", "id", x.call.RequestID.Hex(), "code", string(e.Code)),
	})
}

// worded puts an error into the reader's words, as far as there are any: those
// of the rule by which it was refused.
func (x *visit) worded(e *bonded.Error) *bonded.Error {
	for _, rule := range e.Rules {
		for _, key := range []string{"rule." + rule, "casereject." + rule} {
			if x.Has(key) {
				out := *e
				out.Message, out.Hint = x.T(key), ""
				if x.Has(key + "_hint") {
					out.Hint = x.T(key + "_hint")
				}
				return &out
			}
		}
	}
	return e
}

// foreign returns the language of a message that is not in the reader's, for
// programs that read aloud.
func (x *visit) foreign(message string) string {
	if strings.HasPrefix(x.Lang, locale.Base) || strings.ContainsFunc(message, func(r rune) bool { return r > unicode.MaxLatin1 }) {
		return ""
	}
	return locale.Base
}

// formName is what a field of a decision's form is called there, empty for others.
func (x *visit) formName(field string) string {
	return x.Or("decide.at_"+strings.TrimRight(field, "_0123456789"), "")
}

// outward is what of an error may leave this process.
func (x *visit) outward(err error) *bonded.Error {
	if e, ok := asError(err); ok && bonded.CodeOf(err) != bonded.CodeInternal {
		return x.worded(e)
	}
	x.c.log.LogAttrs(x.r.Context(), slog.LevelError, "a page failed", slog.String("request", x.call.RequestID.Hex()), slog.String("path", x.r.Pattern), slog.Any("error", err))
	return &bonded.Error{Code: bonded.CodeInternal, Message: x.T("error.internal")}
}

// read reads the JSON that a script of ours sends.
func (x *visit) read(v any) error {
	if t, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "Content-Type", Message: "not JSON"}
	}
	dec := json.NewDecoder(http.MaxBytesReader(x.w, x.r.Body, maxForm))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "body", Message: "not what this page sends"}
	}
	return nil
}

// cookieName is the session's. On localhost all ports share their cookies, so
// that it names the cell.
func (c *Console) cookieName() string {
	if c.secure() {
		return "__Host-bonded-" + string(c.cfg.Cell)
	}
	return "bonded-" + string(c.cfg.Cell)
}

func (c *Console) secretOf(r *http.Request) string {
	k, err := r.Cookie(c.cookieName())
	if err != nil || len(k.Value) != 43 {
		return ""
	}
	return k.Value
}

// signedIn returns who a request is from, as the register has them at this
// moment. A session whose owner the register has no more, or has under another
// key, is over.
func (c *Console) signedIn(r *http.Request) (*who, *session) {
	secret := c.secretOf(r)
	if secret == "" {
		return nil, nil
	}
	ctx, now := r.Context(), c.cfg.Now()
	s, err := c.store.session(ctx, hashOf(secret))
	if err != nil || s == nil {
		c.note(r, err)
		return nil, nil
	}
	if s.over(now) {
		c.note(r, c.store.dropSession(ctx, s.Hash))
		return nil, nil
	}
	w, err := c.standing(r, s.Person, s.Key)
	if err != nil {
		if code := bonded.CodeOf(err); code == bonded.CodeUnauthenticated || code == bonded.CodeForbidden {
			err = c.store.dropSession(ctx, s.Hash)
		}
		c.note(r, err)
		return nil, nil
	}
	if now.Sub(s.Seen) >= seenEvery && r.Pattern != livePattern { // a stream is nobody's visit
		c.note(r, c.store.seenSession(ctx, s.Hash, now))
	}
	return w, s
}

// over reports whether a session has ended by the clock.
func (s *session) over(now time.Time) bool {
	return now.Sub(s.Made) >= sessionLife || now.Sub(s.Seen) >= sessionIdle
}

func (c *Console) note(r *http.Request, err error) {
	if err != nil && r.Context().Err() == nil {
		c.log.LogAttrs(r.Context(), slog.LevelError, "a session cannot be read", slog.Any("error", err))
	}
}

// standing returns somebody as the register has them now. An empty key is not
// compared. Errors: unauthenticated if nobody of that id is in force, forbidden
// if they have no pages here, or another key.
func (c *Console) standing(r *http.Request, person, key string) (*who, error) {
	p, err := c.cfg.Cases.Person(r.Context(), person)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(roles, p.Role) {
		return nil, &bonded.Error{Code: bonded.CodeForbidden, Field: "role", Message: "the console has no pages for people of role " + p.Role}
	}
	if key != "" && key != p.Key {
		return nil, &bonded.Error{Code: bonded.CodeForbidden, Field: "key", Message: "the register has another signing key of this person than the one enrolled here", Hint: "have a registrar enter the key that is shown when you enrol, or enrol with the key that the register has"}
	}
	return &who{Person: p.ID, Name: p.Name, Role: p.Role, Key: p.Key}, nil
}

// begin starts a session under a new secret, so that nobody who knew the one
// before knows this one.
func (x *visit) begin(person, way string, p *passkey) error {
	secret, hash := newSecret()
	now := x.c.cfg.Now()
	s := &session{Hash: hash, Person: person, Way: way, Agent: agentOf(x.r.UserAgent()), Made: now, Seen: now}
	if p != nil {
		s.Passkey, s.Key = p.ID, p.Key
	}
	var old *[32]byte
	if before := x.c.secretOf(x.r); before != "" {
		h := hashOf(before)
		old = &h
	}
	if err := x.c.store.addSession(x.r.Context(), s, old); err != nil {
		return err
	}
	x.setCookie(secret, int(sessionLife/time.Second))
	return nil
}

func (x *visit) setCookie(value string, age int) {
	http.SetCookie(x.w, &http.Cookie{ //nolint:gosec // secure with https
		Name: x.c.cookieName(), Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: x.c.secure(),
	})
}

// agentOf says in few words which browser that is, for the list of sessions.
func agentOf(ua string) string {
	pick := func(words ...string) string {
		for _, w := range words {
			name, mark, _ := strings.Cut(w, "=")
			if strings.Contains(ua, mark) {
				return name
			}
		}
		return ""
	}
	browser := pick("Edge=Edg/", "Opera=OPR/", "Firefox=Firefox/", "Chrome=Chrome/", "Safari=Safari/")
	system := pick("Android=Android", "iPhone=iPhone", "iPad=iPad", "Windows=Windows", "macOS=Mac OS", "Linux=Linux")
	return strings.TrimSpace(strings.TrimSuffix(browser+", "+system, ", "))
}

// formToken is what forms of this session carry. It follows from the secret in
// the cookie, which pages of others cannot read.
func (x *visit) formToken() string {
	if x.session == nil {
		return ""
	}
	h := sha256.Sum256([]byte("bonded/console/form/1\x00" + x.c.secretOf(x.r)))
	return hex.EncodeToString(h[:])
}

// byPasskey refuses what a session does not do that an identity provider
// vouches for: it is for reading.
func (x *visit) byPasskey() error {
	if x.session != nil && x.session.Way == wayPasskey {
		return nil
	}
	return &bonded.Error{
		Code: bonded.CodeForbidden, Rules: []string{"console.reading"}, Message: "a session of the identity provider is for reading",
		Hint: "sign out, and sign in with your passkey",
	}
}

// checkForm refuses a form that no page of ours made for this session.
func (x *visit) checkForm() error {
	if err := x.checkOrigin(); err != nil {
		return err
	}
	if err := x.parseForm(); err != nil {
		return err
	}
	token := cmp.Or(x.r.Header.Get(HeaderForm), x.r.PostFormValue("form"))
	want := x.formToken()
	if want == "" || subtle.ConstantTimeCompare([]byte(token), []byte(want)) != 1 {
		return forbidden(ruleForm)
	}
	return nil
}

// parseForm reads a form, with a document if it has one: in memory, since a
// document of a case must not lie about on a disk in the open.
func (x *visit) parseForm() (err error) {
	t, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	switch t {
	case "multipart/form-data":
		x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxForm+apitype.MaxDocument)
		err = x.r.ParseMultipartForm(maxForm + apitype.MaxDocument) //nolint:gosec // bounded above
	case "application/x-www-form-urlencoded":
		x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxForm)
		err = x.r.ParseForm()
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "body", Message: "this is larger than a form may be", Hint: "a document has at most 16 MiB"}
	}
	if err != nil {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "body", Message: "not a form"}
	}
	return nil
}

// checkOrigin refuses what a page of somebody else sends.
func (x *visit) checkOrigin() error {
	site := x.r.Header.Get("Sec-Fetch-Site")
	switch origin := x.r.Header.Get("Origin"); {
	case origin == x.c.cfg.Origin && (site == "" || site == "same-origin"):
		return nil
	case origin == "" && site == "same-origin":
		return nil
	}
	return forbidden(ruleOrigin)
}

func forbidden(rule string) error {
	return &bonded.Error{Code: bonded.CodeForbidden, Rules: []string{rule}, Message: "this form is not of this session", Hint: "open the page again and send the form from there"}
}

func asError(err error) (*bonded.Error, bool) {
	e, ok := errors.AsType[*bonded.Error](err)
	return e, ok
}

// signIn sends the visitor to the page where people sign in, and from there
// back to where they wanted to go.
func (x *visit) signIn() {
	to := "/console/sign-in"
	if x.r.Method == http.MethodGet {
		if next := nextPage(x.r.URL.RequestURI()); next != "/console/" {
			to += "?" + url.Values{"next": {next}}.Encode()
		}
	}
	http.Redirect(x.w, x.r, to, http.StatusSeeOther)
}

// nextPage returns a page of ours that an address asks for, the first one if
// it asks for anything else.
func nextPage(s string) string {
	const first = "/console/"
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil || len(s) > 1024 ||
		!strings.HasPrefix(s, first) || strings.ContainsAny(s, "\\\r\n\t") || !strings.HasPrefix(path.Clean(u.Path)+"/", first) {
		return first
	}
	return s
}

func (x *visit) signOut() error {
	if err := x.c.store.dropSession(x.r.Context(), x.session.Hash); err != nil {
		return err
	}
	x.setCookie("", -1)
	http.Redirect(x.w, x.r, "/console/sign-in", http.StatusSeeOther)
	return nil
}
