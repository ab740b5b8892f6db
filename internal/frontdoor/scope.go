package frontdoor

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"bonded"
	"bonded/internal/canon"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/handover"
	"bonded/verify"
)

// scopePage is how many items of a scope are kept, released and put into a
// package at once.
const scopePage = handover.MaxReleaseItems

// runScope makes the scope of a case under the key set in force and puts it
// before the custodians. It is made anew when they have handed on to others
// meanwhile: what the old ones approved counts no more.
func (s *Service) runScope(ctx context.Context, w *frontdoorsql.Work) error {
	// 1. Whether it is wanted, and by whom.
	q, c, err := s.workCase(ctx, w)
	if err != nil {
		return err
	}
	now := s.custody.Load()
	if !c.scopeWanted() || now != nil && c.Scope != nil && c.Scope.Epoch == now.custodians.Epoch {
		return s.drop(ctx, w)
	}
	if now == nil {
		return errLater // no ceremony was held yet: the timer of the quorum runs
	}

	// 2. Whom it is about: the vault searches, entered under the case.
	f, err := s.file(q, c)
	if err != nil {
		return err
	}
	found, err := s.resolve(ctx, c, f)
	if err != nil {
		return err
	}

	// 3. Exactly which record versions and fields.
	items, err := s.snapshot(ctx, c, f, found)
	if err != nil {
		return err
	}
	sc := &verify.Scope{
		Cell: s.cfg.Cell, Case: c.id.ID, Kind: c.Kind, Request: f.digest, Recipient: verify.RecipientDigest(f.request.Recipient),
		KeySet: now.custodians.KeySet, Epoch: now.custodians.Epoch, Expires: uint64(s.now().Add(s.cfg.PackageLife).Unix()), Items: items, //nolint:gosec // after 1970
	}

	// 4. One commit: the scope, and the entry that puts it before custodians.
	return s.change(ctx, c.id, s.now(), func(st *step) error {
		if !st.c.scopeWanted() || st.s.custody.Load() != now {
			return nil // somebody moved it on; the work is looked at again
		}
		st.found(found)
		if err := st.done(w); err != nil {
			return err
		}
		if !slices.ContainsFunc(st.c.Tasks, func(t task) bool { return t.Code == "" }) {
			return st.nobodyLeft()
		}
		return st.putScope(sc, f)
	})
}

// scopeWanted reports whether the case waits for custodians.
func (c *kase) scopeWanted() bool {
	return c.state == rules.StateAwaitingQuorum || c.state == rules.StateUnderReview && c.Asked
}

// nobodyLeft ends what no task is left of: everybody asked for could not be
// told apart, or was too many.
func (st *step) nobodyLeft() error {
	c := st.c
	c.Asked, c.Scope, c.Reject = false, nil, c.Tasks[0].Code
	if c.state == rules.StateAwaitingQuorum {
		return st.move(rules.StateLapsed, &act{by: rules.RoleClock, detail: c.Reject})
	}
	return st.note(verify.EventAlarm, c.Reject, &act{by: rules.RoleVaultkeeper}) // legal decides
}

// putScope keeps a scope, page by page, with its entry.
func (st *step) putScope(sc *verify.Scope, f *file) error {
	c := st.c
	c.Round++
	c.Scope = &scope{Head: verify.EncodeScopeHead(sc), Digest: sc.Digest(), Items: len(sc.Items), Epoch: sc.Epoch, Expires: int64(sc.Expires)} //nolint:gosec // made above
	for page := 0; page*scopePage < len(sc.Items); page++ {
		part := sc.Items[page*scopePage : min(len(sc.Items), (page+1)*scopePage)]
		var w canon.Writer
		w.Uint(uint64(len(part)))
		for i := range part {
			w.Bytes(verify.EncodeScopeItem(&part[i]))
			if part[i].Envelope != [32]byte{} {
				c.Scope.Sealed++
			}
		}
		sealed, err := st.s.seal(c.row.ID, scopeLabel(c.Round, page), w.B)
		if err != nil {
			return err
		}
		if err := st.q.PutScopePage(c.row.ID, c.Round, page, sealed); err != nil {
			return err
		}
	}
	detail := ""
	if c.Asked {
		detail = "emergency"
	}
	digests := [][32]byte{f.digest}
	for _, d := range f.signed {
		digests = append(digests, d.Digest(verify.LabelDecision))
	}
	return st.note(verify.EventQuorum, detail, &act{by: rules.RoleVaultkeeper, content: digests})
}

// people are whom the targets of a case name.
type people struct {
	matches []handover.Match
	people  []bonded.ID
	tasks   []foundTask
}

type foundTask struct {
	matched int
	code    rules.RejectCode // why the task cannot go on
}

