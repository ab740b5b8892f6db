package console

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"bonded"
	"bonded/verify"
)

// ledgerPageSize is how many entries the explorer shows at once.
const ledgerPageSize = 20

// A ledgerHead is the newest checkpoint and who cosigned it.
type ledgerHead struct {
	cp        *verify.Checkpoint // nil: none yet
	age       time.Duration
	witnesses []witnessLine
	quorum    bool
}

// A witnessLine is one witness of the policy.
type witnessLine struct {
	name string // in the policy
	key  string // name of its key
	url  string
	at   time.Time // zero: it did not cosign this checkpoint
}

// staleAfter is the age at which nothing opens any more.
const staleAfter = 15 * time.Minute

func (h *ledgerHead) size() int64 {
	if h.cp == nil {
		return 0
	}
	return h.cp.Size
}

func (h *ledgerHead) cosigned() (n int) {
	for i := range h.witnesses {
		if !h.witnesses[i].at.IsZero() {
			n++
		}
	}
	return n
}

func (x *visit) ledgerHead() (*ledgerHead, error) {
	d := x.c.cfg.Directory()
	cell, ok := d.Cell(x.c.cfg.Cell)
	if !ok {
		return nil, bonded.Errorf(bonded.CodeConfig, "the directory has no cell %s", x.c.cfg.Cell)
	}
	policy, err := verify.ParseWitnessPolicy([]byte(cell.WitnessPolicy))
	if err != nil {
		return nil, err
	}
	h := new(ledgerHead)
	h.cp, err = x.c.cfg.Ledger.Latest()
	if err != nil && bonded.CodeOf(err) != bonded.CodeStale {
		return nil, err
	}
	if h.cp != nil {
		h.age = max(0, x.c.cfg.Now().Sub(h.cp.WitnessTime()))
	}
	for _, w := range policy.Witnesses() {
		l := witnessLine{name: w.Name, url: w.URL}
		key, err := verify.ParseCosignatureVkey(w.Vkey)
		if err != nil {
			return nil, err
		}
		l.key = key.Name()
		if h.cp != nil {
			i := slices.IndexFunc(h.cp.Cosignatures, func(c verify.Cosignature) bool { return c.Name == key.Name() && c.KeyHash == key.KeyHash() })
			if i >= 0 {
				l.at = time.Unix(h.cp.Cosignatures[i].Time, 0).UTC()
			}
		}
		h.witnesses = append(h.witnesses, l)
	}
	h.quorum = h.cp != nil && !h.cp.WitnessTime().IsZero()
	return h, nil
}

// A ledgerEntry is one leaf with what was published of it.
type ledgerEntry struct {
	index  int64
	raw    []byte
	leaf   *verify.Leaf // nil: not one this version reads
	opened *verify.OpenedCase
}

func (e *ledgerEntry) hash() string {
	h := tlog.RecordHash(e.raw)
	return hex.EncodeToString(h[:])
}

// kind is the name of the kind of leaf.
func (e *ledgerEntry) kind() string {
	if e.leaf == nil {
		return "unknown"
	}
	switch e.leaf.Kind {
	case verify.LeafAnchor:
		return "anchor"
	case verify.LeafDirectory:
		return "directory"
	case verify.LeafControl:
		return "control"
	case verify.LeafCase:
		switch {
		case e.opened == nil:
			return "closed"
		case e.opened.Shut(verify.FieldType) || e.opened.Entry.Type == "":
			return "closed"
		}
		return e.opened.Entry.Type
	}
	return "unknown"
}

func (e *ledgerEntry) time() time.Time { return time.Unix(int64(e.leaf.Time), 0).UTC() } //nolint:gosec // seconds

func (e *ledgerEntry) openBy() time.Time {
	if e.leaf.OpenBy == 0 {
		return time.Time{}
	}
	return time.Unix(int64(e.leaf.OpenBy), 0).UTC() //nolint:gosec // seconds
}

// entries reads entries with their openings.
func (x *visit) entries(from int64, n int) ([]ledgerEntry, error) {
	raw, err := x.c.cfg.Ledger.ReadEntries(x.r.Context(), from, n)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	openings, err := x.c.cfg.Cases.OpeningsAt(x.r.Context(), from, from+int64(len(raw)))
	if err != nil {
		return nil, err
	}
	out := make([]ledgerEntry, len(raw))
	for i, b := range raw {
		out[i] = ledgerEntry{index: from + int64(i), raw: b}
		if l, err := verify.DecodeLeaf(b); err == nil {
			out[i].leaf = l
		}
	}
	for _, o := range openings {
		e := &out[o.Index-from]
		opened, err := o.Check()
		if err != nil || string(o.Leaf) != string(e.raw) {
			return nil, bonded.Errorf(bonded.CodeAltered, "what is published of entry %d is not of that entry", o.Index)
		}
		e.opened = opened
	}
	return out, nil
}

// A ledgerList is a page of the explorer.
type ledgerList struct {
	head    *ledgerHead
	url     string
	entries []ledgerEntry // newest first
	newer   string        // addresses of the pages beside this one
	older   string
}

