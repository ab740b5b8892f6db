package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/verify"
)

// Limits of what a monitor reads, in bytes.
const (
	maxMonitorAnswer = 32 << 20 // an entry bundle is at most 16 MiB and a bit
	maxFeedFile      = 1 << 30
)

// A monitorSource is where a monitor reads ledger and feed.
type monitorSource struct {
	ledger   string
	openings string // empty: there is no feed to read
	http     *http.Client
}

func (c *monitorCommand) source(cell *verify.DirectoryCell) (*monitorSource, error) {
	src := &monitorSource{ledger: c.Where, openings: c.Openings}
	if src.ledger == "" {
		src.ledger = cell.Ledger
	}
	if src.openings == "" && cell.API != "" {
		src.openings = cell.API
	}
	if src.ledger == "" || src.openings == "" {
		return nil, &bonded.Error{
			Code: bonded.CodeInvalid, Field: "--openings", Message: "the directory names no address of the ledger or the API",
			Hint: "name the ledger and --openings",
		}
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM([]byte(cell.VaultCA))
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, unreadable(c.CA, "the roots", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, &bonded.Error{Code: bonded.CodeConfig, Field: c.CA, Message: "no certificate in PEM"}
		}
	}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
	}
	src.http = &http.Client{Transport: t, Timeout: 2 * time.Minute}
	return src, nil
}

func (s *monitorSource) close() { s.http.CloseIdleConnections() }

func remote(where string) bool {
	return strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://")
}

// file reads a file of the ledger.
func (s *monitorSource) file(ctx context.Context, path string) ([]byte, error) {
	if remote(s.ledger) {
		return s.get(ctx, strings.TrimSuffix(s.ledger, "/")+"/"+path)
	}
	root, err := os.OpenRoot(s.ledger)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // only read from
	f, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read from
	return readAtMost(f, maxMonitorAnswer)
}

// page reads openings of the feed. A file holds all of them, from number 1 on.
func (s *monitorSource) page(ctx context.Context, from uint64) ([]json.RawMessage, uint64, error) {
	var b []byte
	var err error
	if remote(s.openings) {
		b, err = s.get(ctx, strings.TrimSuffix(strings.TrimSuffix(s.openings, "/"), "/v1/openings")+"/v1/openings?from="+strconv.FormatUint(from, 10))
	} else {
		b, err = s.feedFile()
	}
	if err != nil {
		return nil, 0, err
	}
	var feed struct { // as [apitype.OpeningFeed]; each opening is read strictly by its own decoder
		Openings []json.RawMessage `json:"openings"`
		Next     uint64            `json:"next"`
	}
	if err := json.Unmarshal(b, &feed); err != nil {
		return nil, 0, fmt.Errorf("the feed is not JSON: %w", err)
	}
	if !remote(s.openings) {
		skip := min(from-1, uint64(len(feed.Openings)))
		feed.Openings, feed.Next = feed.Openings[skip:], uint64(len(feed.Openings))+1
	}
	return feed.Openings, feed.Next, nil
}

func (s *monitorSource) feedFile() ([]byte, error) {
	f, err := os.Open(filepath.Clean(s.openings))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read from
	return readAtMost(f, maxFeedFile)
}

func (s *monitorSource) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New("answered " + resp.Status)
	}
	return readAtMost(resp.Body, maxMonitorAnswer)
}

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("over %d bytes", limit)
	}
	return b, err
}

// A monitorView is what a monitor prints.
type monitorView struct {
	Verdict    string             `json:"verdict"`
	Size       int64              `json:"size,omitempty"`
	Witnessed  string             `json:"witnessed,omitempty"`
	Anchors    int64              `json:"anchors,omitempty"`
	Slots      int64              `json:"slots,omitempty"`
	Leaves     int64              `json:"case_entries,omitempty"`
	Missed     int64              `json:"slots_missed,omitempty"`
	Openings   uint64             `json:"openings,omitempty"`
	Extensions int64              `json:"extensions,omitempty"`
	Alarms     []verify.CaseAlarm `json:"alarms"`
	Faults     []monitorFault     `json:"faults"`

	says []string
}

type monitorFault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func viewOf(verdict verify.Verdict, rep *verify.MonitorReport, err error) *monitorView {
	v := &monitorView{Verdict: verdict.String(), Alarms: []verify.CaseAlarm{}, Faults: []monitorFault{}}
	if f := verify.FailureOf(err); f != nil {
		v.Faults = append(v.Faults, monitorFault{f.Code, f.Message})
	}
	if rep == nil {
		return v
	}
	v.Size, v.Witnessed, v.Anchors, v.Openings = rep.Checkpoint.Size, rep.Witnessed.UTC().Format(time.RFC3339), rep.Anchors, rep.Openings
	v.Slots, v.Leaves, v.Missed, v.Extensions = rep.Cases.Slots, rep.Cases.Leaves, rep.Cases.Missed, rep.Cases.Extensions
	v.Alarms = append(v.Alarms, rep.Alarms...)
	for _, f := range rep.Faults {
		v.Faults = append(v.Faults, monitorFault{f.Code, f.Message})
	}
	v.says = rep.Cases.Sentences()
	return v
}

// key changes when there is something new to say.
func (v *monitorView) key() string {
	return fmt.Sprint(v.Verdict, v.Alarms, v.Faults)
}

func (v *monitorView) table(w *tabwriter.Writer) {
	row(w, "verdict", v.Verdict)
	if v.Witnessed != "" {
		row(w, "ledger", fmt.Sprintf("%d entries, witnessed at %s, %d anchors, %d openings read", v.Size, v.Witnessed, v.Anchors, v.Openings))
	}
	for _, line := range v.says {
		row(w, "cases", line)
	}
	for _, f := range v.Faults {
		row(w, "fault", f.Code+": "+f.Message)
	}
	for _, a := range v.Alarms {
		row(w, "alarm", fmt.Sprintf("entry %d: %s since %s", a.Index, a.Why, a.Due.Format(time.RFC3339)))
	}
}
