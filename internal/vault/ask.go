package vault

import (
	"context"
	"time"

	"bonded"
	"bonded/internal/journal"
	"bonded/internal/wire"
	"bonded/verify"
)

// An ask is one call on its way through a lane: what it asks the keyholder,
// and what came back.
type ask struct {
	call       *Call
	op         verify.Operation
	collection string
	items      []wire.Item
	named      []wire.Named // what the client named; nil if that is just the items
	resolved   bool         // the vault chose the items
	rules      []string
	policy     [32]byte
	job        bonded.ID
	eraseNow   bool // an erasure that goes to the keyholder with the asker's proof

	prepared journal.Prepared
	entered  journal.Entered
	result   *wire.EntryResult // keys in it are the asker's to wipe
	err      error
	done     chan struct{}
	size     int    // about how many bytes it takes on the line
	finished func() // write lane: tells that the row is durable or lost
}

// digest returns what a proven call proves, zero for others.
func (v *Vault) digest(a *ask) [32]byte {
	if !a.proven() {
		return [32]byte{}
	}
	named := a.named
	if named == nil {
		named = wire.NamedItems(v.cfg.Cell, a.items)
	}
	r := wire.Request{
		Cell: v.cfg.Cell, Operation: a.op, Collection: a.collection, Purpose: a.call.Why.Purpose,
		Reason: a.call.Why.Reason, Basis: a.call.Why.Basis, Named: named, Body: a.call.Body,
	}
	return r.Digest()
}

// proven reports whether the keyholder will see the proof of the call. Calls
// that unlock nothing never reach it: for them only the vault vouches.
func (a *ask) proven() bool {
	if a.call.Assurance != verify.AssuranceProven || a.call.Proof == nil {
		return false
	}
	return a.op.Unlocks() || a.eraseNow && a.call.Why.Basis == ""
}

// row returns the journal row of an ask.
func (v *Vault) row(a *ask) *verify.Row {
	r := &verify.Row{
		Cell: v.cfg.Cell, Time: v.millis(), Operation: a.op, Outcome: verify.OutcomeAllowed,
		Assurance: a.call.Assurance, Resolved: a.resolved, Collection: a.collection,
		Purpose: a.call.Why.Purpose, Reason: a.call.Why.Reason, Basis: a.call.Why.Basis, Rules: a.rules,
		RequestID: a.call.RequestID, Policy: a.policy, Digest: v.digest(a), Items: make([]verify.RowItem, len(a.items)),
	}
	if a.call.Grant != nil {
		r.Principal = a.call.Grant.ID
	}
	if r.Assurance == verify.AssuranceProven && !a.proven() {
		r.Assurance = verify.AssuranceVault
	}
	for i := range a.items {
		it := &a.items[i]
		ri := verify.RowItem{Subject: it.Subject, Record: it.Record}
		if len(it.Fields) > 0 {
			ri.Fields = make([]string, len(it.Fields))
			for j := range it.Fields {
				ri.Fields[j] = it.Fields[j].Name
			}
		}
		for j := range it.Index {
			ri.Index = append(ri.Index, it.Index[j].Field)
		}
		r.Items[i] = ri
	}
	return r
}

// entry returns what the keyholder is asked for a row.
func (v *Vault) entry(a *ask) wire.Entry {
	row := a.prepared.Row
	e := wire.Entry{
		Seq: row.Seq, Leaf: a.prepared.Leaf, Operation: a.op, Collection: a.collection,
		Purpose: row.Purpose, Reason: row.Reason, Basis: row.Basis, Policy: row.Policy,
		Auth:  wire.Auth{Principal: row.Principal, Assurance: row.Assurance, Resolved: a.resolved, Job: a.job},
		Items: a.items,
	}
	if row.Assurance == verify.AssuranceProven {
		e.Auth.Proof, e.Auth.Named, e.Auth.Body = *a.call.Proof, a.named, a.call.Body
	}
	return e
}