func (x *visit) ledgerPage() error {
	l := new(ledgerList)
	var err error
	if l.head, err = x.ledgerHead(); err != nil {
		return err
	}
	cell, _ := x.c.cfg.Directory().Cell(x.c.cfg.Cell)
	l.url = cell.Ledger
	size := uint64(l.head.size()) //nolint:gosec // not negative
	end, err := x.number("before", size)
	if err != nil {
		return err
	}
	end = min(end, size)
	from := uint64(0)
	if end > ledgerPageSize {
		from = end - ledgerPageSize
	}
	if end > from {
		if l.entries, err = x.entries(int64(from), int(end-from)); err != nil { //nolint:gosec // a page within the ledger
			return err
		}
	}
	slices.Reverse(l.entries)
	if end < size {
		l.newer = "/console/ledger?before=" + strconv.FormatUint(min(size, end+ledgerPageSize), 10)
	}
	if from > 0 {
		l.older = "/console/ledger?before=" + strconv.FormatUint(from, 10)
	}
	return x.show(x.T("ledger.title"), ledgerView(x, l))
}

// oneEntry reads the entry that the path names.
func (x *visit) oneEntry() (*ledgerEntry, error) {
	s := x.r.PathValue("index")
	index, err := strconv.ParseInt(s, 10, 63)
	if err != nil || index < 0 || strconv.FormatInt(index, 10) != s {
		return nil, x.nowhere()
	}
	list, err := x.entries(index, 1)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, &bonded.Error{Code: bonded.CodeWithheld, Message: "the ledger has no such entry", Hint: "its entries count from 0"}
	}
	return &list[0], nil
}

func (x *visit) ledgerEntryPage() error {
	e, err := x.oneEntry()
	if err != nil {
		return err
	}
	cell, _ := x.c.cfg.Directory().Cell(x.c.cfg.Cell)
	h, err := x.ledgerHead()
	if err != nil {
		return err
	}
	return x.show(x.T("ledger.entry_title", "index", strconv.FormatInt(e.index, 10)), ledgerEntryView(x, e, h, cell.Ledger))
}

func (x *visit) ledgerProof() error {
	e, err := x.oneEntry()
	if err != nil {
		return err
	}
	proof, err := x.c.cfg.Ledger.TlogProof(x.r.Context(), e.index)
	if err != nil {
		return err
	}
	return x.attach(string(x.c.cfg.Cell)+"-"+strconv.FormatInt(e.index, 10)+".tlog-proof", "text/plain; charset=utf-8", proof)
}

func (x *visit) ledgerOpening() error {
	e, err := x.oneEntry()
	if err != nil {
		return err
	}
	list, err := x.c.cfg.Cases.OpeningsAt(x.r.Context(), e.index, e.index+1)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return &bonded.Error{Code: bonded.CodeWithheld, Message: "nothing was published of this entry", Hint: "wait for its date"}
	}
	b, err := json.MarshalIndent(list[0], "", "  ")
	if err != nil {
		return err
	}
	return x.attach(string(x.c.cfg.Cell)+"-"+strconv.FormatInt(e.index, 10)+".opening.json", "application/json", append(b, '\n'))
}

// A factLine is one line of what an entry says.
type factLine struct{ key, value string }

// says are the fields of an opened entry that have something in them.
func (e *ledgerEntry) says() (out []factLine) {
	c := e.opened.Entry
	add := func(key, value string) {
		if value != "" {
			out = append(out, factLine{key, value})
		}
	}
	if !c.Case.IsZero() {
		add(verify.FieldCase, c.Case.Hex())
		add(verify.FieldNumber, strconv.FormatUint(c.Number, 10))
	}
	add(verify.FieldJurisdiction, c.Jurisdiction)
	add(verify.FieldRequester, c.Requester)
	add(verify.FieldProcess, c.Process)
	add(verify.FieldBasis, c.Basis)
	add(verify.FieldClass, c.Class)
	add(verify.FieldEvent, c.Event)
	add(verify.FieldFrom, c.From)
	add(verify.FieldState, c.State)
	add(verify.FieldActor, c.Actor)
	add(verify.FieldDetail, c.Detail)
	if c.Targets > 0 {
		add(verify.FieldTargets, strconv.FormatUint(c.Targets, 10))
	}
	if c.Subjects > 0 {
		add(verify.FieldSubjects, strconv.FormatUint(c.Subjects, 10))
	}
	for _, d := range []struct {
		key string
		sum [32]byte
	}{{verify.FieldScope, c.Scope}, {verify.FieldContent, c.Content}, {verify.FieldPrevious, c.Previous}, {verify.FieldExtends, c.Extends}} {
		if d.sum != [32]byte{} {
			add(d.key, hex.EncodeToString(d.sum[:]))
		}
	}
	for _, t := range []struct {
		key string
		at  uint64
	}{{verify.FieldTime, c.Time}, {verify.FieldUntil, c.Until}} {
		if t.at > 0 {
			add(t.key, time.Unix(int64(min(t.at, 1<<40)), 0).UTC().Format(time.RFC3339)) //nolint:gosec // bounded
		}
	}
	return out
}
