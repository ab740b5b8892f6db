package intake

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
)

// Limits of an import.
const (
	BatchRows  = 100                 // rows of one call, at most
	batchBytes = apitype.MaxCall / 2 // of the values of one call; what stands around them takes room as well
	rowBytes   = 512                 // reckoned for what stands around the values of one row
	inFlight   = 4                   // calls of one cell at once
	busyTries  = 8                   // how often a batch is sent whose rows are being written by an earlier call
	busyWait   = 500 * time.Millisecond
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
	Rejects  io.Writer         // CSV of bad rows, written at the end: line, column, code, rule, message
	Progress func(bytes int64) // called now and then with how much of the file was read; may be nil
}

// A Summary says what an import did. Of an import that ended well, Rows is
// the sum of People, Repeated and Rejected.
type Summary struct {
	Rows     int                    `json:"rows"`     // rows of the file
	People   map[bonded.CellID]int  `json:"people"`   // people by cell
	Repeated int                    `json:"repeated"` // rows that became a further record of a person met before
	Rejected map[bonded.Code]int    `json:"rejected"`
	First    map[bonded.Code]Reject `json:"first"`   // the first row rejected with a code
	Rules    map[string]int         `json:"rules"`   // rejected by which rule of law
	Resumed  int                    `json:"resumed"` // of People and Repeated: there already from an earlier run
}

// A Reject is a bad row, without its values.
type Reject struct {
	Line    int    `json:"line"`
	Column  string `json:"column,omitempty"` // of the file
	Message string `json:"message"`
}

// Nothing says whether no row of the file is stored.
func (s *Summary) Nothing() bool { return len(s.People) == 0 && s.Repeated == 0 }

type row struct {
	line int
	key  [16]byte
	item apitype.PutItem
}

type run struct {
	ctx    context.Context //nolint:containedctx // lives as long as the run
	o      Options
	target Target
	state  *state

	mu      sync.Mutex // guards the fields up to err
	sum     Summary
	rejects rejected
	stored  bool // something is, or may be, stored
	err     error

	work sync.WaitGroup
	slot map[bonded.CellID]chan struct{}
}

// Run imports a CSV file with a header row. It returns a summary also when it
// stops early; running it again with the same state goes on where it stopped.
//
// A fault of the map that holds for every row stops it: a fact that is the
// same for all of them and unknown, or a field that a cell does not have. An
// import that ends so before anything is stored leaves no state behind.
func Run(ctx context.Context, file io.Reader, target Target, o Options) (*Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := openState(o.State, o.Mapping)
	if err != nil {
		return nil, err
	}
	defer st.f.Close()
	r := &run{
		ctx: ctx, o: o, target: target, state: st, stored: !st.fresh,
		sum: Summary{
			People: map[bonded.CellID]int{}, Rejected: map[bonded.Code]int{},
			First: map[bonded.Code]Reject{}, Rules: map[string]int{},
		},
		slot: map[bonded.CellID]chan struct{}{},
	}

	// 1. The map's own facts.
	err = o.Mapping.checkConstants(target)
	// 2. The first row of each person, in file order; repeats wait.
	var repeats []row
	if err == nil {
		repeats, err = r.firstRows(file)
		r.work.Wait()
	}
	// 3. Repeats, now that their people are there.
	if err == nil && r.err == nil {
		r.repeatRows(repeats)
		r.work.Wait()
	}
	// 4. The bad rows, in order of the lines.
	r.rejects.sort()
	r.rejects.count(&r.sum)
	err = errors.Join(err, r.err, r.rejects.write(csv.NewWriter(o.Rejects)))
	if err != nil && !r.stored {
		err = errors.Join(err, st.remove())
	}
	return &r.sum, err
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
	fill := r.filler("")
	for r.failed() == nil {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		syntax, bad := errors.AsType[*csv.ParseError](err)
		if err != nil && !bad {
			return nil, fmt.Errorf("read the file: %w", err)
		}
		if r.o.Progress != nil {
			r.o.Progress(in.InputOffset())
		}
		r.sum.Rows++
		if bad { // its fields have no places
			r.reject(syntax.StartLine, "", bonded.Errorf(bonded.CodeInvalid, "not a row of this file: wrong number of columns or stray quotes"))
			continue
		}
		line, _ := in.FieldPos(0)
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
		fill.add(cell, &rw)
	}
	fill.flush()
	return repeats, nil
}

func (r *run) repeatRows(repeats []row) {
	fill := r.filler("repeat-")
	for _, rw := range repeats {
		r.mu.Lock()
		subject, ok := r.state.people[rw.key]
		r.mu.Unlock()
		if !ok { // its first row was rejected by the cell
			r.reject(rw.line, r.o.Mapping.ID, bonded.Errorf(bonded.CodeInvalid, "the first row of this person was rejected"))
			continue
		}
		rw.item.Subject, rw.item.Facts = &subject, nil
		fill.add(subject.Cell, &rw)
	}
	fill.flush()
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
	if rw.size() > batchBytes {
		r.reject(line, "", bonded.Errorf(bonded.CodeTooLarge, "the row is over %d bytes", batchBytes))
		return rw, false
	}
	facts := r.o.Mapping.factsOf(c, rec)
	rw.item.Facts = &facts
	rw.key = r.state.person(rec[c.id])
	return rw, true
}

