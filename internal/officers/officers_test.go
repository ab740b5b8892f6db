package officers_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"bonded"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/locale"
	"bonded/internal/officers"
	"bonded/web"
)

func pages(t *testing.T, program *officers.Program) *officers.Pages {
	t.Helper()
	r, err := rules.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	words, err := locale.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	p, err := officers.New(officers.Config{Cell: "eu", Rules: r, Locale: words, Program: program})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// An answer is a status and headers.
type answer struct {
	code   int
	header http.Header
}

func ask(t *testing.T, p http.Handler, method, path string, change ...func(*http.Request)) (answer, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return answer{w.Code, w.Header()}, w.Body.String()
}

func program(t *testing.T) *officers.Program {
	t.Helper()
	p, err := officers.ReadProgram(fstest.MapFS{officers.WasmFile: {Data: []byte("packed")}, officers.ExecFile: {Data: []byte("// runs it")}})
	if err != nil || p == nil {
		t.Fatal(err)
	}
	return p
}

func TestPagesLetNothingInButWhatTheyAreMadeOf(t *testing.T) {
	p := pages(t, program(t))
	res, body := ask(t, p, "GET", "/officers/")
	for _, name := range []string{"bonded-words", "bonded-rules", "bonded-worker", "bonded-program", "bonded-exec"} {
		m := regexp.MustCompile(`<meta name="` + name + `" content="(/officers/static/[^"]+)"`).FindStringSubmatch(body)
		if m == nil {
			t.Errorf("the page does not name %s", name)
			continue
		}
		file, content := ask(t, p, "GET", m[1])
		if file.code != http.StatusOK || content == "" || !strings.Contains(file.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %v", m[1], file.code, file.header)
		}
		for _, r := range []answer{res, file} { // a worker has the policy of its own file
			policy := r.header.Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self' 'wasm-unsafe-eval';") || strings.Contains(policy, "unsafe-inline") || strings.Contains(policy, "'unsafe-eval'") ||
				!strings.Contains(policy, "frame-ancestors 'none'") || r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("X-Frame-Options") != "DENY" {
				t.Errorf("the headers are %v", r.header)
			}
		}
	}
	if res.header.Get("Set-Cookie") != "" || res.header.Get("Cache-Control") != "no-store" || strings.Contains(body, "style=") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(body) {
		t.Error("the page sets a cookie, may be kept, or has a style or script in it")
	}
	if res, _ := ask(t, p, "POST", "/officers/"); res.code != http.StatusMethodNotAllowed {
		t.Errorf("a post: %d", res.code)
	}
	for _, path := range []string{"/officers/x", "/officers/static/", "/officers/static/../../secret"} {
		if res, _ := ask(t, p, "GET", path); res.code == http.StatusOK {
			t.Errorf("%s is there", path)
		}
	}
	if _, body := ask(t, p, "GET", "/officers/?lang=%22%3E%3Cscript%3E", func(r *http.Request) { r.Header.Set("Accept-Language", "zh-CN,zh;q=0.9") }); !strings.Contains(body, "打开您的密钥文件") || strings.Contains(body, `"><script>`) {
		t.Error("not in the language that the browser asks for")
	}
}

func TestPagesSayWhichCommandsDoTheSame(t *testing.T) {
	p, err := officers.ReadProgram(fstest.MapFS{})
	if p != nil || err != nil {
		t.Fatalf("no program: %v, %v", p, err)
	}
	_, body := ask(t, pages(t, nil), "GET", "/officers/")
	for _, s := range []string{"bonded request file", "bonded request open", "<noscript>", `<meta name="bonded-program" content=""`} {
		if !strings.Contains(body, s) {
			t.Errorf("%q is not on the page", s)
		}
	}
	if _, err := officers.ReadProgram(fstest.MapFS{officers.WasmFile: {Data: []byte("packed")}}); bonded.CodeOf(err) != bonded.CodeConfig {
		t.Errorf("half a program: %v", err)
	}
}

// The script takes its words by key, so that a test of keys in Go does not see
// them.
func TestScriptAndWordsBelongTogether(t *testing.T) {
	script := string(web.Files["officer.js"].Body)
	templ, err := os.ReadFile("app.templ")
	if err != nil {
		t.Fatal(err)
	}
	_, body := ask(t, pages(t, nil), "GET", "/officers/?lang=en")
	m := regexp.MustCompile(`<meta name="bonded-words" content="([^"]+)"`).FindStringSubmatch(body)
	_, file := ask(t, pages(t, nil), "GET", m[1])
	words := map[string]string{}
	if err := json.Unmarshal([]byte(file), &words); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\bt\('([a-z0-9_.]+)'|\? t\('([a-z0-9_.]+)'`).FindAllStringSubmatch(script, -1) {
		key := m[1] + m[2]
		used[key] = true
		if words[key] == "" {
			t.Errorf("there are no words for %q", key)
		}
	}
	var prefixes []string
	for _, m := range regexp.MustCompile("`([a-z_]+\\.)\\$\\{").FindAllStringSubmatch(script, -1) {
		prefixes = append(prefixes, m[1])
	}
	for _, m := range regexp.MustCompile(`officer\.([a-z0-9_.]+)`).FindAllSubmatch(bytes.ReplaceAll(templ, []byte(`"officer." + key`), nil), -1) {
		used[string(m[1])] = true
		prefixes = append(prefixes, string(m[1]))
	}
	for key := range words {
		if !used[key] && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) &&
			!strings.HasPrefix(key, "f.") && !regexp.MustCompile(`^(kind|route|secrecy|approval|relation|site|cell|title)(\.|$)`).MatchString(key) {
			t.Errorf("nothing uses the words of %q", key)
		}
	}
}

func TestEveryRuleHasWordsInEveryLanguage(t *testing.T) {
	r, err := rules.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	c, err := locale.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	p := c.Printer("en")
	need := func(prefix, id string) {
		if !p.Has("officer." + prefix + "." + id) {
			t.Errorf("there are no words for %s %s", prefix, id)
		}
	}
	for _, x := range r.Processes() {
		need("process", x.ID)
	}
	for _, x := range r.DataClasses() {
		need("class", string(x.ID))
	}
	for _, x := range r.Approvals() {
		need("need", x.ID)
		for _, role := range x.MetBy {
			need("role", role)
		}
	}
	for _, x := range r.RejectCodes() {
		need("reject", string(x.ID))
	}
	for _, x := range r.States() {
		need("state", string(x.ID))
		need("state_text", string(x.ID))
	}
	for _, x := range r.TaskStates() {
		need("task_state", string(x.ID))
	}
}
