//go:build unix

package frontdoor_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"bonded"
	"bonded/internal/handover"
	"bonded/internal/quorum"
	"bonded/internal/seal"
	"bonded/verify"
)

// records is a vault and its keyholder in memory: it seals for real, and holds
// every release against the ledger as the keyholder does.
type records struct {
	mu       sync.Mutex
	w        *world
	schema   map[string]handover.Field
	rows     []*row
	encrypt  *quorum.Encryptor
	key      [32]byte // release key
	frozen   map[bonded.CaseID][]bonded.ID
	released map[bonded.CaseID]int // calls that released something
	resealed map[bonded.CaseID]int
	resolves int
	failing  sync.Mutex
	fail     func(op string) error
	extra    func(items []verify.ScopeItem) []verify.ScopeItem // what a vault that cheats makes of a snapshot
}

type row struct {
	subject, record bonded.ID
	values          map[string]string
	version         map[string]bonded.ID
	sealed          map[string][]byte
	keys            map[string][]byte
	envelope        []byte
}

func newRecords(w *world) *records {
	return &records{
		w: w, frozen: map[bonded.CaseID][]bonded.ID{}, released: map[bonded.CaseID]int{}, resealed: map[bonded.CaseID]int{},
		schema: map[string]handover.Field{
			"name":     {Class: "personal", Custody: verify.CustodyTwoLock},
			"email":    {Class: "personal", Custody: verify.CustodyTwoLock, Indexed: true},
			"city":     {Class: "anonymous", Custody: verify.CustodyTwoLock, Indexed: true},
			"passport": {Class: "personal", Custody: verify.CustodyQuorum},
			"health":   {Class: "sensitive", Custody: verify.CustodyTwoLock},
		},
	}
}

func (r *records) op(name string) error {
	r.failing.Lock()
	defer r.failing.Unlock()
	if r.fail != nil {
		return r.fail(name)
	}
	return nil
}

// add keeps a person, sealed. Quorum fields need the release key.
func (r *records) add(values map[string]string) *row {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &row{subject: bonded.NewID(), record: bonded.NewID(), values: values}
	r.seal(p)
	r.rows = append(r.rows, p)
	return p
}

func (r *records) seal(p *row) {
	p.version, p.sealed, p.keys = map[string]bonded.ID{}, map[string][]byte{}, map[string][]byte{}
	sk := seal.NewSubjectKey()
	v := bonded.NewID()
	var qk quorum.Key
	if _, ok := p.values["passport"]; ok {
		key, e, err := r.encrypt.NewEnvelope(verify.EnvelopeLabel(cell, "users", p.record, r.key))
		if err != nil {
			panic(err)
		}
		qk, p.envelope = key, e.Bytes()
	}
	for name, value := range p.values {
		c := seal.Context{Cell: cell, Subject: p.subject, Record: p.record, Collection: "users", Field: name, Version: v}
		b := []byte(value)
		if name == "passport" {
			inner := c
			inner.Version = verify.EnvelopeVersion(verify.EnvelopeHash(p.envelope))
			b = sealed(qk.Field(name), b, inner)
		}
		p.keys[name] = sk.VersionKey(seal.AES256GCM, cell, "users", p.record, v).FieldKey(name).Bytes()
		p.version[name], p.sealed[name] = v, sealed(p.keys[name], b, c)
	}
}

func sealed(key, value []byte, c seal.Context) []byte {
	k, err := seal.KeyFromBytes(key)
	if err != nil {
		panic(err)
	}
	b, err := k.Seal(seal.AES256GCM, value, c)
	if err != nil {
		panic(err)
	}
	return b
}

func (r *records) Schema(collection string) (map[string]handover.Field, bool) {
	return r.schema, collection == "users"
}

func (r *records) Resolve(_ context.Context, _ bonded.CaseID, targets []handover.Target, limit int) ([]handover.Match, error) {
	if err := r.op("resolve"); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resolves++
	var out []handover.Match
	people := map[bonded.ID]bool{}
	for i, t := range targets {
		for _, p := range r.rows {
			field := ""
			switch t.Format {
			case "subject":
				if (bonded.SubjectID{Cell: cell, ID: p.subject}).String() != t.Value {
					continue
				}
			case "record":
				if (bonded.RecordID{Cell: cell, ID: p.record}).String() != t.Value {
					continue
				}
			default:
				if field = t.Format; p.values[t.Format] != t.Value {
					continue
				}
			}
			if !people[p.subject] && len(people) == limit {
				continue
			}
			people[p.subject] = true
			out = append(out, handover.Match{Task: t.Task, Target: i, Subject: p.subject, Record: p.record, Field: field})
		}
	}
	return out, nil
}

func (r *records) find(record bonded.ID) *row {
	i := slices.IndexFunc(r.rows, func(p *row) bool { return p.record == record })
	if i < 0 {
		return nil
	}
	return r.rows[i]
}

