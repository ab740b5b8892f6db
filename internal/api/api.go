package api

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bonded"
	"bonded/internal/apitype"
)

// A Config says what a face needs. Service and Directory are required.
type Config struct {
	Service   Service
	Cases     Cases         // nil: the cell has no front door; its paths answer unsupported
	Console   Console       // nil: the cell has no console
	Cell      bonded.CellID // needed with Cases
	Directory []byte        // the file cells.json, served as it is
	Limits    Limits
	Logger    *slog.Logger         // nil: nothing is logged
	Registry  *prometheus.Registry // nil: a new one, see [API.Registry]
}

// Limits of one face. A zero field means the default.
type Limits struct {
	InFlight    int           // calls at a time, of all principals; default 1,024
	PerSecond   float64       // calls a second of one principal; default 50,000
	Burst       int           // calls of one principal at once; default one second's
	CallTimeout time.Duration // until a call is given up; default 30 s
	MaxBody     int64         // bytes of a request; default and most 1 MiB
}

func (l Limits) withDefaults() Limits {
	if l.InFlight <= 0 {
		l.InFlight = 1024
	}
	if l.PerSecond <= 0 {
		l.PerSecond = 50_000
	}
	if l.Burst <= 0 {
		l.Burst = max(1, int(l.PerSecond))
	}
	if l.MaxBody <= 0 || l.MaxBody > apitype.MaxCall {
		l.MaxBody = apitype.MaxCall
	}
	if l.CallTimeout <= 0 {
		l.CallTimeout = 30 * time.Second
	}
	return l
}

// An API is the HTTP face of a cell. It is an [http.Handler]: timeouts of
// reading and writing, limits of headers and TLS are its server's. For client
// certificates the server needs ClientAuth [crypto/tls.RequestClientCert] or
// stricter.
type API struct {
	service   Service
	cases     Cases
	console   Console
	cell      bonded.CellID
	people    rates
	directory atomic.Pointer[[]byte]
	limits    Limits
	log       *slog.Logger
	mux       *http.ServeMux
	rates     rates
	slots     chan struct{}
	documents chan struct{} // places for large bodies
	metrics   *metrics
}

// New returns the face of a service. A Config without Service or Directory is
// a [bonded.Error] with code bad_config.
func New(c Config) (*API, error) {
	if c.Service == nil || len(c.Directory) == 0 {
		return nil, bonded.Errorf(bonded.CodeConfig, "the face needs a service and a directory file")
	}
	a := &API{service: c.Service, cases: c.Cases, console: c.Console, cell: c.Cell, limits: c.Limits.withDefaults(), log: c.Logger, mux: http.NewServeMux()}
	a.SetDirectory(c.Directory)
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	a.slots = make(chan struct{}, a.limits.InFlight)
	a.documents = make(chan struct{}, maxDocuments)
	a.rates = newRates(a.limits)
	var err error
	if a.metrics, err = newMetrics(c.Registry, a.slots); err != nil {
		return nil, err
	}
	table := a.endpoints()
	for _, r := range apitype.Routes {
		e, ok := table[r.Name]
		if !ok {
			return nil, bonded.Errorf(bonded.CodeInternal, "no endpoint serves %s", r.Path)
		}
		e.route = r
		e.metrics = a.metrics.route(r.Name)
		a.mux.HandleFunc(r.Method+" "+r.Path, func(w http.ResponseWriter, q *http.Request) { a.serve(w, q, e) })
	}
	if err := a.openFrontDoor(); err != nil {
		return nil, err
	}
	a.mux.HandleFunc("GET /healthz", a.healthz)
	a.mux.HandleFunc("GET /readyz", a.readyz)
	a.mux.HandleFunc("/", a.nowhere)
	return a, nil
}

// openFrontDoor adds the endpoints of the front door.
func (a *API) openFrontDoor() error {
	if a.cases == nil {
		for _, r := range apitype.CaseRoutes {
			a.mux.HandleFunc(r.Method+" "+r.Path, a.noFrontDoor)
		}
		return nil
	}
	if !a.cell.Valid() {
		return bonded.Errorf(bonded.CodeConfig, "the face of a front door needs the id of its cell")
	}
	a.people = rates{personPerSecond, personBurst, new(sync.Map)}
	table := a.caseEndpoints()
	for _, r := range apitype.CaseRoutes {
		e, ok := table[r.Name]
		if !ok {
			return bonded.Errorf(bonded.CodeInternal, "no endpoint serves %s", r.Path)
		}
		e.route = r
		e.metrics = a.metrics.route(r.Name)
		a.mux.HandleFunc(r.Method+" "+r.Path, func(w http.ResponseWriter, q *http.Request) { a.serveCase(w, q, e) })
	}
	return nil
}

// noFrontDoor answers for a cell that takes no cases.
func (a *API) noFrontDoor(w http.ResponseWriter, r *http.Request) {
	x := &exchange{a: a, w: w, r: r, call: Call{RequestID: requestID(r)}}
	e := &bonded.Error{Code: bonded.CodeUnsupported, Message: "this cell has no front door", Hint: "its operator sets frontdoor in vault.yaml"}
	x.problem(e, apitype.InfoOf(e.Code).Status)
}

// SetDirectory sets the directory file that is served from now on.
func (a *API) SetDirectory(file []byte) { a.directory.Store(&file) }

// ServeHTTP implements [http.Handler].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// nowhere answers paths and methods that are not in the table. They are not
// entered: nobody asked for anything that exists.
func (a *API) nowhere(w http.ResponseWriter, r *http.Request) {
	x := &exchange{a: a, w: w, r: r, call: Call{RequestID: requestID(r)}}
	status, e := http.StatusNotFound, &bonded.Error{Code: bonded.CodeUnsupported, Message: "there is no such path", Hint: "GET /v1/openapi.json lists every path"}
	for _, route := range apitype.Routes {
		if route.Path == r.URL.Path {
			status, e.Message, e.Hint = http.StatusMethodNotAllowed, "this path does not take this method", "use "+route.Method
			w.Header().Set("Allow", route.Method)
		}
	}
	a.metrics.calls.WithLabelValues("none", string(e.Code)).Inc()
	x.problem(e, status)
}

// anyOrigin lets pages of any origin read an answer that is the same for
// everybody: the portal of a cell is served from elsewhere.
func anyOrigin(w http.ResponseWriter) { w.Header().Set("Access-Control-Allow-Origin", "*") }

// healthz says that the process lives.
func (a *API) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = textPlain
	_, _ = w.Write([]byte("ok\n")) // the asker is gone if this fails
}

// readyz says whether the cell would open something now.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	if err := a.service.Ready(r.Context()); err != nil {
		x := &exchange{a: a, w: w, r: r, call: Call{RequestID: requestID(r)}}
		e := outward(err)
		x.problem(e, http.StatusServiceUnavailable)
		return
	}
	w.Header()["Content-Type"] = textPlain
	_, _ = w.Write([]byte("ready\n")) // the asker is gone if this fails
}
