package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/journal"
	"bonded/internal/seal"
	"bonded/internal/wire"
	"bonded/verify"
)

// Kinds of background work.
const (
	jobRotate = "rotate" // a new version of the cell key; the keyholder re-wraps
	jobReseal = "reseal" // every record of a collection under a next version id
)

// resealBatch is how many records one entry of a re-seal covers.
const resealBatch = 64

// resealFields is how many fields of a record one entry covers: each takes two
// keys.
const resealFields = verify.MaxRowFields / 2

// A jobBody is a job at rest.
type jobBody struct {
	apitype.Job
	After uint64 `json:"after"` // place of the last record done
}

// JobStart starts background work and returns at once.
func (v *Vault) JobStart(ctx context.Context, call *Call, q *apitype.JobRequest) (*apitype.Job, error) {
	op := verify.OpReseal
	switch q.Kind {
	case jobRotate:
		op = verify.OpRotate
	case jobReseal:
	default:
		return nil, v.refused(call, op, "", nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "kind", Message: "no such work", Hint: "use rotate or reseal"})
	}
	if out, err := replayed[apitype.Job](ctx, v, call, op); out != nil || err != nil {
		return out, err
	}
	id := bonded.NewID()
	job := &jobBody{Job: apitype.Job{ID: id.Hex(), Kind: q.Kind, Collection: q.Collection, State: "running", Started: v.now().UTC().Truncate(time.Second)}}

	// 1. Decide. Starting a re-seal opens nothing: that is for the job's grant.
	starter := *call
	if starter.Assurance == verify.AssuranceProven {
		starter.Assurance, starter.Proof = verify.AssuranceVault, nil
	}
	defer func() { call.Promise = starter.Promise }()
	if op == verify.OpReseal {
		if v.jobGrant() == nil {
			return nil, v.refused(&starter, op, q.Collection, nil, bonded.Errorf(bonded.CodeConfig, "the vault has no grant for background work"))
		}
		c, err := v.collection(&starter, q.Collection)
		if err != nil {
			return nil, v.refused(&starter, op, q.Collection, nil, err)
		}
		_, records := v.store.Count(c.ID)
		job.Total = records
	}
	a, err := v.begin(&starter, verify.OpRotate, nil)
	if err != nil {
		return nil, err
	}
	a.collection = q.Collection

	// 2. Enter, then begin.
	err = v.enterReplayed(ctx, a, func(tx Tx) error { return putJob(tx, id, job) }, &job.Job)
	if err != nil {
		return nil, err
	}
	if op == verify.OpRotate {
		s, err := v.cfg.Keys.Rotate(ctx)
		if err != nil {
			v.endJob(id, job, err)
			return nil, v.lineError(err)
		}
		job.Done, job.Total = s.Rewrapped, s.Subjects
		return &job.Job, nil
	}
	v.workers.Go(func() { v.reseal(id, job) })
	out := job.Job
	return &out, nil
}

func putJob(tx Tx, id bonded.ID, job *jobBody) error {
	b, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("encode job: %w", err)
	}
	return tx.PutJob(&JobRow{ID: id, Body: b, Open: job.State == "running"})
}

// JobStatus says how background work stands.
func (v *Vault) JobStatus(ctx context.Context, call *Call, id string) (*apitype.Job, error) {
	a, err := v.begin(call, verify.OpStatus, nil)
	if err != nil {
		return nil, err
	}
	jid, err := bonded.ParseHexID(id)
	if err != nil {
		return nil, v.fail(a, &bonded.Error{Code: bonded.CodeBadID, Field: "id", Message: "not the id of a job"})
	}
	row, err := v.store.Job(ctx, jid)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, v.fail(a, withheld("id"))
	}
	job := new(jobBody)
	if err := json.Unmarshal(row.Body, job); err != nil {
		return nil, altered(err)
	}
	if job.Kind == jobRotate && job.State == "running" {
		s, err := v.cfg.Keys.Status(ctx)
		if err != nil {
			return nil, v.lineError(err)
		}
		if job.Done, job.Total = s.Rewrapped, s.Subjects; job.Done >= job.Total {
			v.endJob(jid, job, nil)
		}
	}
	if _, err := v.enter(ctx, a, nil); err != nil {
		return nil, err
	}
	return &job.Job, nil
}

// endJob keeps how a job ended.
func (v *Vault) endJob(id bonded.ID, job *jobBody, err error) {
	now := v.now().UTC().Truncate(time.Second)
	job.State, job.Ended = "done", &now
	if err != nil {
		job.State, job.Code = "failed", string(bonded.CodeOf(err))
	}
	if _, err := v.store.Commit(v.background, nil, func(tx Tx) error { return putJob(tx, id, job) }); err != nil {
		v.log.LogAttrs(v.background, slog.LevelWarn, "end of a job is not kept", slog.String("job", id.Hex()), slog.Any("cause", err))
	}
}

// resumeJobs goes on with what was under way when the process ended.
func (v *Vault) resumeJobs(ctx context.Context) error {
	rows, err := v.store.OpenJobs(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		job := new(jobBody)
		if err := json.Unmarshal(r.Body, job); err != nil {
			return altered(err)
		}
		if job.Kind == jobReseal {
			v.workers.Go(func() { v.reseal(r.ID, job) })
		}
	}
	return nil
}

// reseal brings every record of a collection under a next version id. It goes
// on where it stood, and waits while nothing may open.
func (v *Vault) reseal(id bonded.ID, job *jobBody) {
	c := v.cfg.Schema.Collections[job.Collection]
	tick := time.NewTicker(recoverEvery)
	defer tick.Stop()
	for {
		n, err := v.resealPage(id, c, job)
		switch {
		case err == nil && n == 0:
			v.endJob(id, job, nil)
			return
		case err == nil:
			select {
			case <-v.stop:
				return
			default:
			}
		case waits(err):
			select {
			case <-v.stop:
				return
			case <-tick.C:
			}
		default:
			v.endJob(id, job, err)
			return
		}
	}
}

