package custodian

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/locale"
	"bonded/internal/terminal"
	"bonded/internal/ui"
	"bonded/verify"
	"bonded/web"
)

// A Page is the custodian's own page, for a browser on the same machine. The
// keys stay in this process.
//
// Whoever has the link that the program prints may use it. The secret stands in
// the path and in no cookie: a cookie of 127.0.0.1 goes to every port of the
// machine, a path to none but this. So nothing that a browser adds by itself
// opens the page, and each form is good for one scope of one case besides. What
// remains: the link stands in the history of that browser, and on its screen,
// until the program ends; and whoever reads this process's memory, or the
// browser's, can act as the custodian.
type Page struct {
	folder *Folder
	door   Door
	host   string
	secret string // in the path
	forms  []byte // key of what binds a form to a scope
	words  *locale.Catalogue
	mux    *http.ServeMux
}

// NewPage returns the page for a host:port on loopback.
func NewPage(f *Folder, door Door, host string) (*Page, error) {
	words, err := locale.Shipped()
	if err != nil {
		return nil, err
	}
	p := &Page{folder: f, door: door, host: host, secret: token(), forms: []byte(token()), words: words, mux: http.NewServeMux()}
	p.mux.HandleFunc("GET /{$}", p.list)
	p.mux.HandleFunc("GET /status", p.status)
	p.mux.HandleFunc("GET /case/{id}", p.show)
	p.mux.HandleFunc("POST /case/{id}", p.act)
	for _, name := range []string{"bonded.css", "mark.svg"} {
		p.mux.Handle("GET /static/"+web.Files[name].Name, web.Files[name])
	}
	return p, nil
}

func token() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// Link returns the address to open, which holds a secret of this start.
func (p *Page) Link() string { return "http://" + p.host + p.root() }

func (p *Page) root() string { return "/" + p.secret + "/" }

const maxForm = 16 << 10 // bytes

// ServeHTTP implements [http.Handler].
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	// 1. A page elsewhere that resolves its own name to 127.0.0.1 has another
	// Host; one of another port is another site, or another origin of this.
	if r.Host != p.host {
		http.Error(w, "unknown host", http.StatusMisdirectedRequest)
		return
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
		http.Error(w, "this page is opened by its link alone", http.StatusForbidden)
		return
	}
	// 2. Nobody without the secret.
	secret, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !ok || !same(secret, p.secret) {
		http.Error(w, "open the link that bonded-custodian printed when it started", http.StatusForbidden)
		return
	}
	// 3. Nothing is changed but by a form of this page. Every browser that still
	// gets updates says so.
	if r.Method != http.MethodGet && r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		http.Error(w, "this form is not of this page", http.StatusForbidden)
		return
	}
	http.StripPrefix("/"+p.secret, p.mux).ServeHTTP(w, r)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// bind is what a form of a case holds besides: good for this scope of this case
// and for nothing else, until the program ends.
func (p *Page) bind(id, scope string) string {
	m := hmac.New(sha256.New, p.forms)
	_, _ = m.Write([]byte(id + "\x00" + scope)) // never fails; neither holds a zero
	return hex.EncodeToString(m.Sum(nil))
}

// A view is one page on its way.
type view struct {
	*locale.Printer

	page *Page
	lang string // as it was asked for; empty: the browser's

	conf   Config
	role   string
	epoch  uint64
	cases  []apitype.CaseView
	id     string // of the case
	check  *Checked
	passed []Step
	signed bool // this custodian's own book says that it approved

	problem *bonded.Error
	done    string // approved or refused
	own     *holding
}

// A holding is what this folder holds, and what it has done.
type holding struct {
	Share     bool
	KeySet    string
	Dealt     bool
	Ceremony  string // that is being held; empty: none
	Directory uint64
	Roles     []seats
	Book      []Decision // newest first
}

type seats struct {
	Name               string
	Threshold, Members int
}

func (p *Page) view(r *http.Request) *view {
	f := p.folder
	v := &view{page: p, lang: r.URL.Query().Get("lang"), conf: f.conf}
	v.Printer = p.words.Printer(v.lang, r.Header.Get("Accept-Language"))
	if set := f.KeySet(); set != nil {
		v.epoch = set.Epoch()
		v.role, _, _ = set.Find(publicOf(f.Key().Seed()))
	}
	return v
}

// href is the address of another page in the language that was asked for.
func (v *view) href(path string) string {
	a := v.page.root() + path
	if v.lang != "" {
		a += "?lang=" + url.QueryEscape(v.lang)
	}
	return a
}

// frame is what stands around the page.
func (v *view) frame(title, path string) *ui.Page {
	out := &ui.Page{
		Printer: v.Printer, Title: title, Site: v.T("custodian.site"), Where: v.T("custodian.where", "id", clean(v.conf.ID), "cell", v.conf.Cell), Home: v.href(""),
		Asset: func(name string) string { return v.page.root() + "static/" + web.Files[name].Name },
		Menu: []ui.Item{
			{Key: "custodian.menu.cases", Href: v.href(""), Count: len(v.cases), Current: path != "status"},
			{Key: "custodian.menu.status", Href: v.href("status"), Current: path == "status"},
		},
	}
	for _, tag := range v.Languages() {
		out.Tongues = append(out.Tongues, ui.Tongue{Tag: tag, Name: v.Name(tag), Href: v.page.root() + path + "?lang=" + url.QueryEscape(tag), Current: tag == v.Lang})
	}
	return out
}

