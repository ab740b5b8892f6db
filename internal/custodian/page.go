package custodian

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io"
	"net/http"
	"time"

	"bonded"
	"bonded/internal/apitype"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"when": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
	"hex":  func(b [32]byte) string { return hex.EncodeToString(b[:]) },
}).Parse(pageHTML))

// A Page is the custodian's own page, for a browser on the same machine. It
// answers only under the name it was started with and to whoever has the link
// that the program prints; the keys stay in this process.
type Page struct {
	folder *Folder
	door   Door
	host   string
	name   string // of the cookie
	secret string // in the link and the cookie
	form   string // in the forms
	mux    *http.ServeMux
}

// NewPage returns the page for a host:port on loopback.
func NewPage(f *Folder, door Door, host string) *Page {
	p := &Page{folder: f, door: door, host: host, name: token()[:8], secret: token(), form: token(), mux: http.NewServeMux()}
	p.mux.HandleFunc("GET /{$}", p.list)
	p.mux.HandleFunc("GET /style.css", style)
	p.mux.HandleFunc("GET /case/{id}", p.show)
	p.mux.HandleFunc("POST /case/{id}", p.act)
	return p
}

func token() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// Link returns the address to open, which holds a secret of this start.
func (p *Page) Link() string { return "http://" + p.host + "/?key=" + p.secret }

// cookie names the cookie of this start: browsers share cookies between the
// ports of a machine, and two custodians may have a page each.
func (p *Page) cookie() string { return "bonded-custodian-" + p.name }

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = io.WriteString(w, pageCSS) // the reader is gone if this fails
}

const maxForm = 16 << 10 // bytes

// ServeHTTP implements [http.Handler].
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	// A page elsewhere that resolves its own name to 127.0.0.1 has another Host.
	if r.Host != p.host {
		http.Error(w, "unknown host", http.StatusMisdirectedRequest)
		return
	}
	if key := r.URL.Query().Get("key"); key != "" && same(key, p.secret) {
		http.SetCookie(w, &http.Cookie{Name: p.cookie(), Value: p.secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}) //nolint:gosec // this page is plain HTTP on the loopback address
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	c, err := r.Cookie(p.cookie())
	if err != nil || !same(c.Value, p.secret) {
		http.Error(w, "open the link that bonded-custodian printed when it started", http.StatusForbidden)
		return
	}
	p.mux.ServeHTTP(w, r)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// A view is what the page shows.
type view struct {
	ID, Organisation string
	Cell             bonded.CellID
	Role             string
	Epoch            uint64
	Cases            []apitype.CaseView
	Case             *Checked
	View             *apitype.CaseView
	Approved         bool
	Problem          string
	Hint             string
	Done             string
	Form             string
}

func (p *Page) view() view {
	f := p.folder
	v := view{ID: f.conf.ID, Organisation: f.conf.Organisation, Cell: f.conf.Cell, Form: p.form}
	if set := f.KeySet(); set != nil {
		v.Epoch = set.Epoch()
		v.Role, _, _ = set.Find(publicOf(f.Key().Seed()))
	}
	return v
}

func (p *Page) render(w http.ResponseWriter, status int, v *view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = pages.Execute(w, v) // the reader is gone if this fails
}

func (v *view) fail(err error) {
	e := bonded.Wrap(bonded.CodeOf(err), err, "this did not work")
	if x := asError(err); x != nil {
		e = x
	}
	v.Problem, v.Hint = e.Message, e.Hint
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
	v := p.view()
	var err error
	if v.Cases, err = p.folder.Pending(r.Context(), p.door); err != nil {
		v.fail(err)
	}
	p.render(w, http.StatusOK, &v)
}

func (p *Page) show(w http.ResponseWriter, r *http.Request) {
	v := p.view()
	p.load(r, &v)
	p.render(w, http.StatusOK, &v)
}

func (p *Page) load(r *http.Request, v *view) {
	id, err := bonded.ParseCaseID(r.PathValue("id"))
	if err == nil {
		v.Case, err = p.folder.Check(r.Context(), p.door, id)
	}
	if err == nil {
		v.Approved, err = p.folder.approved(v.Case)
	}
	if err != nil {
		v.fail(err)
	}
}

func (p *Page) act(w http.ResponseWriter, r *http.Request) {
	v := p.view()
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !same(r.PostFormValue("form"), p.form) || r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		http.Error(w, "this form is not of this page", http.StatusForbidden)
		return
	}
	p.load(r, &v)
	if v.Problem != "" {
		p.render(w, http.StatusConflict, &v)
		return
	}
	// What is signed is what was shown: another scope is another decision.
	if r.PostFormValue("scope") != hex.EncodeToString(v.Case.Digest[:]) {
		v.Problem, v.Hint = "the scope has changed since this page was shown", "read it again before you decide"
		p.render(w, http.StatusConflict, &v)
		return
	}
	var err error
	switch r.PostFormValue("decision") {
	case "approve":
		_, err = p.folder.Approve(r.Context(), p.door, v.Case)
		v.Done, v.Approved = "approved", err == nil
	case "refuse":
		_, err = p.folder.Refuse(r.Context(), p.door, v.Case, r.PostFormValue("reason"))
		v.Done = "refused"
	default:
		err = bonded.Errorf(bonded.CodeInvalid, "neither approved nor refused")
	}
	if err != nil {
		v.Done = ""
		v.fail(err)
	}
	p.render(w, http.StatusOK, &v)
}

func asError(err error) *bonded.Error {
	e, _ := errors.AsType[*bonded.Error](err)
	return e
}
