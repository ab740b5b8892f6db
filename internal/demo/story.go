//go:build unix

package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/deploy"
	"bonded/internal/foundation"
	"bonded/internal/intake"
)

//go:embed map.yaml
var mapYAML []byte

// Options of a demo.
type Options struct {
	Input string // CSV of people; empty: a synthetic sample
	Dir   string // folder of the deployment; empty: a temporary one
	Bin   string // folder of the programs
	Out   io.Writer
}

// A story carries what its chapters need of one another.
type story struct {
	Options
	dir    string
	d      *deploy.Deployment
	app    map[bonded.CellID]*client.Client
	people *people
	sum    *intake.Summary
	refuse int // reads refused so far

	founder  *foundation.Founder // of the default cell
	released string              // path of the release package
	notices  []string            // files of notices seen so far
	shred    apitype.Found
}

// Run tells the main job. It returns the running deployment, also beside an
// error, so that the caller can stop it or leave it there.
func Run(ctx context.Context, o Options) (*deploy.Deployment, error) {
	s := &story{Options: o, app: map[bonded.CellID]*client.Client{}}
	if o.Input != "" { // before anything is made
		if _, err := readPeople(o.Input); err != nil {
			return nil, err
		}
	}
	for _, chapter := range []struct {
		title string
		tell  func(context.Context) error
	}{
		{"A deployment: two cells, two keyholders, three witnesses", s.deploy},
		{"Custodians hold a ceremony: a key that nobody has", s.found},
		{"People of eight countries come in", s.bring},
		{"Each sits in the cell of its law, and nothing is readable at rest", s.atRest},
		{"An application reads and searches", s.readAndFind},
		{"An application in the wrong place is refused", s.wrongPlace},
		{"One person is erased, and old copies do not bring them back", s.erase},
		{"An authority asks at the front door", s.openCase},
		{"Anyone can check", s.check},
		{"The public can count", s.report},
	} {
		s.printf("\n== %s\n", chapter.title)
		began := time.Now()
		if err := chapter.tell(ctx); err != nil {
			return s.d, fmt.Errorf("%s: %w", chapter.title, err)
		}
		s.printf("   (%s)\n", time.Since(began).Round(10*time.Millisecond))
	}
	s.printf("\nDone.\n")
	return s.d, nil
}

func (s *story) printf(format string, args ...any) { fmt.Fprintf(s.Out, format, args...) }

// line prints a fact, indented and aligned.
func (s *story) line(what string, value any) { s.printf("   %-46s %v\n", what, value) }

func (s *story) deploy(ctx context.Context) error {
	var err error
	if s.dir = s.Dir; s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "bonded-demo-"); err != nil {
			return err
		}
	}
	p, err := deploy.DevPlan(0)
	if err != nil {
		return err
	}
	p.Bin, p.UndoWindow, p.FrontDoor = s.Bin, "0s", true
	l := deploy.Layout{Dir: s.dir}
	if err := deploy.Create(ctx, l, p, time.Now()); err != nil {
		return err
	}
	// A principal that sits in eu and was granted purposes in cn all the same:
	// place decides, not only permission.
	if _, err := s.grantAbroad(l); err != nil {
		return err
	}
	if s.d, err = deploy.Start(ctx, l, s.Bin); err != nil {
		return err
	}
	for _, pr := range s.d.Processes {
		s.line(pr.Name, s.d.Address(pr.Name))
	}
	return s.connect()
}

func (s *story) connect() error {
	for i := range s.d.Directory.Cells {
		id := s.d.Directory.Cells[i].ID
		c, err := s.client(deploy.PrincipalApp, id, "service")
		if err != nil {
			return err
		}
		s.app[id] = c
	}
	return nil
}

// client returns a client of a cell that proves its calls.
func (s *story) client(principal string, cell bonded.CellID, purpose bonded.Purpose) (*client.Client, error) {
	cred, err := deploy.LoadCredential(s.d.Layout.Credential(principal))
	if err != nil {
		return nil, err
	}
	cc := cred.Cells[cell]
	if cc == nil {
		return nil, fmt.Errorf("%s has no keys for cell %s", principal, cell)
	}
	return client.New(client.Config{
		Directory: s.d.Directory, Cell: cell, Why: client.Why{Purpose: purpose, Reason: "demo"},
		Credential: client.Credential{Bearer: cc.Bearer, Grant: cred.Principal, GrantKey: cc.Key()},
	})
}