// resolve has the vault find the targets of the tasks that are not refused.
func (s *Service) resolve(ctx context.Context, c *kase, f *file) (*people, error) {
	// 1. All targets in one call, one person more than are allowed.
	tasks := c.standing(f)
	var targets []handover.Target
	limit := 1
	index := map[int]int{} // of the first target of each task
	for i := range tasks {
		if tasks[i].Refused != "" {
			continue
		}
		index[i] = len(targets)
		for _, t := range tasks[i].Targets {
			targets = append(targets, handover.Target{Task: i, Collection: tasks[i].Collection, Format: t.Format, Value: t.Value})
		}
		limit += max(1, tasks[i].MaxSubjects)
	}
	out := &people{tasks: make([]foundTask, len(tasks))}
	if len(targets) == 0 {
		return out, nil
	}
	matches, err := s.cfg.Records.Resolve(ctx, c.id, targets, limit)
	if err != nil {
		return nil, err
	}

	// 2. A target that names several people names none; a task that names too
	// many is too broad.
	byTarget, byTask := map[int]map[bonded.ID]bool{}, map[int]map[bonded.ID]bool{}
	for _, m := range matches {
		if m.Target < 0 || m.Target >= len(targets) || m.Task != targets[m.Target].Task {
			return nil, bonded.Errorf(bonded.CodeInternal, "the vault found what nobody asked for")
		}
		if byTarget[m.Target] == nil {
			byTarget[m.Target] = map[bonded.ID]bool{}
		}
		byTarget[m.Target][m.Subject] = true
		if byTask[m.Task] == nil {
			byTask[m.Task] = map[bonded.ID]bool{}
		}
		byTask[m.Task][m.Subject] = true
	}
	for i := range tasks {
		out.tasks[i].matched = len(byTask[i])
		if len(byTask[i]) > max(1, tasks[i].MaxSubjects) {
			out.tasks[i].code = rules.RejectTooBroad
		}
		first, ok := index[i]
		for j := range tasks[i].Targets {
			if ok && len(byTarget[first+j]) > 1 {
				out.tasks[i].code = rules.RejectNotEnoughToIdentify
			}
		}
	}
	seen := map[bonded.ID]bool{}
	for _, m := range matches {
		if out.tasks[m.Task].code != "" {
			continue
		}
		out.matches = append(out.matches, m)
		if !seen[m.Subject] {
			seen[m.Subject] = true
			out.people = append(out.people, m.Subject)
		}
	}
	slices.SortFunc(out.people, func(a, b bonded.ID) int { return slices.Compare(a[:], b[:]) })
	return out, nil
}

// found notes whom a case turned out to name.
func (st *step) found(p *people) {
	st.c.Subjects = p.people
	for i := range p.tasks {
		st.c.Tasks[i].Matched = p.tasks[i].matched
		if p.tasks[i].code != "" {
			st.refuseTask(i, string(p.tasks[i].code))
		}
	}
}

// snapshot has the vault say which record versions hold what is asked for. An
// item that nobody asked for is a defect, or worse.
func (s *Service) snapshot(ctx context.Context, c *kase, f *file, p *people) ([]verify.ScopeItem, error) {
	tasks := c.standing(f)
	type place struct {
		task   int
		record bonded.ID
	}
	var wants []handover.Want
	asked := map[place]*handover.Want{}
	for _, m := range p.matches {
		t := &tasks[m.Task]
		key := place{m.Task, m.Record}
		if t.Kind != "disclose" || asked[key] != nil {
			continue
		}
		want := handover.Want{Task: m.Task, Subject: m.Subject, Record: m.Record, Collection: t.Collection, Fields: t.FieldsWanted, Match: m.Field}
		wants = append(wants, want)
		asked[key] = &want
	}
	if len(wants) == 0 {
		return nil, nil
	}
	items, err := s.cfg.Records.Snapshot(ctx, c.id, wants)
	if err != nil {
		return nil, err
	}
	if len(items) > verify.MaxScopeItems {
		return nil, bonded.Errorf(bonded.CodeTooLarge, "the case is over more than 10,000 records: narrow it")
	}
	for i := range items {
		it := &items[i]
		want := asked[place{int(it.Task), it.Record}]
		if want == nil || it.Subject != want.Subject || it.Collection != want.Collection {
			return nil, bonded.Errorf(bonded.CodeInternal, "the vault put a record into a scope that nobody asked for")
		}
		for _, field := range it.Fields {
			if !slices.Contains(want.Fields, field.Name) && (!field.Match || field.Name != want.Match) {
				return nil, bonded.Errorf(bonded.CodeInternal, "the vault put a field into a scope that nobody asked for")
			}
		}
	}
	return items, nil
}

// scopeItems reads one page of the scope of a round.
func (s *Service) scopeItems(q frontdoorsql.Q, id bonded.ID, round uint64, page int) ([]verify.ScopeItem, error) {
	sealed, err := q.ScopePage(id, round, page)
	if err != nil || sealed == nil {
		return nil, err
	}
	b, err := s.unseal(id, scopeLabel(round, page), sealed)
	if err != nil {
		return nil, err
	}
	r := canon.NewReader(b)
	items := make([]verify.ScopeItem, r.Count(scopePage))
	for i := range items {
		it, err := verify.DecodeScopeItem(r.Bytes(1 << 20))
		if err != nil {
			return nil, altered("scope", err)
		}
		items[i] = *it
	}
	if r.Done() != nil {
		return nil, altered("scope", nil)
	}
	return items, nil
}

// itemHashes returns the hashes of all items of the scope of a case.
func (s *Service) itemHashes(q frontdoorsql.Q, c *kase) ([][32]byte, error) {
	out := make([][32]byte, 0, c.Scope.Items)
	for page := 0; page*scopePage < c.Scope.Items; page++ {
		items, err := s.scopeItems(q, c.row.ID, c.Round, page)
		if err != nil {
			return nil, err
		}
		for i := range items {
			out = append(out, verify.ScopeItemHash(verify.EncodeScopeItem(&items[i])))
		}
	}
	if len(out) != c.Scope.Items {
		return nil, altered("scope", nil)
	}
	return out, nil
}

func scopeLabel(round uint64, page int) string { return fmt.Sprintf("scope/%d/%d", round, page) }

func hexOf(h [32]byte) string { return hex.EncodeToString(h[:]) }