// waits reports whether an error goes away by itself.
func waits(err error) bool {
	switch bonded.CodeOf(err) {
	case bonded.CodeKeyholder, bonded.CodeSealed, bonded.CodeStale, bonded.CodeNotWritable, bonded.CodeBusy, bonded.CodeBudget:
		return true
	default:
		return false
	}
}

func (v *Vault) resealPage(id bonded.ID, c *Collection, job *jobBody) (int, error) {
	if c == nil {
		return 0, bonded.Errorf(bonded.CodeUnknownCollection, "the collection is gone from the schema")
	}
	g := v.jobGrant()
	if g == nil {
		return 0, bonded.Errorf(bonded.CodeConfig, "the vault has no grant for background work")
	}
	page, err := v.store.Page(v.background, c.ID, job.After, resealBatch)
	if err != nil || len(page) == 0 {
		return 0, err
	}
	page = page[:v.fitting(page, resealBatch, 2)] // the old key and the new one of each field

	// 1. Decide under the job's grant.
	call := v.jobCall(g, id)
	d, err := v.decide(call, verify.OpReseal, c, c.byID)
	if err != nil {
		return 0, v.refused(call, verify.OpReseal, c.Name, nil, err)
	}
	var records []*Record
	widest := 0
	for _, r := range page {
		if r.State == StateActive && len(r.Fields) > 0 {
			records, widest = append(records, r), max(widest, len(r.Fields))
		}
	}

	// 2. Re-seal, and keep with the last part how far the job is.
	last := *job
	last.After, last.Done = page[len(page)-1].N, min(job.Done+uint64(len(page)), job.Total)
	keep := func(tx Tx) error { return putJob(tx, id, &last) }
	if len(records) == 0 {
		_, err := v.store.Commit(v.background, nil, keep)
		*job = last
		return len(page), err
	}
	for from := 0; from < widest; from += resealFields {
		a := v.newAsk(call, verify.OpReseal, c, d)
		a.job, a.resolved = id, true
		change := keep
		if from+resealFields < widest {
			change = func(Tx) error { return nil }
		}
		if err := v.resealPart(a, c, records, from, change); err != nil {
			return 0, err
		}
	}
	*job = last
	return len(page), nil
}

// resealPart brings some of the fields of records under a next version, those
// from a place on, and puts what became of them into records.
func (v *Vault) resealPart(a *ask, c *Collection, records []*Record, from int, keep func(Tx) error) error {
	// 1. Ask for the old keys and new ones.
	var of []int // record of each item
	for i, r := range records {
		if from >= len(r.Fields) {
			continue
		}
		it := wire.Item{Subject: r.Subject, Record: r.ID}
		for _, s := range r.Fields[from:min(from+resealFields, len(r.Fields))] {
			f := c.field(s.Field)
			if f == nil {
				return altered(nil)
			}
			it.Fields = append(it.Fields, wire.FieldVersion{Name: f.Name, Version: s.Version}, wire.FieldVersion{Name: f.Name})
		}
		a.items, of = append(a.items, it), append(of, i)
	}
	if err := v.submit(v.background, v.writes, a); err != nil {
		return err
	}
	defer a.finished()
	defer wipeKeys(a.result)

	// 2. Open and seal; what is altered stays as it is and is named.
	next := make([]*Record, len(of))
	for k, i := range of {
		var err error
		if next[k], err = v.resealRecord(c, records[i], from, &a.result.Items[k]); err != nil {
			v.log.LogAttrs(v.background, slog.LevelError, "record cannot be re-sealed", slog.String("record", v.recordText(records[i].ID).String()), slog.Any("cause", err))
		}
	}

	// 3. One commit. A record changed meanwhile has a newer version anyway.
	_, err := v.store.Commit(v.background, []journal.Prepared{a.prepared}, func(tx Tx) error {
		for k, i := range of {
			if next[k] == nil {
				continue
			}
			if err := tx.UpdateRecord(next[k], records[i]); err != nil && !isCode(err, bonded.CodeConflict) {
				return err
			}
		}
		return keep(tx)
	})
	if err != nil {
		v.lost(err)
		return notWritable(err)
	}
	for k, i := range of {
		if next[k] != nil {
			records[i] = next[k]
		}
	}
	return nil
}

// resealRecord returns the record with the fields of one answer under the next
// version.
func (v *Vault) resealRecord(c *Collection, r *Record, from int, answer *wire.ItemResult) (*Record, error) {
	if answer.Code != "" {
		return nil, itemRefused(answer.Code, "")
	}
	next := *r
	next.Fields = slices.Clone(r.Fields)
	for k := 0; 2*k < len(answer.Keys); k++ {
		s := &next.Fields[from+k]
		f := c.field(s.Field)
		plain, err := v.openField(c, r, f, s, &answer.Keys[2*k])
		if err != nil {
			return nil, err
		}
		key, err := seal.KeyFromBytes(answer.Keys[2*k+1][:])
		clear(answer.Keys[2*k+1][:])
		if err != nil {
			clear(plain)
			return nil, fmt.Errorf("take key: %w", err)
		}
		s.Version = answer.Version
		s.Sealed, err = key.Seal(v.cfg.Suite, plain, v.context(c, r, f, s.Version))
		key.Wipe()
		clear(plain)
		if err != nil {
			return nil, fmt.Errorf("re-seal record: %w", err)
		}
	}
	return &next, nil
}