func (r *records) Snapshot(_ context.Context, _ bonded.CaseID, wants []handover.Want) ([]verify.ScopeItem, error) {
	if err := r.op("snapshot"); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []verify.ScopeItem
	for _, want := range wants {
		p := r.find(want.Record)
		it := verify.ScopeItem{Task: uint32(want.Task), Subject: p.subject, Record: p.record, Collection: want.Collection}
		names := want.Fields
		if want.Match != "" && !slices.Contains(names, want.Match) {
			names = append(slices.Clone(names), want.Match)
		}
		for _, name := range names {
			if _, ok := p.values[name]; !ok {
				continue
			}
			custody := r.schema[name].Custody
			it.Fields = append(it.Fields, verify.ScopeField{Name: name, Version: p.version[name], Custody: custody, Match: name == want.Match})
			if custody == verify.CustodyQuorum {
				it.Envelope = verify.EnvelopeHash(p.envelope)
			}
		}
		if len(it.Fields) > 0 {
			out = append(out, it)
		}
	}
	if r.extra != nil {
		out = r.extra(out)
	}
	return out, nil
}

func (r *records) Envelopes(_ context.Context, items []verify.ScopeItem, from int, each func(int, []byte) error) error {
	if err := r.op("envelopes"); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := from; i < len(items); i++ {
		if items[i].Envelope == [32]byte{} {
			continue
		}
		p := r.find(items[i].Record)
		if p == nil || verify.EnvelopeHash(p.envelope) != items[i].Envelope {
			return bonded.Errorf(bonded.CodeConflict, "another version")
		}
		if err := each(i, p.envelope); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) Freeze(_ context.Context, id bonded.CaseID, subjects []bonded.ID) error {
	if err := r.op("freeze"); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen[id] = subjects
	return nil
}

func (r *records) Unfreeze(_ context.Context, id bonded.CaseID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.frozen, id)
	return r.op("unfreeze")
}

// Release checks the certificate as the keyholder does, in what concerns the
// order of things, and seals the field keys to the recipient.
func (r *records) Release(_ context.Context, c *handover.Certificate, from int, items []verify.ScopeItem, each func(handover.Released) error) error {
	if err := r.op("release"); err != nil {
		return err
	}
	// 1. The opening stands in the witnessed ledger, and is of this scope.
	o, err := verify.ParseCaseOpening(c.Opening)
	if err != nil {
		return err
	}
	entry, err := o.Check()
	if err != nil {
		return err
	}
	if _, err := verify.CheckInclusion(o.Leaf, c.Proof, r.w.vkey, r.w.verifyPolicy()); err != nil {
		return err
	}
	hashes := make([][32]byte, len(c.ItemHashes))
	copy(hashes, c.ItemHashes)
	digest := scopeDigest(c.ScopeHead, hashes)
	var approvals []*verify.Approval
	for _, raw := range c.Approvals {
		a, err := verify.DecodeApproval(raw)
		if err != nil {
			return err
		}
		approvals = append(approvals, a)
	}
	if err := verify.CheckApprovals(r.w.keys.Custodians(), c.Case.ID, digest, c.QuorumLeaf, approvals); err != nil {
		return err
	}
	if entry.Entry.Event != verify.EventOpening || entry.Entry.Scope != digest ||
		entry.Entry.Content != verify.OpeningContent(digest, verify.ApprovalsDigest(approvals), verify.RecipientDigest(c.Recipient)) {
		return bonded.Errorf(bonded.CodeKeyholderRefused, "not the opening of this scope")
	}

	// 2. Ciphertext and keys.
	key, err := parseRecipient(c.Recipient)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released[c.Case]++
	for i := range items {
		raw := verify.EncodeScopeItem(&items[i])
		out := handover.Released{Index: from + i, Item: raw, Entry: "1.1.1"}
		p := r.find(items[i].Record)
		var keys []byte
		for _, f := range items[i].Fields {
			if p.version[f.Name] != f.Version {
				out.Code = bonded.CodeConflict
			}
			out.Ciphertexts = append(out.Ciphertexts, p.sealed[f.Name])
			keys = append(keys, p.keys[f.Name]...)
		}
		if items[i].Envelope != [32]byte{} {
			out.Envelope = p.envelope
		}
		hash := verify.ScopeItemHash(raw)
		if out.Sealed, err = seal.SealTo(key.Seal, verify.ReleaseInfo(c.Case, digest), hash[:], keys); err != nil {
			return err
		}
		if err := each(out); err != nil {
			return err
		}
	}
	return r.op("released")
}

func (r *records) Reseal(_ context.Context, id bonded.CaseID, items []verify.ScopeItem) error {
	if err := r.op("reseal"); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resealed[id] += len(items)
	return nil
}

func (r *records) Receipt(context.Context, string, bonded.ID) (json.RawMessage, error) {
	return json.RawMessage(`{}`), r.op("receipt")
}

func (r *records) Contact(_ context.Context, _ bonded.CaseID, subject bonded.ID) (string, string, error) {
	if err := r.op("contact"); err != nil {
		return "", "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.rows {
		if p.subject == subject {
			return p.values["email"], "de", nil
		}
	}
	return "", "", nil
}