// clean is other people's text on one line, without what would let it look
// like another.
func clean(s string) string { return terminal.Clean(strings.Join(strings.Fields(s), " ")) }

func (v *view) render(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = v.content().Render(r.Context(), w) // the reader is gone if this fails
}

func (v *view) fail(err error) {
	v.problem = bonded.Wrap(bonded.CodeOf(err), err, "this did not work")
	if x := asError(err); x != nil {
		v.problem = x
	}
}

// Pending returns the cases that wait for this custodian.
func (f *Folder) Pending(ctx context.Context, door Door) ([]apitype.CaseView, error) {
	var all []apitype.CaseView
	for after := ""; ; {
		l, err := door.ListCases(ctx, "pending", after)
		if err != nil {
			return nil, err
		}
		all = append(all, l.Cases...)
		if l.Next == "" {
			return all, nil
		}
		after = l.Next
	}
}

func (p *Page) list(w http.ResponseWriter, r *http.Request) {
	v := p.view(r)
	var err error
	if v.cases, err = p.folder.Pending(r.Context(), p.door); err != nil {
		v.fail(err)
	}
	v.render(w, r, http.StatusOK)
}

// bookShown is how many lines of the custodian's own book are shown.
const bookShown = 100

func (p *Page) status(w http.ResponseWriter, r *http.Request) {
	v, f := p.view(r), p.folder
	v.own = &holding{Directory: f.Directory().Version}
	var err error
	if v.own.Share, err = f.Refresh(r.Context(), p.door); err != nil {
		v.fail(err)
	}
	f.mu.Lock()
	v.own.Ceremony = f.sec.Ceremony
	f.mu.Unlock()
	if set := f.KeySet(); set != nil {
		d := set.Digest()
		v.own.KeySet, v.own.Dealt = hex.EncodeToString(d[:]), set.Dealt()
		for _, role := range set.Roles() {
			v.own.Roles = append(v.own.Roles, seats{role.Name, role.Threshold, len(role.Members)})
		}
	}
	err = f.Decisions(func(d Decision) error {
		if v.own.Book = append(v.own.Book, d); len(v.own.Book) > bookShown {
			v.own.Book = v.own.Book[1:]
		}
		return nil
	})
	if err != nil {
		v.fail(err)
	}
	slices.Reverse(v.own.Book)
	v.render(w, r, http.StatusOK)
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	v := p.view(r)
	p.load(r, v)
	v.render(w, r, http.StatusOK)
}

func (p *Page) load(r *http.Request, v *view) {
	v.id = r.PathValue("id")
	id, err := bonded.ParseCaseID(v.id)
	if err == nil {
		v.check, err = p.folder.CheckStepwise(r.Context(), p.door, id, func(s Step) { v.passed = append(v.passed, s) })
	}
	if err == nil {
		v.signed, err = p.folder.approved(v.check)
	}
	if err != nil {
		v.check = nil
		v.fail(err)
	}
}

func (p *Page) act(w http.ResponseWriter, r *http.Request) {
	v := p.view(r)
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	scope := r.PostFormValue("scope")
	if !same(r.PostFormValue("form"), p.bind(r.PathValue("id"), scope)) {
		http.Error(w, "this form is not of this page", http.StatusForbidden)
		return
	}
	p.load(r, v)
	if v.problem != nil {
		v.render(w, r, http.StatusConflict)
		return
	}
	// What is signed is what was shown: another scope is another decision.
	if scope != hex.EncodeToString(v.check.Digest[:]) {
		v.problem = &bonded.Error{Code: bonded.CodeConflict, Message: "the scope has changed since this page was shown", Hint: "read it again before you decide"}
		v.render(w, r, http.StatusConflict)
		return
	}
	var err error
	switch r.PostFormValue("decision") {
	case "approve":
		_, err = p.folder.Approve(r.Context(), p.door, v.check)
		v.done, v.signed = "approved", err == nil
	case "refuse":
		_, err = p.folder.Refuse(r.Context(), p.door, v.check, strings.TrimSpace(r.PostFormValue("reason")))
		v.done = "refused"
	default:
		err = bonded.Errorf(bonded.CodeInvalid, "neither approved nor refused")
	}
	if err != nil {
		v.done = ""
		v.fail(err)
	}
	v.render(w, r, http.StatusOK)
}

// failed is the step that does not hold: the first that was not passed.
func (v *view) failed(s Step) bool {
	return v.problem != nil && len(v.passed) < len(Steps) && Steps[len(v.passed)] == s && v.problem.Code == bonded.CodeForbidden
}

// target names whom a task is about.
func target(t verify.CaseTarget) string { return clean(t.Format) + " “" + clean(t.Value) + "”" }

func asError(err error) *bonded.Error {
	e, _ := errors.AsType[*bonded.Error](err)
	return e
}
