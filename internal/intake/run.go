package intake

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
)

// Limits of an import.
const (
	BatchRows = 100 // rows of one call
	inFlight  = 4   // calls of one cell at once
)

// A Target is the cells an import writes to.
type Target interface {
	// Route says where a person belongs. It returns a [bonded.Error] with the
	// rule ids when the law leaves no cell.
	Route(apitype.Facts) (*apitype.RouteAnswer, error)
	// BatchPut writes rows under an idempotency key: the same key with the
	// same rows writes once.
	BatchPut(ctx context.Context, cell bonded.CellID, key string, req *apitype.BatchPutRequest) (*apitype.BatchPutResult, error)
}

// Options of one import.
type Options struct {
	Mapping  *Mapping
	State    string            // path of the state file; made if absent
	Rejects  io.Writer         // CSV of bad rows: line, column, code, rule, message
	Progress func(bytes int64) // called now and then with how much of the file was read; may be nil
}

// A Summary says what an import did. Rows = new records + rejected + rows
// that an earlier run of the same import had written.
type Summary struct {
	Rows     int                   // rows of the file
	People   map[bonded.CellID]int // people by cell
	Repeated int                   // rows that became a further record of a person met before
	Rejected map[bonded.Code]int
	Rules    map[string]int // rejected by which rule of law
	Resumed  int            // rows that were there already
}

type row struct {
	line int
	key  [16]byte
	item apitype.PutItem
}

type batch struct {
	name string
	cell bonded.CellID
	rows []row
}

type run struct {
	ctx     context.Context //nolint:containedctx // lives as long as the run
	o       Options
	target  Target
	state   *state
	rejects *csv.Writer

	mu   sync.Mutex // guards sum, rejects, state and err
	sum  Summary
	err  error
	work sync.WaitGroup
	slot map[bonded.CellID]chan struct{}
}

// Run imports a CSV file with a header row. It returns a summary also when it
// stops early; running it again with the same state goes on where it stopped.
func Run(ctx context.Context, file io.Reader, target Target, o Options) (*Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := openState(o.State)
	if err != nil {
		return nil, err
	}
	defer st.f.Close()
	r := &run{
		ctx: ctx, o: o, target: target, state: st, rejects: csv.NewWriter(o.Rejects),
		sum:  Summary{People: map[bonded.CellID]int{}, Rejected: map[bonded.Code]int{}, Rules: map[string]int{}},
		slot: map[bonded.CellID]chan struct{}{},
	}
	_ = r.rejects.Write([]string{"line", "column", "code", "rule", "message"})

	// 1. The first row of each person, in file order; repeats wait.
	repeats, err := r.firstRows(file)
	r.work.Wait()
	// 2. Repeats, now that their people are there.
	if err == nil && r.err == nil {
		r.repeatRows(repeats)
		r.work.Wait()
	}
	r.rejects.Flush()
	return &r.sum, errors.Join(err, r.err, r.rejects.Error())
}

func (r *run) firstRows(file io.Reader) (repeats []row, err error) {
	in := csv.NewReader(file)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeInvalid, err, "the file has no header row")
	}
	header[0] = trimBOM(header[0])
	cols, err := r.o.Mapping.resolve(header)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(header)
	seen := map[[16]byte]bool{}
	open := map[bonded.CellID]*batch{}
	number := map[bonded.CellID]int{}
	for r.failed() == nil {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if r.o.Progress != nil {
			r.o.Progress(in.InputOffset())
		}
		r.sum.Rows++
		line, _ := in.FieldPos(0)
		if err != nil {
			r.rejectSyntax(line, err)
			continue
		}
		rw, ok := r.parse(cols, names, rec, line)
		if !ok {
			continue
		}
		if seen[rw.key] {
			repeats = append(repeats, rw)
			continue
		}
		cell, ok := r.route(rw)
		if !ok {
			continue
		}
		seen[rw.key] = true
		b := open[cell]
		if b == nil {
			number[cell]++
			b = &batch{name: fmt.Sprintf("%s-%d", cell, number[cell]), cell: cell}
			open[cell] = b
		}
		b.rows = append(b.rows, rw)
		if len(b.rows) == BatchRows {
			r.send(b)
			delete(open, cell)
		}
	}
	for _, b := range open {
		r.send(b)
	}
	return repeats, nil
}

func (r *run) repeatRows(repeats []row) {
	open := map[bonded.CellID]*batch{}
	number := map[bonded.CellID]int{}
	for _, rw := range repeats {
		r.mu.Lock()
		subject, ok := r.state.people[rw.key]
		r.mu.Unlock()
		if !ok { // its first row was rejected by the cell
			r.reject(rw.line, r.o.Mapping.ID, bonded.Errorf(bonded.CodeInvalid, "the first row of this person was rejected"))
			continue
		}
		rw.item.Subject, rw.item.Facts = &subject, nil
		b := open[subject.Cell]
		if b == nil {
			number[subject.Cell]++
			b = &batch{name: fmt.Sprintf("%s-repeat-%d", subject.Cell, number[subject.Cell]), cell: subject.Cell}
			open[subject.Cell] = b
		}
		b.rows = append(b.rows, rw)
		if len(b.rows) == BatchRows {
			r.send(b)
			delete(open, subject.Cell)
		}
	}
	for _, b := range open {
		r.send(b)
	}
}

