package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bonded"
	"bonded/client"
	"bonded/internal/apitype"
	"bonded/internal/report"
	"bonded/verify"
)

// maxLedgerFile is the largest file of a ledger that is read, in bytes.
const maxLedgerFile = 32 << 20

// reportSources say what a report is counted from.
type reportSources struct {
	Ledger   string `placeholder:"DIR|URL" help:"Ledger of the cell; that of the directory if not given."`
	Openings string `placeholder:"FILE" help:"Openings, one a line or pages of the feed; the cell's feed if not given."`
	Custody  string `placeholder:"FILE" help:"Certificates of the custodians, as GET /v1/custody gives them; those of the cell if not given."`
	Closed   string `placeholder:"FILE" help:"Openings of entries that are not public yet, from bonded report closed. Without it closed cases are not counted, and totals are from below."`
	Journal  string `placeholder:"FILE" help:"Journal of the vault, from bonded journal export, to count openings by vault operation."`
	Book     string `placeholder:"FILE" help:"Book of the keyholder, from bonded-keyholder log export. Export it first."`
}

// gathered is what a report is counted from.
type gathered struct {
	cell        *verify.DirectoryCell
	ledger      *verify.ReportLedger
	public      []*verify.OpenedCase
	closed      []*verify.OpenedCase
	openings    []*verify.CaseOpening // the public ones, by index
	custodial   map[int64]bool        // indices of entries of custody
	custody     []*verify.CertifiedKeySet
	custodyFile []byte
	operations  *verify.ReportTally
}

// gather reads and checks the sources, the ledger up to a size, -1 for all.
func (c *reportSources) gather(ctx context.Context, d *verify.Directory, id bonded.CellID, size int64, period verify.ReportPeriod) (*gathered, error) {
	cell, ok := d.Cell(id)
	if !ok {
		return nil, bonded.Errorf(bonded.CodeWrongCell, "the directory has no cell %s", id)
	}
	g := &gathered{cell: cell, custodial: map[int64]bool{}}

	// 1. The openings, before the ledger: then it holds all of them.
	var feed io.Reader
	if c.Openings == "" {
		b, err := fetchOpenings(ctx, d, id)
		if err != nil {
			return nil, err
		}
		feed = b
	} else {
		f, err := os.Open(filepath.Clean(c.Openings))
		if err != nil {
			return nil, unreadable(c.Openings, "the file of openings", err)
		}
		defer f.Close() //nolint:errcheck // read only
		feed = f
	}
	var kept bytes.Buffer
	feed = io.TeeReader(feed, &kept)
	if err := verify.ReadOpenings(feed, func(o *verify.CaseOpening) error { g.openings = append(g.openings, o); return nil }); err != nil {
		return nil, failed(err)
	}
	slices.SortStableFunc(g.openings, func(a, b *verify.CaseOpening) int { return cmp.Compare(a.Index, b.Index) })

	// 2. The ledger, and every opening's place in it.
	fetch, done, err := ledgerFiles(ctx, cmp.Or(c.Ledger, cell.Ledger), cell)
	if err != nil {
		return nil, err
	}
	defer done()
	if g.ledger, err = verify.ReadReportLedger(fetch, cell, size, verify.LogOptions{}); err != nil {
		return nil, failed(err)
	}
	if g.public, err = g.ledger.PlaceAll(&kept); err != nil {
		return nil, failed(err)
	}
	for _, o := range g.public {
		g.custodial[o.Index] = o.Entry.Type == verify.EntryCustody
	}
	if c.Closed != "" {
		f, err := os.Open(filepath.Clean(c.Closed))
		if err != nil {
			return nil, unreadable(c.Closed, "the file of closed entries", err)
		}
		defer f.Close() //nolint:errcheck // read only
		if g.closed, err = g.ledger.PlaceAll(f); err != nil {
			return nil, failed(err)
		}
	}

	// 3. The custodians.
	if g.custodyFile, err = c.custodyChain(ctx, d, id); err != nil {
		return nil, err
	}
	if g.custody, err = report.ParseCustody(g.custodyFile); err != nil {
		return nil, failed(err)
	}

	// 4. Both books.
	if c.Journal == "" && c.Book == "" {
		return g, nil
	}
	g.operations, err = c.reconcile(cell, period)
	return g, err
}

