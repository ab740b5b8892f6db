//go:build unix

package bondedtest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
	"bonded/internal/canon"
	"bonded/verify"
)

const consoleCookie = "bonded-eu"

// cookie is what keeps a browser signed in, which no script can read.
func (b *browser) cookie() string {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{b.origin + "/console/"}})
	must(b.t, err)
	for _, c := range r.Cookies {
		if c.Name == consoleCookie {
			if !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict {
				b.t.Errorf("the session's cookie: http only %v, same site %s", c.HTTPOnly, c.SameSite)
			}
			return c.Value
		}
	}
	b.t.Fatal("there is no session")
	return ""
}

// An ask is one request, as anybody can make it.
type ask struct {
	method, path string
	cookie       string // of a session
	header       map[string]string
	body         io.Reader
}

// send sends a request and follows nothing.
func (o *door) send(a ask) (int, http.Header, string) {
	o.t.Helper()
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	// The name localhost is for browsers; the address is the same.
	r, err := http.NewRequestWithContext(o.ctx(), method, o.origin()+a.path, a.body)
	must(o.t, err)
	for k, v := range a.header {
		r.Header.Set(k, v)
	}
	if a.cookie != "" {
		r.AddCookie(&http.Cookie{Name: consoleCookie, Value: a.cookie})
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	must(o.t, err)
	defer res.Body.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(res.Body)
	must(o.t, err)
	return res.StatusCode, res.Header, string(b)
}

// token is what forms of a session carry.
func (o *door) token(cookie string) string {
	o.t.Helper()
	_, _, page := o.send(ask{path: "/console/settings", cookie: cookie})
	_, rest, ok := strings.Cut(page, `name="form" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	if !ok || len(token) != 64 {
		o.t.Fatalf("the page has no token: %.200s", page)
	}
	return token
}

// same are the headers of a form that a page of ours sends.
func (o *door) same(kind string) map[string]string {
	return map[string]string{"Origin": o.origin(), "Sec-Fetch-Site": "same-origin", "Content-Type": kind}
}

const formType = "application/x-www-form-urlencoded"

func anotherPasskey(o *door, b *browser) {
	b.visit("/console/settings")
	b.do("add", chromedp.SendKeys(chromedp.CSS("#new-name"), "Key on the ring"),
		chromedp.Click(chromedp.CSS("#add-passkey button[type=submit]:enabled")))
	// One authenticator refuses a second passkey of one person: that is said.
	b.do("refused", chromedp.WaitVisible(chromedp.CSS("#add-passkey .problem")))
	defer b.authenticator("usb")()
	b.visit("/console/settings")
	b.do("add", chromedp.SendKeys(chromedp.CSS("#new-name"), "Key on the ring"),
		chromedp.Click(chromedp.CSS("#add-passkey button[type=submit]:enabled")),
		chromedp.WaitVisible(chromedp.CSS("#passkeys tbody tr:nth-child(2)")))
	if s := b.text("#passkeys tbody tr:nth-child(2)"); !strings.Contains(s, "Key on the ring") && !strings.Contains(b.text("#passkeys"), "Key on the ring") {
		o.t.Errorf("the second passkey is shown as %s", s)
	}
}

func newKey(o *door) {
	b := chromium(o.t, o.origin())
	b.visit(o.invite("legal-9"))
	b.do("enrol", chromedp.Click(chromedp.CSS("#enrol button[type=submit]:enabled")), chromedp.WaitVisible(chromedp.CSS("#enrolled [data-state=awaited]")))
	if key, err := base64.StdEncoding.DecodeString(b.text("#enrolled-key")); err != nil || len(key) != 32 {
		o.t.Errorf("the key is shown as %q", b.text("#enrolled-key"))
	}
	b.visit("/console/sign-in")
	b.do("sign in", chromedp.Click(chromedp.CSS("#sign-in button[type=submit]:enabled")), chromedp.WaitVisible(chromedp.CSS("#sign-in .problem")))
	if s := b.text("#sign-in .problem"); !strings.Contains(s, "legal-9") || !strings.Contains(s, "awaited") {
		o.t.Errorf("it says %s", s)
	}
	b.shot("awaited")
	status, _, _ := o.send(ask{path: "/console/settings"})
	if status != http.StatusSeeOther {
		o.t.Errorf("somebody is signed in: %d", status)
	}
}

func usedLink(o *door) {
	b := chromium(o.t, o.origin())
	link := o.invite("legal-2")
	b.visit(link)
	b.do("enrol", chromedp.SetUploadFiles(chromedp.CSS("#key-file"), []string{o.d.Layout.Person(o.Cell, "legal-2")}),
		chromedp.Click(chromedp.CSS("#enrol button[type=submit]:enabled")), chromedp.WaitVisible(chromedp.CSS("#enrolled [data-state=ready]")))
	u, err := url.Parse(link)
	must(o.t, err)
	if status, _, page := o.send(ask{path: u.RequestURI()}); status != http.StatusUnauthorized || !strings.Contains(page, "does not work") {
		o.t.Errorf("a used link: %d", status)
	}
	if out, err := o.try("console", "invite", "--person-id", "legal-1", "--person", o.d.Layout.Person(o.Cell, "legal-2")); err == nil {
		o.t.Errorf("counsel invites: %s", out)
	}
	if out, err := o.try("console", "invite", "--person-id", "No Body", "--admin", filepath.Join(o.d.Layout.Admin(), "admin.key")); err == nil {
		o.t.Errorf("an id with spaces is invited: %s", out)
	}
}

// headers looks at every kind of answer: nothing may frame it, run in it, or
// take it for something else.
func headers(o *door, b *browser) {
	cookie := b.cookie()
	for _, path := range []string{
		"/console/", "/console/sign-in", "/console/settings", "/console/cases", "/console/cases/nothing", "/console/enrol?code=x", "/console/nowhere", "/static/nothing",
	} {
		for _, c := range []string{"", cookie} {
			_, h, _ := o.send(ask{path: path, cookie: c})
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") ||
				h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
				o.t.Errorf("%s: %v", path, h)
			}
		}
	}
}

// forgery sends forms that no page of ours has made for the session.
func forgery(o *door, b *browser) {
	cookie := b.cookie()
	token := o.token(cookie)
	form := func(t string) io.Reader { return strings.NewReader(url.Values{"form": {t}}.Encode()) }
	with := func(k, v string) map[string]string {
		h := o.same(formType)
		if h[k] = v; v == "" {
			delete(h, k)
		}
		return h
	}
	bare := with("Origin", "")
	delete(bare, "Sec-Fetch-Site")
	for _, path := range []string{"/console/settings/sessions", "/console/settings/passkeys/remove", "/console/sign-out", "/console/settings/passkeys/begin", "/console/cases/case_eu_x/draft", "/console/cases/case_eu_x/decide"} {
		for what, a := range map[string]ask{
			"no token":               {header: o.same(formType), body: form("")},
			"another token":          {header: o.same(formType), body: form(strings.Repeat("a", 64))},
			"a foreign origin":       {header: with("Origin", "https://evil.example"), body: form(token)},
			"an opaque origin":       {header: with("Origin", "null"), body: form(token)},
			"another site":           {header: with("Sec-Fetch-Site", "cross-site"), body: form(token)},
			"a neighbour":            {header: with("Sec-Fetch-Site", "same-site"), body: form(token)},
			"neither origin or site": {header: bare, body: form(token)},
			"token in the address":   {header: o.same(formType), body: form("")},
		} {
			a.method, a.path, a.cookie = http.MethodPost, path, cookie
			if what == "token in the address" {
				a.path += "?form=" + token
			}
			if status, _, _ := o.send(a); status != http.StatusForbidden {
				o.t.Errorf("%s with %s: %d", path, what, status)
			}
		}
	}
	if status, _, _ := o.send(ask{method: http.MethodPost, path: "/console/settings/sessions", cookie: cookie, header: o.same(formType), body: form(token)}); status != http.StatusSeeOther {
		o.t.Errorf("the right form: %d", status)
	}
	// Before signing in there is no token, and other origins are refused too.
	for _, path := range []string{"/console/sign-in/begin", "/console/sign-in/finish", "/console/enrol/begin", "/console/enrol/finish"} {
		if status, _, _ := o.send(ask{method: http.MethodPost, path: path, header: map[string]string{"Origin": "https://evil.example", "Content-Type": "application/json"}, body: strings.NewReader("{}")}); status != http.StatusForbidden {
			o.t.Errorf("%s from elsewhere: %d", path, status)
		}
	}
}

// sessions tries cookies that are guessed, chosen beforehand, or kept.
func sessions(o *door, b *browser) {
	out := func(what, cookie string) {
		o.t.Helper()
		if status, h, _ := o.send(ask{path: "/console/settings", cookie: cookie}); status != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), "/console/sign-in") {
			o.t.Errorf("%s: %d %s", what, status, h.Get("Location"))
		}
	}
	var guess [32]byte
	_, _ = rand.Read(guess[:])
	chosen := base64.RawURLEncoding.EncodeToString(guess[:])
	out("a guess", chosen)
	out("nothing", "")
	out("something else", "' OR 1=1 --")

	// A cookie that somebody planted is not the one of the session.
	first := b.cookie()
	_, err := chromedp.Call(b.ctx, network.ClearBrowserCookies, struct{}{})
	must(o.t, err)
	_, err = chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{Name: consoleCookie, Value: chosen, URL: b.origin + "/", HTTPOnly: new(true), SameSite: network.CookieSameSiteStrict})
	must(o.t, err)
	b.signIn()
	second := b.cookie()
	if second == chosen || second == first {
		o.t.Error("the session goes on under a secret that was known before")
	}
	out("what was planted", chosen)

	// Signing in again ends the session before; signing out ends it for good.
	_, _, _ = o.send(ask{method: http.MethodPost, path: "/console/settings/sessions", cookie: second, header: o.same(formType), body: strings.NewReader("form=" + o.token(second))})
	out("a session that another one ended", first)
	b.visit("/console/settings")
	b.do("sign out", chromedp.Click(chromedp.CSS("form[action='/console/sign-out'] button")), chromedp.WaitVisible(chromedp.CSS("#sign-in")))
	out("what was kept after signing out", second)
	b.signIn()
}

func redirects(o *door) {
	for _, next := range []string{"https://evil.example/", "//evil.example/console/", "/\\evil.example", "javascript:alert(1)", "/console/../../evil", "/v1/status"} {
		_, _, page := o.send(ask{path: "/console/sign-in?" + url.Values{"next": {next}}.Encode()})
		if strings.Contains(page, "evil.example") && !strings.Contains(page, `lang=`) || !strings.Contains(page, `data-next="/console/"`) {
			o.t.Errorf("next %q: the page leads there", next)
		}
	}
	status, h, _ := o.send(ask{path: "/console/cases?state=mine"})
	if status != http.StatusSeeOther || h.Get("Location") != "/console/sign-in?next=%2Fconsole%2Fcases%3Fstate%3Dmine" {
		o.t.Errorf("%d %s", status, h.Get("Location"))
	}
}

// drafted has the console draft a decision for somebody, and returns what it
// gave.
func (o *door) drafted(cookie string, id bonded.CaseID, fields map[string]string) (int, map[string]any) {
	o.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for k, v := range fields {
		must(o.t, w.WriteField(k, v))
	}
	must(o.t, w.Close())
	h := o.same(w.FormDataContentType())
	h["Bonded-Form"] = o.token(cookie)
	status, _, text := o.send(ask{method: http.MethodPost, path: "/console/cases/" + id.String() + "/draft", cookie: cookie, header: h, body: &b})
	out := map[string]any{}
	must(o.t, json.Unmarshal([]byte(text), &out))
	return status, out
}

// exchanged hands in other decisions than those that were drafted.
func exchanged(o *door, b *browser, id bonded.CaseID) {
	cookie := b.cookie()
	other := o.file(doorOfficer, o.text(doorOfficer, doorAgency, o.named(), ""))
	v := o.view(other)
	o.decide("intake-1", other, "take", nil)
	o.decide("intake-1", other, "forward", nil)
	fields := map[string]string{"action": "clarify", "state": v.State, "number": strconv.FormatUint(v.Number, 10), "reason": "which account?"}
	if status, _ := o.drafted(cookie, other, fields); status != http.StatusConflict {
		o.t.Errorf("a case that has moved on is drafted: %d", status)
	}
	v = o.view(other)
	fields["state"], fields["number"] = v.State, strconv.FormatUint(v.Number, 10)
	for what, change := range map[string]map[string]string{
		"an action of another role": {"action": "take"}, "no action": {"action": ""}, "no reason": {"reason": " "},
		"a refusal without a reason": {"action": "reject"}, "a reject code that there is not": {"action": "reject", "code": "no_such"}, "no task": {"action": "refuse_task"},
		"a task that there is not": {"action": "refuse_task", "task_7": "too_broad"}, "no field left": {"action": "narrow", "narrow_0": "1"},
		"a field that was not asked for": {"action": "narrow", "narrow_0": "1", "fields_0": "email"}, "more people": {"action": "narrow", "narrow_0": "1", "fields_0": "phone", "max_0": "2"},
		"other tasks than were shown": {"action": "approve", "digest": strings.Repeat("0", 64)},
	} {
		f := maps.Clone(fields)
		maps.Copy(f, change)
		status, _ := o.drafted(cookie, other, f)
		if status < 400 {
			o.t.Errorf("%s is drafted", what)
		}
	}
	for what, change := range map[string]map[string]string{
		`"code":"too_broad"`:                             {"action": "reject", "code": "too_broad"},
		`"tasks":[{"task":0,"code":"bulk"}]`:             {"action": "refuse_task", "task_0": "bulk"},
		`"tasks":[{"task":0,"fields_wanted":["phone"]}]`: {"action": "narrow", "narrow_0": "1", "fields_0": "phone", "max_0": "1"},
		`"digest":"` + v.Extra["tasks"] + `"`:            {"action": "approve", "digest": v.Extra["tasks"]},
		`"action":"refer"`:                               {"action": "refer"},
		`"reason":"which account?"`:                      {},
	} {
		f := maps.Clone(fields)
		maps.Copy(f, change)
		status, d := o.drafted(cookie, other, f)
		body, err := base64.StdEncoding.DecodeString(fmt.Sprint(d["body"]))
		if status != http.StatusOK || err != nil || !strings.Contains(string(body), what) {
			o.t.Errorf("%s is drafted as %d %s", what, status, body)
		}
	}
	hand := func(c bonded.CaseID, cookie, ceremony, body, signer string) int {
		h := o.same("application/json")
		h["Bonded-Form"] = o.token(cookie)
		in, err := json.Marshal(map[string]any{"ceremony": ceremony, "credential": map[string]any{"id": "AA"}, "statement": map[string]any{"body": body, "signatures": []any{map[string]any{"signer": signer, "value": "AA=="}}}})
		must(o.t, err)
		status, _, _ := o.send(ask{method: http.MethodPost, path: "/console/cases/" + c.String() + "/decide", cookie: cookie, header: h, body: bytes.NewReader(in)})
		return status
	}
	fresh := func() (string, string) {
		status, d := o.drafted(cookie, other, fields)
		if status != http.StatusOK {
			o.t.Fatalf("it is not drafted: %d %v", status, d)
		}
		return fmt.Sprint(d["ceremony"]), fmt.Sprint(d["body"])
	}
	ceremony, body := fresh()
	plain, err := base64.StdEncoding.DecodeString(body)
	must(o.t, err)
	changed := base64.StdEncoding.EncodeToString(bytes.Replace(plain, []byte("clarify"), []byte("approve"), 1))
	if status := hand(other, cookie, ceremony, changed, "legal-1"); status != http.StatusForbidden {
		o.t.Errorf("another decision: %d", status)
	}
	ceremony, body = fresh()
	if status := hand(id, cookie, ceremony, body, "legal-1"); status != http.StatusForbidden {
		o.t.Errorf("on another case: %d", status)
	}
	ceremony, body = fresh()
	if status := hand(other, cookie, ceremony, body, "legal-3"); status != http.StatusForbidden {
		o.t.Errorf("as another person: %d", status)
	}
	ceremony, body = fresh()
	if status := hand(other, cookie, ceremony, body, "legal-1"); status != http.StatusUnauthorized {
		o.t.Errorf("without a passkey: %d", status)
	}
	if status := hand(other, cookie, ceremony, body, "legal-1"); status != http.StatusConflict {
		o.t.Errorf("a second time: %d", status)
	}
	if v := o.view(other); v.State != "under_review" {
		o.t.Errorf("the case is %s", v.State)
	}
}

// strangers look at cases that they may not know of.
func strangers(o *door, b *browser, id bonded.CaseID) {
	b.visit("/console/cases")
	if s := b.text("main"); !strings.Contains(s, "do not read cases") {
		o.t.Errorf("the auditor sees %s", s)
	}
	cookie := b.cookie()
	doc := "/documents/" + strings.Repeat("0", 64)
	for _, path := range []string{
		"/console/cases/" + id.String(), "/console/cases/" + id.String() + doc, "/console/cases/case_cn_" + strings.TrimPrefix(id.String(), "case_eu_"),
		"/console/cases/" + bonded.CaseID{Cell: "eu", ID: bonded.NewID()}.String(), "/console/cases/..%2f..%2fv1%2fstatus", "/console/cases/<script>",
	} {
		if status, _, page := o.send(ask{path: path, cookie: cookie}); status != http.StatusNotFound || strings.Contains(page, "LKA-2026") {
			o.t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := o.drafted(cookie, id, map[string]string{"action": "approve"}); status != http.StatusNotFound {
		o.t.Errorf("the auditor drafts: %d", status)
	}
}

func suspended(o *door, b *browser) {
	cookie := b.cookie()
	if status, _, _ := o.send(ask{path: "/console/settings", cookie: cookie}); status != http.StatusOK {
		o.t.Fatalf("before: %d", status)
	}
	o.bonded("register", "suspend", "person", "intake-1", "--reason", "left", "--admin", filepath.Join(o.d.Layout.Admin(), "admin.key"), "--cell", "eu")
	if status, _, _ := o.send(ask{path: "/console/settings", cookie: cookie}); status != http.StatusSeeOther {
		o.t.Errorf("after: %d", status)
	}
	b.visit("/console/sign-in")
	b.do("sign in", chromedp.Click(chromedp.CSS("#sign-in button[type=submit]:enabled")), chromedp.WaitVisible(chromedp.CSS("#sign-in .problem")))
}

// guessing goes through codes until the door is shut.
func guessing(o *door) {
	last := 0
	for i := range 12 {
		last, _, _ = o.send(ask{path: "/console/enrol?code=guess" + strconv.Itoa(i)})
	}
	if last != http.StatusTooManyRequests {
		o.t.Errorf("the twelfth code: %d", last)
	}
	status, h, _ := o.send(ask{method: http.MethodPost, path: "/console/sign-in/finish", header: o.same("application/json"), body: strings.NewReader(`{"ceremony":"x","credential":{},"next":""}`)})
	if status != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
		o.t.Errorf("a sign-in after it: %d", status)
	}
}

// wrongPasskeys answers the console's challenge without the passkey: with one
// that is not enrolled, and with an enrolled one and a signature of nobody.
func wrongPasskeys(o *door, b *browser) {
	_, _, page := o.send(ask{path: "/console/settings", cookie: b.cookie()})
	m := regexp.MustCompile(`name="id" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if m == nil {
		o.t.Fatalf("the page has no passkey: %.200s", page)
	}
	known, err := hex.DecodeString(m[1])
	must(o.t, err)
	user := sha256.Sum256(canon.LP([]byte("bonded/console/user/1"), []byte(o.Cell), []byte("legal-1")))
	for what, id := range map[string][]byte{"not enrolled": bytes.Repeat([]byte{7}, 32), "enrolled": known} {
		status, _, text := o.send(ask{method: http.MethodPost, path: "/console/sign-in/begin", header: o.same("application/json"), body: strings.NewReader("{}")})
		var begun struct {
			Ceremony string
			Options  struct{ Challenge string }
		}
		must(o.t, json.Unmarshal([]byte(text), &begun))
		if status != http.StatusOK {
			o.t.Fatalf("begin: %d", status)
		}
		url64 := base64.RawURLEncoding.EncodeToString
		rp := sha256.Sum256([]byte("localhost"))
		said, err := json.Marshal(map[string]any{"type": "webauthn.get", "challenge": begun.Options.Challenge, "origin": o.origin(), "crossOrigin": false})
		must(o.t, err)
		in, err := json.Marshal(map[string]any{"ceremony": begun.Ceremony, "next": "", "credential": map[string]any{
			"id": url64(id), "rawId": url64(id), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": map[string]any{
				"clientDataJSON": url64(said), "authenticatorData": url64(append(rp[:], 0x05, 0, 0, 1, 0)), "signature": url64(bytes.Repeat([]byte{9}, 64)), "userHandle": url64(user[:]),
			},
		}})
		must(o.t, err)
		status, _, text = o.send(ask{method: http.MethodPost, path: "/console/sign-in/finish", header: o.same("application/json"), body: bytes.NewReader(in)})
		if status != http.StatusUnauthorized || !strings.Contains(text, "not known here") {
			o.t.Errorf("a passkey that is %s: %d %s", what, status, text)
		}
	}
}

// refusalsEntered looks for what the tests before have tried in the journal:
// numbers by rule and person, and nothing of what was tried.
func refusalsEntered(o *door, b *browser) {
	want := map[string]bool{
		"console.passkey ": false, "console.passkey_unknown ": false, "console.invite ": false, "console.rate ": false, "console.oidc ": false,
		"console.origin ": false, "console.form legal-1": false, "console.origin legal-1": false, "console.draft legal-1": false, "console.passkey legal-1": false,
		"console.standing intake-1": false, "console.withheld auditor-1": false,
	}
	var entered *verify.Row
	poll(o.t, "every refusal in the journal", func() error {
		for _, r := range journal(o.t, o.d) {
			if r.Outcome != verify.OutcomeAggregate || len(r.Rules) != 1 {
				continue
			}
			if r.Count == 0 || len(r.Items) > 0 || r.Reason != "" || (r.Code == bonded.CodeForbidden) != (r.Principal != "") {
				o.t.Errorf("a row of refusals is %+v", r)
			}
			want[r.Rules[0]+" "+r.Principal] = true
			if r.Rules[0] == "console.passkey_unknown" {
				entered = r
			}
		}
		for k, there := range want {
			if !there {
				return fmt.Errorf("no row %q", k)
			}
		}
		return nil
	})

	// It is proven as any other entry is.
	receipt := filepath.Join(o.t.TempDir(), "receipt.json")
	poll(o.t, "a receipt", func() error {
		r, err := o.d.Client(bondedtest.Auditor, "eu", "audit").Receipt(o.ctx(), client.ReceiptRequest{Entry: entered.RowRef.String()})
		if err == nil {
			err = os.WriteFile(receipt, r.Encode(), 0o600)
		}
		return err
	})
	if code, out := program(o.t, "bonded-verify", "receipt", "--directory", o.d.Layout.Directory(), receipt); code != 0 {
		o.t.Errorf("the receipt: %d\n%s", code, out)
	}

	// The auditor reads it in words.
	o.bonded("key", "create", "auditor-1", "--role", "auditor", "--purpose", "audit", "--cell", "eu")
	b.visit("/console/journal?outcome=aggregate")
	if s := b.text("main"); !strings.Contains(s, "passkeys that are not enrolled") || !strings.Contains(s, "legal-1") {
		o.t.Errorf("the journal's page says %s", s)
	}
	b.shot("journal-refusals")
}
