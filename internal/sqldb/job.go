package sqldb

import (
	"context"
	"sync/atomic"

	"bonded"
)

// A Job is one caller's part of a commit.
type Job struct {
	// Do makes the changes through tx. It runs on the writer goroutine with
	// everybody else's jobs behind it: no network, no waiting, no slow work. It
	// must not keep tx. If it returns an error its own changes are undone and
	// the others' stay. Nil means the job is only for the hook.
	Do func(ctx context.Context, tx *Tx) error

	// Payload is for the hook.
	Payload any

	ctx   context.Context //nolint:containedctx // the caller's, for Do
	err   error           // of Do
	final error           // what the caller gets
	state uint32          // atomic: Job is passed by value before it is given in
	done  chan struct{}
}

// Err returns what Do returned, for the hook.
func (j *Job) Err() error { return j.err }

// States of a job.
const (
	jobWaiting   = 0
	jobTaken     = 1
	jobAbandoned = 2
)

// A Hook runs on the writer goroutine around every commit that has jobs.
type Hook interface {
	// BeforeCommit may add changes for jobs, which are all jobs of this commit
	// in their order, also those whose Do failed (see [Job.Err]). An error
	// undoes the whole commit and is given to every job.
	BeforeCommit(tx *Tx, jobs []*Job) error

	// AfterCommit says how the commit of the same jobs ended, before their
	// callers learn it. A non-nil err means that nothing of it is visible and
	// that, after a crash, all of it or nothing may turn out to be there.
	AfterCommit(jobs []*Job, err error)
}

// Do runs job in the next commit and returns when it is durable, with the
// error of job.Do if there was one. A failure of the commit itself is a
// [bonded.Error] with [bonded.CodeNotWritable]; it is never tried again here.
//
// If ctx ends while the job waits for its turn, the job does not run and Do
// returns ctx's error. Once it runs, Do waits for the outcome.
func (db *DB) Do(ctx context.Context, job Job) error {
	j := &Job{Do: job.Do, Payload: job.Payload, ctx: ctx, done: make(chan struct{})}
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return bonded.Errorf(bonded.CodeNotWritable, "the database is closed")
	}
	db.queue = append(db.queue, j)
	db.mu.Unlock()
	select {
	case db.wake <- struct{}{}:
	default:
	}

	select {
	case <-j.done:
		return j.final
	case <-ctx.Done():
		if atomic.CompareAndSwapUint32(&j.state, jobWaiting, jobAbandoned) {
			return ctx.Err()
		}
		<-j.done
		return j.final
	}
}

// Update is [DB.Do] for a job without payload.
func (db *DB) Update(ctx context.Context, do func(ctx context.Context, tx *Tx) error) error {
	return db.Do(ctx, Job{Do: do})
}