// parse turns a record into an item, or rejects it.
func (r *run) parse(c *columns, header, rec []string, line int) (row, bool) {
	rw := row{line: line, item: apitype.PutItem{Values: apitype.Values{}}}
	if rec[c.id] == "" {
		r.reject(line, header[c.id], bonded.Errorf(bonded.CodeInvalid, "no id"))
		return rw, false
	}
	for i, field := range c.names {
		v := rec[c.fields[i]]
		switch {
		case v == "":
			continue
		case !utf8.ValidString(v):
			r.reject(line, header[c.fields[i]], bonded.Errorf(bonded.CodeInvalidUTF8, "not UTF-8"))
			return rw, false
		case len(v) > apitype.MaxField:
			r.reject(line, header[c.fields[i]], bonded.Errorf(bonded.CodeTooLarge, "over %d bytes", apitype.MaxField))
			return rw, false
		}
		b, err := json.Marshal(v)
		if err != nil {
			r.reject(line, header[c.fields[i]], bonded.Errorf(bonded.CodeInvalid, "not text"))
			return rw, false
		}
		rw.item.Values[field] = b
	}
	facts := r.o.Mapping.factsOf(c, rec)
	rw.item.Facts = &facts
	rw.key = r.state.person(rec[c.id])
	return rw, true
}

func (r *run) route(rw row) (bonded.CellID, bool) {
	a, err := r.target.Route(*rw.item.Facts)
	if err != nil {
		r.reject(rw.line, "", err)
		return "", false
	}
	return a.Cell, true
}

// send writes a batch unless it is there already. It blocks while too many
// calls of the cell are in flight.
func (r *run) send(b *batch) {
	digest := b.digest()
	r.mu.Lock()
	done, ok := r.state.batches[b.name]
	slot := r.slot[b.cell]
	if slot == nil {
		slot = make(chan struct{}, inFlight)
		r.slot[b.cell] = slot
	}
	if ok && done == digest {
		r.sum.Resumed += len(b.rows)
		r.count(b, nil)
	}
	r.mu.Unlock()
	if ok {
		if done != digest {
			r.fail(&bonded.Error{
				Code: bonded.CodeConflict, Field: fmt.Sprintf("line %d", b.rows[0].line),
				Message: "the file is not the one this import began with",
				Hint:    "bring the old file back, or begin a new import with another --state file",
			})
		}
		return
	}
	select {
	case slot <- struct{}{}:
	case <-r.ctx.Done():
		r.fail(r.ctx.Err())
		return
	}
	r.work.Go(func() {
		defer func() { <-slot }()
		if err := r.write(b, digest); err != nil {
			r.fail(err)
		}
	})
}

func (r *run) write(b *batch, digest [32]byte) error {
	m := r.o.Mapping
	req := &apitype.BatchPutRequest{Why: apitype.Why{Purpose: m.Purpose, Reason: m.Reason, Basis: m.Basis}, Collection: m.Collection}
	for i := range b.rows {
		req.Items = append(req.Items, b.rows[i].item)
	}
	key := hex.EncodeToString(r.state.id[:8]) + "-" + b.name
	res, err := r.target.BatchPut(r.ctx, b.cell, key, req)
	if err != nil {
		return fmt.Errorf("lines %d to %d: %w", b.rows[0].line, b.rows[len(b.rows)-1].line, err)
	}
	if len(res.Items) != len(b.rows) {
		return bonded.Errorf(bonded.CodeInternal, "the cell answered %d of %d rows", len(res.Items), len(b.rows))
	}
	var people []statePerson
	for i, it := range res.Items {
		if it.Result != nil {
			people = append(people, statePerson{b.rows[i].key[:], it.Result.Subject})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(b, res)
	return r.state.acknowledge(b.name, digest, people)
}

// count adds a batch to the summary; res is nil for a batch of an earlier run.
func (r *run) count(b *batch, res *apitype.BatchPutResult) {
	for i, rw := range b.rows {
		if res != nil && res.Items[i].Error != nil {
			p := res.Items[i].Error
			r.rejectLocked(rw.line, p.Field, &bonded.Error{Code: p.Code, Message: p.Message, Rules: p.Rules})
			continue
		}
		if _, ok := r.state.people[rw.key]; res == nil && !ok {
			continue // rejected by the earlier run, and reported there
		}
		if rw.item.Subject != nil {
			r.sum.Repeated++
		} else {
			r.sum.People[b.cell]++
		}
	}
}

// digest covers what the batch says, so that a changed file is noticed.
func (b *batch) digest() [32]byte {
	h := sha256.New()
	for i := range b.rows {
		v, _ := json.Marshal(b.rows[i].item.Values) // map keys are sorted
		fmt.Fprintf(h, "%d %x %s\n", b.rows[i].line, b.rows[i].key, v)
	}
	return [32]byte(h.Sum(nil))
}

func (r *run) rejectSyntax(line int, err error) {
	if pe, ok := errors.AsType[*csv.ParseError](err); ok {
		line = pe.StartLine
	}
	r.reject(line, "", bonded.Errorf(bonded.CodeInvalid, "not a row of this file: wrong number of columns or stray quotes"))
}

func (r *run) reject(line int, column string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rejectLocked(line, column, err)
}

func (r *run) rejectLocked(line int, column string, err error) {
	var e *bonded.Error
	if !errors.As(err, &e) {
		e = bonded.Errorf(bonded.CodeInternal, "internal error")
	}
	rule := ""
	if len(e.Rules) > 0 {
		rule = e.Rules[0]
		r.sum.Rules[rule]++
	}
	r.sum.Rejected[e.Code]++
	_ = r.rejects.Write([]string{fmt.Sprint(line), column, string(e.Code), rule, e.Message})
}

func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *run) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func trimBOM(s string) string {
	if len(s) >= 3 && s[:3] == "\ufeff" {
		return s[3:]
	}
	return s
}
