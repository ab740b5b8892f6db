package verify

// A ReportTally counts the key releases of a period while the books are
// reconciled: give its method Release as [ReconcileOptions.Release]. A release
// is a row of the keyholder's book, and its time is by the keyholder's clock.
type ReportTally struct {
	Period ReportPeriod

	Proven      uint64 // by application policy; the asker proved it to the keyholder
	Asserted    uint64 // by application policy, on the vault's word
	Jobs        uint64
	Subject     uint64
	FrontDoor   uint64
	Unexplained uint64 // releases without an entry, of the whole books; must be 0
}

// Release counts one release that has its entry.
func (t *ReportTally) Release(b *BookRow) {
	if !t.Period.in(b.Time / 1000) {
		return
	}
	switch b.Assurance {
	case AssuranceProven:
		t.Proven++
	case AssuranceSubject:
		t.Subject++
	case AssuranceJob:
		t.Jobs++
	case AssuranceCase:
		t.FrontDoor++
	case AssuranceNone, AssuranceVault:
		t.Asserted++
	}
}

// row is the table of operations. What went through the front door is always in
// a band, and so is the sum: cases under secrecy are among it.
func (t *ReportTally) row(k int64) *shownRow {
	n := func(v uint64) shown { return shown{v: int64(v), lo: int64(v), hi: int64(v)} } //nolint:gosec // counts
	door := n(t.FrontDoor)
	door.band(k)
	rest := t.Proven + t.Asserted + t.Jobs + t.Subject + t.Unexplained
	sum := n(rest + t.FrontDoor)
	sum.lo, sum.hi, sum.width = int64(rest)+door.lo, int64(rest)+door.hi, door.width //nolint:gosec // counts
	return &shownRow{cells: []shown{
		sum, n(t.Proven + t.Asserted), n(t.Proven), n(t.Asserted), n(t.Jobs), door, n(t.Subject), n(0), n(t.Unexplained),
	}}
}

// custodyRow is the table of custody at the end of a period: the newest key set
// whose certificate was entered by then. Nil if there is none.
func custodyRow(sets []*CertifiedKeySet, public []*OpenedCase, p ReportPeriod) *shownRow {
	entered := map[[32]byte]uint64{}
	for _, o := range public {
		if o.Entry.Type == EntryCustody && !p.after(o.Leaf.Time) {
			entered[o.Entry.Content] = o.Leaf.Time
		}
	}
	var last *CertifiedKeySet
	var ceremonies, refreshes, changed int64
	for _, s := range sets {
		at, ok := entered[s.Content]
		if !ok {
			continue
		}
		if p.in(at) {
			ceremonies++
			n := newCustodians(last, s)
			changed += n
			if last != nil && n == 0 {
				refreshes++
			}
		}
		last = s
	}
	if last == nil {
		return nil
	}
	var n, m int64
	for i := range last.Custodians.Roles {
		n += int64(len(last.Custodians.Roles[i].Members))
		m += int64(last.Custodians.Roles[i].Threshold)
	}
	row := &shownRow{key: []string{p.To.Format("2006-01-02")}}
	for _, v := range []int64{n, m, int64(len(last.Custodians.Roles)), -1, ceremonies, refreshes, changed} {
		row.cells = append(row.cells, shown{v: v, lo: v, hi: v, none: v < 0, least: v < 0})
	}
	return row
}

// newCustodians returns how many custodians of the key set were not in the one
// before; of a first one, none.
func newCustodians(before, s *CertifiedKeySet) (n int64) {
	if before == nil {
		return 0
	}
	old := map[string]bool{}
	for i := range before.Custodians.Roles {
		for _, m := range before.Custodians.Roles[i].Members {
			old[m.ID] = true
		}
	}
	for i := range s.Custodians.Roles {
		for _, m := range s.Custodians.Roles[i].Members {
			if !old[m.ID] {
				n++
			}
		}
	}
	return n
}