func (r *run) route(rw row) (bonded.CellID, bool) {
	a, err := r.target.Route(*rw.item.Facts)
	if err == nil {
		return a.Cell, true
	}
	if e, ok := errors.AsType[*bonded.Error](err); ok && aboutPerson(e.Code) {
		r.reject(rw.line, r.o.Mapping.columnOf(e.Field), err)
	} else { // the deployment cannot be asked: no fault of the row
		r.fail(err)
	}
	return "", false
}

// send writes a batch unless it is there already. It blocks while too many
// calls of the cell are in flight. The first call of a cell goes alone: what
// the cell takes from no row stops the import there.
func (r *run) send(b *batch) {
	if r.failed() != nil {
		return
	}
	digest := b.digest()
	r.mu.Lock()
	done, ok := r.state.batches[b.name]
	if ok && done.digest == digest {
		r.sum.Resumed += len(b.rows) - len(done.rejects)
		r.count(b, done.rejects)
	}
	r.mu.Unlock()
	if ok {
		if done.digest != digest {
			r.fail(&bonded.Error{
				Code: bonded.CodeConflict, Field: fmt.Sprintf("line %d", b.rows[0].line),
				Message: "the file is not the one this import began with",
				Hint:    "bring the old file back, or begin a new import with another --state file",
			})
		}
		return
	}
	slot := r.slot[b.cell]
	if slot == nil {
		r.slot[b.cell] = make(chan struct{}, inFlight)
		if err := r.write(b, digest); err != nil {
			r.fail(err)
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
	res, err := r.put(b, key, req)
	if err != nil {
		if !refused(err) {
			r.mark()
		}
		return fmt.Errorf("lines %d to %d: %w", b.rows[0].line, b.rows[len(b.rows)-1].line, err)
	}
	var people []statePerson
	var rejects []stateReject
	var stop error
	for i, it := range res.Items {
		if it.Result != nil {
			people = append(people, statePerson{b.rows[i].key[:], it.Result.Subject})
		} else if p := it.Error; p != nil {
			rejects = append(rejects, stateReject{b.rows[i].line, m.columnOf(p.Field), p.Code, p.Rules, p.Message})
			stop = cmp.Or(stop, m.blame(p))
		}
	}
	if len(people) > 0 {
		r.mark()
	}
	if stop != nil { // not acknowledged: the batch is sent again when the import goes on
		return stop
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(b, rejects)
	return r.state.acknowledge(b.name, digest, people, rejects)
}

// mark notes that something is, or may be, stored.
func (r *run) mark() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored = true
}

// refused says whether a cell answered a call with a decision, so that
// nothing of it is stored.
func refused(err error) bool {
	switch apitype.InfoOf(bonded.CodeOf(err)).Exit {
	case apitype.ExitBadInput, apitype.ExitWho, apitype.ExitRefused, apitype.ExitAbsent:
		return true
	default:
		return false
	}
}

// put sends a batch. Rows that an earlier call of the same key is still
// writing, after a broken line or an interruption, are not rejected: the batch
// is sent again.
func (r *run) put(b *batch, key string, req *apitype.BatchPutRequest) (*apitype.BatchPutResult, error) {
	for try := 1; ; try++ {
		res, err := r.target.BatchPut(r.ctx, b.cell, key, req)
		if err != nil {
			return nil, err
		}
		if len(res.Items) != len(b.rows) {
			return nil, bonded.Errorf(bonded.CodeInternal, "the cell answered %d of %d rows", len(res.Items), len(b.rows))
		}
		busy := slices.ContainsFunc(res.Items, func(it apitype.PutItemResult) bool { return it.Error != nil && it.Error.Code == bonded.CodeBusy })
		if !busy {
			return res, nil
		}
		if try == busyTries {
			return nil, bonded.Errorf(bonded.CodeBusy, "an earlier call is still writing these rows")
		}
		select {
		case <-time.After(busyWait):
		case <-r.ctx.Done():
			return nil, r.ctx.Err()
		}
	}
}

// count adds a batch to the summary, and what the cell rejected of it to the
// reject file.
func (r *run) count(b *batch, rejects []stateReject) {
	bad := map[int]bool{}
	for _, j := range rejects {
		bad[j.Line] = true
		r.rejectLocked(j.Line, j.Column, &bonded.Error{Code: j.Code, Message: j.Message, Rules: j.Rules})
	}
	for _, rw := range b.rows {
		switch {
		case bad[rw.line]:
		case rw.item.Subject != nil:
			r.sum.Repeated++
		default:
			r.sum.People[b.cell]++
		}
	}
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
