//go:build unix

package frontdoor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/apitype"
	program "bonded/internal/custodian"
	"bonded/verify"
)

// A browser keeps cookies and follows nothing.
type browser struct {
	t      *testing.T
	page   http.Handler
	host   string
	cookie *http.Cookie
}

// ask makes one call to the page; change alters it before it is sent.
func (b *browser) ask(method, target string, form url.Values, change ...func(*http.Request)) (int, http.Header, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Host = b.host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	b.page.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if c := res.Cookies(); len(c) > 0 {
		b.cookie = c[0]
	}
	return res.StatusCode, res.Header, string(body)
}

var hidden = regexp.MustCompile(`name="(form|scope)" value="([0-9a-f]+)"`)

func TestCustodiansPageActsOnlyForWhoHasItsLinkAndReadIt(t *testing.T) {
	c := founded(t)
	const evil = `<script>alert("1")</script>`
	id := c.before(func(r *verify.CaseRequest) {
		r.Authorisation.Necessity = evil + " ada@example.org wrote it."
		r.Authorisation.Reference = `"><img src=x>`
	})
	f := c.folders["firm-1"]
	door := c.client(f)
	page := program.NewPage(f, door, "127.0.0.1:4711")
	b := &browser{t: t, page: page, host: "127.0.0.1:4711"}
	path := "/case/" + id.String()

	// 1. Nobody without the link, and nobody by another name of this machine.
	if code, _, _ := b.ask("GET", "/", nil); code != http.StatusForbidden {
		t.Errorf("without the link: %d", code)
	}
	if code, _, _ := b.ask("GET", "/?key=00", nil); code != http.StatusForbidden {
		t.Errorf("with another key: %d", code)
	}
	link := strings.TrimPrefix(page.Link(), "http://127.0.0.1:4711")
	if code, _, _ := b.ask("GET", link, nil, func(r *http.Request) { r.Host = "rebound.example:4711" }); code != http.StatusMisdirectedRequest || b.cookie != nil {
		t.Errorf("under another name: %d", code)
	}
	code, h, _ := b.ask("GET", link, nil)
	if code != http.StatusSeeOther || h.Get("Location") != "/" || b.cookie == nil || !b.cookie.HttpOnly || b.cookie.SameSite != http.SameSiteStrictMode {
		t.Fatalf("with the link: %d, %v, cookie %v", code, h, b.cookie)
	}
	good := *b.cookie
	b.cookie.Value = strings.Repeat("0", 32)
	if code, _, _ := b.ask("GET", "/", nil); code != http.StatusForbidden {
		t.Errorf("with another cookie: %d", code)
	}
	b.cookie = &good

	// 2. What it shows: everything of the case, nothing that runs.
	code, h, body := b.ask("GET", "/", nil)
	if code != http.StatusOK || !strings.Contains(body, path) {
		t.Errorf("%d\n%s", code, body)
	}
	policy := h.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	if code, h, css := b.ask("GET", "/style.css", nil); code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), "text/css") || !strings.Contains(css, "prefers-color-scheme") {
		t.Errorf("the stylesheet: %d", code)
	}
	_, _, body = b.ask("GET", path, nil)
	for _, s := range []string{"Bundeskriminalamt", "ada@example.org", "&lt;script&gt;", "Approve exactly this", "passport"} {
		if !strings.Contains(body, s) {
			t.Errorf("%q is not on\n%s", s, body)
		}
	}
	for _, s := range []string{"<script", "<img", "style="} {
		if strings.Contains(body, s) {
			t.Errorf("%q is on the page", s)
		}
	}

	// 3. What it does: only by a form of its own, for the scope that was shown.
	form := url.Values{"decision": {"approve"}}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		form.Set(m[1], m[2])
	}
	with := func(k, v string) url.Values {
		out := url.Values{}
		for key := range form {
			out.Set(key, form.Get(key))
		}
		out.Set(k, v)
		return out
	}
	for name, x := range map[string]struct {
		form url.Values
		site string
		want int
	}{
		"without the token":      {with("form", ""), "same-origin", http.StatusForbidden},
		"with the cookie for it": {with("form", good.Value), "same-origin", http.StatusForbidden},
		"from another site":      {form, "cross-site", http.StatusForbidden},
		"for another scope":      {with("scope", strings.Repeat("0", 64)), "same-origin", http.StatusConflict},
		"too long":               {with("reason", strings.Repeat("x", 64<<10)), "same-origin", http.StatusForbidden},
	} {
		code, _, _ := b.ask("POST", path, x.form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", x.site) })
		if code != x.want {
			t.Errorf("a form %s: %d, not %d", name, code, x.want)
		}
	}
	tell(c, "/dossier", func(d *apitype.CaseDossier) { d.Officer = nil })
	if code, _, body := b.ask("POST", path, form); code != http.StatusConflict || !strings.Contains(body, "do not approve") {
		t.Errorf("a case that does not hold: %d", code)
	}
	c.lies.Store(nil)
	if code, _, body := b.ask("POST", path, with("decision", "perhaps")); code != http.StatusOK || !strings.Contains(body, "neither approved nor refused") {
		t.Errorf("neither: %d\n%s", code, body)
	}
	c.must(f.Decisions(func(d program.Decision) error {
		if d.Case == id {
			t.Errorf("the book says %s", d.What)
		}
		return nil
	}))
	if code, _, body := b.ask("POST", path, form); code != http.StatusOK || !strings.Contains(body, "You have approved this scope") {
		t.Errorf("%d\n%s", code, body)
	}
	if _, _, body := b.ask("GET", path, nil); !strings.Contains(body, "Hand it in again") || strings.Contains(body, "Approve exactly this") {
		t.Errorf("after the approval\n%s", body)
	}
	if v := c.view(id, "legal-1"); len(v.Approvals) != 1 || v.Approvals[0].Custodian != "firm-1" {
		t.Errorf("approvals: %+v", v.Approvals)
	}
	// Another custodian refuses there, with a reason.
	f = c.folders["firm-2"]
	b.page = program.NewPage(f, c.client(f), b.host)
	b.ask("GET", strings.TrimPrefix(b.page.(*program.Page).Link(), "http://"+b.host), nil)
	_, _, body = b.ask("GET", path, nil)
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		form.Set(m[1], m[2])
	}
	form.Set("decision", "refuse")
	if _, _, body := b.ask("POST", path, form); !strings.Contains(body, "a refusal has a reason") {
		t.Errorf("refused without a reason\n%s", body)
	}
	form.Set("reason", "The article is another.")
	if _, _, body := b.ask("POST", path, form); !strings.Contains(body, "You have refused this scope") {
		t.Errorf("refused\n%s", body)
	}
	if code, _, _ := b.ask("GET", "/case/"+bonded.NewID().Hex(), nil); code != http.StatusOK {
		t.Errorf("a case that is none: %d", code)
	}
}
