package custodian

import (
	"context"
	"crypto/sha256"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/quorum"
	"bonded/verify"
)

// checkItems reads the items page by page: each must be of a task as it was
// decided, with its own envelope, and all together must make the digest that
// stands in the ledger.
func (f *Folder) checkItems(ctx context.Context, door Door, c *Checked, d *apitype.CaseDossier, proofs bool) error {
	set := f.KeySet()
	c.hashes = make([]tlog.Hash, 0, min(c.Items, verify.MaxScopeItems))
	people := make([]map[bonded.ID]struct{}, len(c.Tasks))
	all := map[bonded.ID]struct{}{}
	err := eachPage(ctx, door, c.Case, func(p *apitype.ScopePage) error {
		items := make([]*verify.ScopeItem, len(p.Items))
		for i, raw := range p.Items {
			it, err := verify.DecodeScopeItem(raw)
			if err != nil {
				return refuse("scope", "item %d of the scope is not in the format", p.From+i)
			}
			items[i] = it
			c.hashes = append(c.hashes, verify.ScopeItemHash(raw))
			if err := c.item(p.From+i, it); err != nil {
				return err
			}
			t := int(it.Task)
			if people[t] == nil {
				people[t] = map[bonded.ID]struct{}{}
			}
			people[t][it.Subject], all[it.Subject] = struct{}{}, struct{}{}
			if len(people[t]) > max(1, c.Tasks[t].MaxSubjects) {
				return refuse("too-many", "task %d names more people than it may", t)
			}
			c.Records++
			if it.Envelope != ([32]byte{}) {
				c.Envelopes++
			}
		}
		return each(len(items), func(i int) error {
			return f.envelope(set, p.From+i, items[i], envelopeOf(p, i), proofs)
		})
	})
	if err != nil {
		return err
	}
	if len(c.hashes) != c.Items || verify.ScopeDigest(d.ScopeHead, c.hashes) != c.Digest {
		return refuse("scope", "the items shown are not those of the scope in the ledger")
	}
	c.People = len(all)
	return nil
}

// item holds one item against its task.
func (c *Checked) item(i int, it *verify.ScopeItem) error {
	if int(it.Task) >= len(c.Tasks) || c.Tasks[it.Task].Refused != "" || c.Tasks[it.Task].Collection != it.Collection {
		return refuse("scope", "item %d is of no task that was approved", i)
	}
	t := &c.Tasks[it.Task]
	for j := range it.Fields {
		if name := it.Fields[j].Name; !slices.Contains(c.Fields, name) {
			c.Fields = append(c.Fields, name)
		}
	}
	if name, ok := t.Opens(it.Fields); !ok {
		return refuse("scope", "item %d has field %s, which nobody approved", i, name)
	}
	return nil
}

// envelope checks that the envelope is the one that the scope names and, with
// proofs, that it is the record's own, under the release key.
func (f *Folder) envelope(set *quorum.KeySet, i int, it *verify.ScopeItem, b []byte, proofs bool) error {
	if it.Envelope == ([32]byte{}) {
		if len(b) != 0 {
			return refuse("envelope", "item %d has an envelope that the scope does not name", i)
		}
		return nil
	}
	if sha256.Sum256(b) != it.Envelope {
		return refuse("envelope", "the envelope of item %d is not the one of the scope", i)
	}
	e, err := quorum.ParseEnvelope(b)
	if err == nil && proofs {
		err = e.Check(f.bound(set, it))
	}
	if err != nil {
		return badEnvelope(i)
	}
	return nil
}

func badEnvelope(i int) error {
	return refuse("envelope", "the envelope of item %d was made for something else, or is altered", i)
}

// bound is what the envelope of an item is bound to.
func (f *Folder) bound(set *quorum.KeySet, it *verify.ScopeItem) []byte {
	return verify.EnvelopeLabel(f.conf.Cell, it.Collection, it.Record, set.ReleaseKey())
}

// partials returns this custodian's partials of one page of items that were
// checked: each must be the one that was, for the front door shows it again.
func (f *Folder) partials(c *Checked, cust *quorum.Custodian, set *quorum.KeySet, p *apitype.ScopePage) ([][]byte, error) {
	out := make([][]byte, len(p.Items))
	err := each(len(out), func(i int) error {
		at, raw := p.From+i, p.Items[i]
		if at >= len(c.hashes) || verify.ScopeItemHash(raw) != c.hashes[at] {
			return refuse("scope", "item %d is another one than in the scope in the ledger", at)
		}
		it, err := verify.DecodeScopeItem(raw)
		if err != nil {
			return err
		}
		envelope := envelopeOf(p, i)
		if err := f.envelope(set, at, it, envelope, false); err != nil || len(envelope) == 0 {
			return err
		}
		e, err := quorum.ParseEnvelope(envelope)
		if err != nil {
			return err
		}
		partial, err := cust.Partial(e, f.bound(set, it)) // checks the envelope's proof
		if err != nil {
			return errors.Join(badEnvelope(at), err)
		}
		out[i] = partial.Bytes()
		return nil
	})
	return out, err
}

// eachPage calls each with every page of a scope, in order.
func eachPage(ctx context.Context, door Door, id bonded.CaseID, each func(*apitype.ScopePage) error) error {
	for from := 0; ; {
		p, err := door.Scope(ctx, id, from)
		if err != nil {
			return err
		}
		if p.From != from || len(p.Envelopes) != 0 && len(p.Envelopes) != len(p.Items) || from+len(p.Items) > verify.MaxScopeItems {
			return refuse("scope", "the scope is not shown in order")
		}
		if err := each(p); err != nil {
			return err
		}
		if p.Next == 0 {
			return nil
		}
		if p.Next != from+len(p.Items) || len(p.Items) == 0 {
			return refuse("scope", "the scope is not shown in order")
		}
		from = p.Next
	}
}

// envelopeOf returns the envelope of item i of a page, nil for none.
func envelopeOf(p *apitype.ScopePage, i int) []byte {
	if len(p.Envelopes) == 0 {
		return nil
	}
	return p.Envelopes[i]
}

// each calls do with 0 to n-1 on all processors, and returns the error of the
// lowest.
func each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
