package console

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/locale"
	"bonded/internal/ui"
	"bonded/web"
)

// A visit is one request for a page on its way through the console.
type visit struct {
	*locale.Printer

	c *Console
	w http.ResponseWriter
	r *http.Request

	who     *who     // nil: nobody is signed in
	session *session // beside who
	scripts []string // of this page, besides those of every page
	call    apitype.PersonCall
}

// A who is somebody signed in, as the register has them now.
type who struct {
	Person string
	Name   string
	Role   string // of the register: intake, legal, guardian, auditor, registrar
	Key    string // public signing key in the register, base64
}

// page serves a path to whoever is signed in; everybody else is sent to sign
// in. An error that answer returns becomes a page.
func (c *Console) page(pattern string, answer func(*visit) error) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		x := c.visit(w, r)
		if x.who == nil {
			x.signIn()
			return
		}
		if r.Method != http.MethodGet {
			if err := x.checkForm(); err != nil {
				x.countRefusal(err)
				x.fail(err)
				return
			}
		}
		if err := answer(x); err != nil {
			x.countRefusal(err)
			x.fail(err)
		}
	})
}

// open serves a path to anybody.
func (c *Console) open(pattern string, answer func(*visit) error) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		x := c.visit(w, r)
		if err := answer(x); err != nil {
			x.fail(err)
		}
	})
}

func (c *Console) visit(w http.ResponseWriter, r *http.Request) *visit {
	x := &visit{c: c, w: w, r: r}
	x.Printer = c.cfg.Locale.Printer(x.languages()...)
	x.call.RequestID = bonded.NewID()
	if x.who, x.session = c.signedIn(r); x.who != nil {
		x.call.Person = x.who.Person
	}
	return x
}

// langCookie keeps the language that somebody chose.
const langCookie = "bonded-lang"

// languages are those the reader wants, best first. A choice is kept.
func (x *visit) languages() []string {
	if q := x.r.URL.Query().Get("lang"); q != "" && len(q) < 36 {
		http.SetCookie(x.w, &http.Cookie{Name: langCookie, Value: q, Path: "/console/", MaxAge: 365 * 86400, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: x.c.secure()}) //nolint:gosec // secure with https
		return []string{q}
	}
	out := []string{}
	if k, err := x.r.Cookie(langCookie); err == nil {
		out = append(out, k.Value)
	}
	return append(out, x.r.Header.Get("Accept-Language"))
}

// secure reports whether browsers reach the console by HTTPS.
func (c *Console) secure() bool { return strings.HasPrefix(c.cfg.Origin, "https://") }

func asset(name string) string { return "/static/" + web.Files[name].Name }

// show answers with a page.
func (x *visit) show(title string, content templ.Component) error {
	return x.showStatus(http.StatusOK, title, content)
}

func (x *visit) showStatus(status int, title string, content templ.Component) error {
	p := &ui.Page{
		Printer: x.Printer, Title: title, Site: x.T("console.site"), Where: string(x.c.cfg.Cell), Home: "/console/", Asset: asset,
		Tongues: ui.TonguesOf(x.Printer, x.r.URL), Menu: x.menu(), End: userEnd(x), Scripts: append([]string{"console.js"}, x.scripts...), Narrow: x.who == nil,
	}
	if x.who != nil {
		p.Live = "/console/live"
	}
	x.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	x.w.WriteHeader(status)
	return ui.Frame(p).Render(templ.WithChildren(x.r.Context(), content), x.w)
}

// fail answers an error with a page that says what was wrong, where, and what
// to do, and never more than an outsider may know.
func (x *visit) fail(err error) {
	e := x.outward(err)
	if e.Code == bonded.CodeRateLimited {
		x.w.Header().Set("Retry-After", "60")
	}
	if err := x.showStatus(apitype.InfoOf(e.Code).Status, x.T("error.title"), problem(x, e)); err != nil {
		x.c.log.LogAttrs(x.r.Context(), slog.LevelWarn, "an answer was cut off", slog.String("request", x.call.RequestID.Hex()))
	}
}