// submit gives an ask to a lane and waits for it. Once the lane has it the
// caller waits for the end, so that no key is left lying about; the lanes
// bound how long that takes.
func (v *Vault) submit(ctx context.Context, lane chan *ask, a *ask) error {
	n := itemBytes(a.items)
	if n > maxEntryBytes {
		return v.fail(a, &bonded.Error{Code: bonded.CodeTooLarge, Message: "the call names more fields than one entry holds", Hint: "ask in several calls"})
	}
	a.size = n + a.namedBytes()
	a.done = make(chan struct{})
	select {
	case lane <- a:
	case <-ctx.Done():
		return &bonded.Error{Code: bonded.CodeBusy, Message: "too much is in flight", Hint: "try again in a moment", Err: ctx.Err()}
	case <-v.stop:
		return &bonded.Error{Code: bonded.CodeBusy, Message: "the vault is stopping", Hint: "try again in a moment"}
	}
	select {
	case <-a.done:
	case <-v.stop:
		select {
		case <-a.done:
		case <-v.drained():
			return &bonded.Error{Code: bonded.CodeBusy, Message: "the vault is stopping", Hint: "try again in a moment"}
		}
	}
	return a.err
}

// drained is closed when no lane runs any more.
func (v *Vault) drained() <-chan struct{} {
	ch := make(chan struct{})
	go func() {
		v.workers.Wait()
		close(ch)
	}()
	return ch
}

// gather returns first and what else waits, up to a full batch. While the
// batch is below want it waits a moment for more.
func gather(lane chan *ask, first *ask, want int) []*ask {
	batch := append(make([]*ask, 0, max(16, want)), first)
	size := first.size
	var late <-chan time.Time
	for len(batch) < DefaultLaneBatch && size < gatherBytes {
		var a *ask
		select {
		case a = <-lane:
		default:
			if len(batch) >= want {
				return batch
			}
			if late == nil {
				late = time.After(patience)
			}
			select {
			case a = <-lane:
			case <-late:
				return batch
			}
		}
		batch = append(batch, a)
		size += a.size
	}
	return batch
}

// Limits of size. An entry of either book stays below 1 MiB: maxEntryBytes for
// its items, the rest for its head. A batch stays within one frame of the line,
// see [wire.MaxFrame]: below gatherBytes it may take one more ask.
const (
	maxEntryBytes = 960 << 10
	gatherBytes   = 3 << 20
)

// itemBytes returns about how many bytes items take at most in either book and
// on the line.
func itemBytes(items []wire.Item) int {
	n := 0
	for i := range items {
		it := &items[i]
		n += perItem
		for j := range it.Fields {
			n += len(it.Fields[j].Name) + perField
		}
		for j := range it.Index {
			n += len(it.Index[j].Field) + perIndex
		}
	}
	return n
}

// Bytes of an item beside the names in it.
const (
	perItem  = 64
	perField = bonded.IDSize + 2
	perIndex = 34
)

// namedBytes returns about how many bytes the rest of an ask takes on the line.
func (a *ask) namedBytes() int {
	n := 512
	for i := range a.named {
		n += 140
		for _, f := range a.named[i].Fields {
			n += len(f) + 1
		}
	}
	return n
}

// fitting returns how many of records, at least one and at most a number, one
// entry can name with all their fields, each so many times.
func (v *Vault) fitting(records []*Record, most, times int) int {
	size := 0
	for i, r := range records {
		if i == most {
			return i
		}
		size += perItem
		c := v.cfg.Schema.collectionByID(r.Collection)
		for j := range r.Fields {
			size += times * perField
			if c == nil {
				continue
			}
			if f := c.field(r.Fields[j].Field); f != nil {
				size += times * len(f.Name)
			}
		}
		if size > maxEntryBytes && i > 0 {
			return i
		}
	}
	return len(records)
}