// fetchOpenings reads the whole feed of a cell.
func fetchOpenings(ctx context.Context, d *verify.Directory, id bonded.CellID) (*bytes.Buffer, error) {
	p, err := client.NewPerson(client.PersonConfig{Directory: d, Cell: id})
	if err != nil {
		return nil, err
	}
	return allOpenings(ctx, p.Openings)
}

// allOpenings reads a feed to its end and returns one opening a line.
func allOpenings(ctx context.Context, read func(context.Context, uint64) (*apitype.OpeningFeed, error)) (*bytes.Buffer, error) {
	b := new(bytes.Buffer)
	enc := json.NewEncoder(b)
	for from := uint64(0); ; {
		page, err := read(ctx, from)
		if err != nil {
			return nil, fmt.Errorf("read the openings of the cell: %w", err)
		}
		if len(page.Openings) == 0 || page.Next <= from {
			return b, nil
		}
		for _, o := range page.Openings {
			if err := enc.Encode(o); err != nil {
				return nil, err
			}
		}
		from = page.Next
	}
}

func (c *reportSources) custodyChain(ctx context.Context, d *verify.Directory, id bonded.CellID) ([]byte, error) {
	if c.Custody != "" {
		b, err := os.ReadFile(filepath.Clean(c.Custody))
		if err != nil {
			return nil, unreadable(c.Custody, "the file of certificates", err)
		}
		return b, nil
	}
	p, err := client.NewPerson(client.PersonConfig{Directory: d, Cell: id})
	if err != nil {
		return nil, err
	}
	chain, err := p.Custody(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the certificates of the custodians: %w", err)
	}
	return json.Marshal(chain)
}

// reconcile holds the books against each other and counts the releases of the
// period.
func (c *reportSources) reconcile(cell *verify.DirectoryCell, period verify.ReportPeriod) (*verify.ReportTally, error) {
	if c.Journal == "" || c.Book == "" {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "--journal, --book", Message: "both books are needed, or neither"}
	}
	jf, err := os.Open(filepath.Clean(c.Journal))
	if err != nil {
		return nil, unreadable(c.Journal, "the journal", err)
	}
	defer jf.Close() //nolint:errcheck // read only
	bf, err := os.Open(filepath.Clean(c.Book))
	if err != nil {
		return nil, unreadable(c.Book, "the book", err)
	}
	defer bf.Close() //nolint:errcheck // read only
	j, err := verify.NewJournalReader(jf)
	if err != nil {
		return nil, failed(err)
	}
	b, err := verify.NewBookReader(bf)
	if err != nil {
		return nil, failed(err)
	}
	tally := &verify.ReportTally{Period: period}
	rep, err := verify.Reconcile(j, b, cell, verify.ReconcileOptions{Release: tally.Release})
	tally.Unexplained = rep.ReleasedWithoutEntry
	if err != nil && tally.Unexplained == 0 {
		return nil, failed(err)
	}
	return tally, nil // what is unexplained is for the report to say
}

// ledgerFiles returns how to read files of a ledger in a folder or at a URL.
func ledgerFiles(ctx context.Context, where string, cell *verify.DirectoryCell) (fetch func(string) ([]byte, error), done func(), err error) {
	if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		root, err := os.OpenRoot(where)
		if err != nil {
			return nil, nil, unreadable(where, "the ledger", err)
		}
		return func(path string) ([]byte, error) {
			f, err := root.Open(filepath.FromSlash(path))
			if err != nil {
				return nil, err
			}
			defer f.Close() //nolint:errcheck // read only
			return io.ReadAll(io.LimitReader(f, maxLedgerFile))
		}, func() { _ = root.Close() }, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM([]byte(cell.VaultCA))
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, ResponseHeaderTimeout: 30 * time.Second}
	hc := &http.Client{Transport: t, Timeout: 2 * time.Minute}
	return func(path string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(where, "/")+"/"+path, nil)
		if err != nil {
			return nil, err
		}
		resp, err := hc.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close() //nolint:errcheck // read only
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("get %s: %s", path, resp.Status)
		}
		return io.ReadAll(io.LimitReader(resp.Body, maxLedgerFile))
	}, hc.CloseIdleConnections, nil
}
