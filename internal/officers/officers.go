package officers

import (
	"encoding/json"
	"net/http"
	"strings"

	"bonded"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/locale"
	"bonded/internal/ui"
	"bonded/web"
)

// A Config says whose pages they are.
type Config struct {
	Cell    bonded.CellID
	Rules   *rules.Rules // of the front door
	Locale  *locale.Catalogue
	Program *Program // nil: the pages cannot compute, and say so
}

// prefix of the words that the script of the pages needs.
const prefix = "officer."

const (
	root   = "/officers/"
	static = root + "static/"
)

// policy lets the page run what it is made of and nothing else. Its program is
// WebAssembly, in a worker of the same origin.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// assets of package web that the pages load.
var assets = []string{"bonded.css", "mark.svg", "officer.js", "officer-worker.js"}

// Pages are the pages of one cell. They are an [http.Handler] for the paths
// under /officers/.
type Pages struct {
	cfg   Config
	mux   *http.ServeMux
	names map[string]string // addresses of files by their plain names
}

// New returns the pages of a cell.
func New(cfg Config) (*Pages, error) {
	p := &Pages{cfg: cfg, mux: http.NewServeMux(), names: map[string]string{}}
	for _, name := range assets {
		p.serve(name, web.Files[name])
	}
	law, err := json.Marshal(lawOf(cfg.Rules))
	if err != nil {
		return nil, err
	}
	p.serve("rules.json", web.NewFile("rules.json", law))
	for _, tag := range cfg.Locale.Languages() {
		b, err := json.Marshal(wordsOf(cfg.Locale.Printer(tag)))
		if err != nil {
			return nil, err
		}
		p.serve("words-"+tag+".json", web.NewFile("words-"+tag+".json", b))
	}
	if w := cfg.Program; w != nil {
		p.serve("officer.wasm.gz", w.wasm)
		p.serve("officer-exec.js", w.exec)
	}
	p.mux.HandleFunc("GET "+root+"{$}", p.page)
	return p, nil
}

func (p *Pages) serve(name string, f *web.File) {
	p.names[name] = static + f.Name
	p.mux.Handle("GET "+static+f.Name, f)
}

// ServeHTTP implements [http.Handler].
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
	p.mux.ServeHTTP(w, r)
}

// page answers with the one page that there is: going to another would forget
// the key.
func (p *Pages) page(w http.ResponseWriter, r *http.Request) {
	words := p.cfg.Locale.Printer(r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	v := &ui.Page{
		Printer: words, Title: words.T("officer.title"), Site: words.T("officer.site"), Where: words.T("officer.cell", "cell", p.cfg.Cell), Home: root,
		Asset: func(name string) string { return p.names[name] }, Scripts: []string{"officer.js"},
		Tongues: ui.TonguesOf(words, r.URL),
		Meta: []ui.MetaTag{
			{Name: "bonded-cell", Content: string(p.cfg.Cell)},
			{Name: "bonded-words", Content: p.names["words-"+words.Lang+".json"]},
			{Name: "bonded-rules", Content: p.names["rules.json"]},
			{Name: "bonded-worker", Content: p.names["officer-worker.js"]},
			{Name: "bonded-program", Content: p.names["officer.wasm.gz"]},
			{Name: "bonded-exec", Content: p.names["officer-exec.js"]},
		},
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Language")
	_ = app(v, string(p.cfg.Cell)).Render(r.Context(), w) // the reader is gone if this fails
}

// wordsOf returns the words that the script puts into the page, by key without
// the prefix.
func wordsOf(p *locale.Printer) map[string]string {
	out := map[string]string{}
	for _, k := range p.Keys() {
		if name, ours := strings.CutPrefix(k, prefix); ours {
			out[name] = p.T(k)
		}
	}
	return out
}