func (s *story) bring(ctx context.Context) error {
	// 1. The file.
	path := s.Input
	if path == "" {
		path = filepath.Join(s.dir, "sample.csv")
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := errors.Join(writeSample(f), f.Close()); err != nil {
			return err
		}
		s.line("no INPUT= given: a synthetic sample", path)
	}
	var err error
	if s.people, err = readPeople(path); err != nil {
		return err
	}
	// 2. The import.
	m, err := intake.ParseMapping("map.yaml", mapYAML)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	work := filepath.Join(s.dir, "import")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	rejects, err := os.Create(filepath.Join(work, "rejects.csv"))
	if err != nil {
		return err
	}
	began := time.Now()
	s.sum, err = intake.Run(ctx, f, cells{s}, intake.Options{Mapping: m, State: filepath.Join(work, "state"), Rejects: rejects})
	if err = errors.Join(err, rejects.Close()); err != nil {
		return err
	}
	// 3. What came of it.
	took, total := time.Since(began), 0
	for _, n := range s.sum.People {
		total += n
	}
	s.line("rows of the file", s.sum.Rows)
	for _, id := range slices.Sorted(maps.Keys(s.sum.People)) {
		s.line("people in "+string(id), s.sum.People[id])
	}
	s.line("rows that repeat an id: a second record of the same person", s.sum.Repeated)
	for _, code := range slices.Sorted(maps.Keys(s.sum.Rejected)) {
		s.line("refused: "+string(code), s.sum.Rejected[code])
	}
	for _, rule := range slices.Sorted(maps.Keys(s.sum.Rules)) {
		s.line("  by rule "+rule+", which allows no other home", s.sum.Rules[rule])
	}
	s.line("people a second", int(float64(total)/took.Seconds()))
	return nil
}

// cells is the deployment as an import sees it.
type cells struct{ s *story }

// Route implements intake.Target.
func (c cells) Route(f apitype.Facts) (*apitype.RouteAnswer, error) {
	return c.s.app[c.s.d.Directory.Default].Route(f)
}

// BatchPut implements intake.Target.
func (c cells) BatchPut(ctx context.Context, cell bonded.CellID, key string, req *apitype.BatchPutRequest) (*apitype.BatchPutResult, error) {
	return c.s.app[cell].BatchPut(client.WithIdempotencyKey(ctx, key), *req)
}

func (s *story) atRest(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(s.app)) {
		n, err := s.app[id].Count(ctx, client.CountRequest{Collection: "users"})
		if err != nil {
			return err
		}
		s.line("cell "+string(id)+" itself counts", fmt.Sprintf("%d people, %d records", n.Subjects, n.Records))
	}
	return s.scanAtRest(s.people.values)
}

// scanAtRest looks for values in the files of every party.
func (s *story) scanAtRest(values map[string]bool) error {
	sc := newScanner(values)
	var dirs []string
	for i := range s.d.Directory.Cells {
		id := s.d.Directory.Cells[i].ID
		dirs = append(dirs, s.d.Layout.Vault(id), s.d.Layout.Keyholder(id))
	}
	for n := range deploy.Witnesses {
		dirs = append(dirs, s.d.Layout.Witness(n+1))
	}
	dirs = append(dirs, filepath.Join(s.dir, "logs"), filepath.Join(s.dir, "import"))
	r, err := sc.scan(func(string) bool { return false }, dirs...)
	if err != nil {
		return err
	}
	s.line("searched", fmt.Sprintf("%d files, %.1f MB, for %d known values", r.Files, float64(r.Bytes)/1e6, sc.Needles))
	s.line("as they are, in base64, hexadecimal and UTF-16", fmt.Sprintf("%d plaintext hits at rest", len(r.Hits)))
	for _, h := range r.Hits[:min(len(r.Hits), 5)] {
		s.line("  hit", h)
	}
	if len(r.Hits) > 0 {
		return bonded.Errorf(bonded.CodeAltered, "plaintext at rest: %d places", len(r.Hits))
	}
	return nil
}

func (s *story) readAndFind(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(s.app)) {
		who := s.people.of(id)
		res, err := s.app[id].Find(ctx, client.FindRequest{Collection: "users", Where: map[string]string{"person_id": who.id}})
		if err != nil {
			return err
		}
		if len(res.Records) == 0 {
			return bonded.Errorf(bonded.CodeAltered, "a person imported into %s is not found", id)
		}
		f := res.Records[0]
		got, err := s.app[id].Get(ctx, client.GetRequest{
			Collection: "users", GetItem: client.GetItem{Subject: &f.Subject, Record: &f.Record, Fields: []string{"name", "area"}},
		})
		if err != nil {
			return err
		}
		masked, err := s.app[id].Mask(ctx, client.GetRequest{
			Collection: "users", GetItem: client.GetItem{Subject: &f.Subject, Record: &f.Record, Fields: []string{"name"}},
		})
		if err != nil {
			return err
		}
		if textOf(got.Values["name"]) != who.name {
			return bonded.Errorf(bonded.CodeAltered, "a name came back otherwise than it went in")
		}
		s.line(string(id)+": found by id, opened name", fmt.Sprintf("%s (masked: %s)", textOf(got.Values["name"]), textOf(masked.Values["name"])))
		s.line("  entered as row", got.Entry)
		if s.shred.Subject.IsZero() && id == s.d.Directory.Default {
			s.shred = f
		}
	}
	return nil
}
