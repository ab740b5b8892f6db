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

// A browser says of each call where it comes from, as browsers do, and follows
// nothing.
type browser struct {
	t    *testing.T
	page http.Handler
	host string
}

// ask makes one call to the page; change alters it before it is sent.
func (b *browser) ask(method, target string, form url.Values, change ...func(*http.Request)) (int, http.Header, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r.Host = b.host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
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
		b.t.Errorf("the page sets a cookie, which every port of this machine would get: %v", c)
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
	page, err := program.NewPage(f, door, "127.0.0.1:4711")
	c.must(err)
	b := &browser{t: t, page: page, host: "127.0.0.1:4711"}
	root := strings.TrimPrefix(page.Link(), "http://127.0.0.1:4711")
	path := root + "case/" + id.String()

	// 1. Nobody without the link, nobody by another name of this machine, and
	// nobody from another page, whatever its port.
	for _, at := range []string{"/", "/?key=00", "/case/" + id.String(), "/" + strings.Repeat("0", 32) + "/", strings.TrimSuffix(root, "/")} {
		if code, _, _ := b.ask("GET", at, nil); code != http.StatusForbidden {
			t.Errorf("without the link, %s: %d", at, code)
		}
	}
	if code, _, _ := b.ask("GET", root, nil, func(r *http.Request) { r.Host = "rebound.example:4711" }); code != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %d", code)
	}
	if code, _, _ := b.ask("GET", root, nil, func(r *http.Request) { r.Host = "127.0.0.1:4712" }); code != http.StatusMisdirectedRequest {
		t.Errorf("at another port: %d", code)
	}
	for _, site := range []string{"cross-site", "same-site"} {
		if code, _, _ := b.ask("GET", root, nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) }); code != http.StatusForbidden {
			t.Errorf("from a page that is %s: %d", site, code)
		}
	}
	if code, _, _ := b.ask("GET", root, nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }); code != http.StatusOK {
		t.Errorf("with the link: %d", code)
	}

	// 2. What it shows: everything of the case, nothing that runs.
	code, h, body := b.ask("GET", root, nil)
	if code != http.StatusOK || !strings.Contains(body, path) {
		t.Errorf("%d\n%s", code, body)
	}
	policy := h.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	if h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("the headers are %v", h)
	}
	style := regexp.MustCompile(`href="([^"]*\.css)"`).FindStringSubmatch(body)
	if style == nil {
		t.Fatalf("no stylesheet\n%s", body)
	}
	if code, h, css := b.ask("GET", style[1], nil); code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), "text/css") || !strings.Contains(css, "prefers-color-scheme") {
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
		"without the token":              {with("form", ""), "same-origin", http.StatusForbidden},
		"with the link's secret for it":  {with("form", strings.Trim(root, "/")), "same-origin", http.StatusForbidden},
		"from another site":              {form, "cross-site", http.StatusForbidden},
		"from another port":              {form, "same-site", http.StatusForbidden},
		"of a browser that does not say": {form, "", http.StatusForbidden},
		"for another scope":              {with("scope", strings.Repeat("0", 64)), "same-origin", http.StatusForbidden},
		"that is too long":               {with("reason", strings.Repeat("x", 64<<10)), "same-origin", http.StatusForbidden},
	} {
		code, _, _ := b.ask("POST", path, x.form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", x.site) })
		if code != x.want {
			t.Errorf("a form %s: %d, not %d", name, code, x.want)
		}
	}
	if code, _, _ := b.ask("POST", root+"case/"+bonded.CaseID{Cell: "eu", ID: bonded.ID{1}}.String(), form); code != http.StatusForbidden {
		t.Errorf("a form for another case: %d", code)
	}
	tell(c, "/dossier", func(d *apitype.CaseDossier) { d.Officer = nil })
	if code, _, body := b.ask("POST", path, form); code != http.StatusConflict || !strings.Contains(body, "do not approve") || strings.Contains(body, "Approve exactly this") || !strings.Contains(body, "does not hold") {
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
	second, err := program.NewPage(f, c.client(f), b.host)
	c.must(err)
	if code, _, _ := (&browser{t: t, page: second, host: b.host}).ask("GET", path, nil); code != http.StatusForbidden {
		t.Errorf("the link of another start: %d", code)
	}
	b.page, path = second, strings.TrimPrefix(second.Link(), "http://"+b.host)+"case/"+id.String()
	_, _, body = b.ask("GET", path+"?lang=zh-Hans", nil)
	if !strings.Contains(body, "将打开的内容") || !strings.Contains(body, `lang="zh-Hans"`) {
		t.Errorf("in Chinese\n%s", body)
	}
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
	_, _, body = b.ask("GET", strings.TrimPrefix(second.Link(), "http://"+b.host)+"status", nil)
	for _, want := range []string{"The article is another.", "Your own book", "epoch 1"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not on\n%s", want, body)
		}
	}
	if code, _, _ := b.ask("GET", strings.TrimPrefix(second.Link(), "http://"+b.host)+"case/"+bonded.NewID().Hex(), nil); code != http.StatusOK {
		t.Errorf("a case that is none: %d", code)
	}
}
