package sqldb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"bonded"
)

// Stats count what the writer has done since [Open].
type Stats struct {
	Commits uint64 // transactions committed
	Jobs    uint64 // jobs in them, failed ones included
	Failed  uint64 // transactions that could not be committed
}

type counters struct{ commits, jobs, failed atomic.Uint64 }

// Stats returns the counts so far.
func (db *DB) Stats() Stats {
	return Stats{Commits: db.stats.commits.Load(), Jobs: db.stats.jobs.Load(), Failed: db.stats.failed.Load()}
}

// run is the writer goroutine. A commit begins as soon as the one before has
// ended; nothing waits for company on purpose.
func (db *DB) run(tx *Tx) {
	defer close(db.stopped)
	defer tx.closeStmts()
	for {
		select {
		case <-db.wake:
		case <-db.stop:
			for batch := db.take(); len(batch) > 0; batch = db.take() {
				db.commit(tx, batch)
			}
			return
		}
		for batch := db.take(); len(batch) > 0; batch = db.take() {
			db.commit(tx, batch)
			db.checkpoint.after(tx)
		}
	}
}

// take returns the jobs of the next commit. It first lets goroutines run that
// are about to give theirs: after a commit all its callers wake at once.
func (db *DB) take() []*Job {
	db.mu.Lock()
	for n, spins := len(db.queue), 0; n > 0 && n < db.maxBatch && spins < 4; spins++ {
		db.mu.Unlock()
		runtime.Gosched()
		db.mu.Lock()
		if len(db.queue) == n {
			break
		}
		n = len(db.queue)
	}
	queue := db.queue
	n := min(len(queue), db.maxBatch)
	db.queue = append([]*Job(nil), queue[n:]...)
	db.mu.Unlock()

	batch := queue[:0:n]
	for _, j := range queue[:n] {
		if atomic.CompareAndSwapUint32(&j.state, jobWaiting, jobTaken) {
			batch = append(batch, j)
		}
	}
	if len(batch) == 0 && n > 0 {
		return db.take() // all of them had given up
	}
	return batch
}

// commit runs the jobs in one transaction and tells their callers.
func (db *DB) commit(tx *Tx, jobs []*Job) {
	var hook Hook
	if h := db.hook.Load(); h != nil {
		hook = *h
	}
	err := db.transaction(tx, jobs, hook)
	if err != nil {
		db.stats.failed.Add(1)
		if isFatal(err) {
			db.setFatal(err)
		}
		if _, ok := errors.AsType[*bonded.Error](err); !ok {
			err = notWritable(err)
		}
		db.logFailure(len(jobs), err)
	} else {
		db.stats.commits.Add(1)
		db.stats.jobs.Add(uint64(len(jobs)))
		if db.failing > 0 {
			db.log.Info("commits succeed again", slog.Int("failed", db.failing))
			db.failing = 0
		}
	}
	if hook != nil {
		hook.AfterCommit(jobs, err)
	}
	for _, j := range jobs {
		if j.final = err; err == nil {
			j.final = j.err
		}
		close(j.done)
	}
}

// logFailure logs the first failure of a row of them and then one a second: a
// full disk is not helped by a log of every caller.
func (db *DB) logFailure(jobs int, err error) {
	db.failing++
	if now := time.Now(); db.failing == 1 || now.Sub(db.failureLogged) >= time.Second {
		db.failureLogged = now
		db.log.Error("a commit failed; all its jobs are refused", slog.Int("jobs", jobs), slog.Int("failed", db.failing), slog.Any("err", err))
	}
}

func (db *DB) transaction(tx *Tx, jobs []*Job, hook Hook) (err error) {
	if f := db.fatal.Load(); f != nil {
		return notWritable(*f)
	}
	tx.broken = nil

	// 1. One transaction for all.
	if _, err := tx.Exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_, _ = tx.Exec("ROLLBACK") // may be done by SQLite already; the next BEGIN would say so
		}
	}()

	// 2. Each job, undone alone if it fails.
	for _, j := range jobs {
		if j.Do == nil {
			continue
		}
		if err := db.runJob(tx, j); err != nil {
			return err
		}
	}

	// 3. What the hook adds, then the one flush.
	if hook != nil {
		if err := hook.BeforeCommit(tx, jobs); err != nil {
			return fmt.Errorf("before commit: %w", err)
		}
	}
	if tx.broken != nil {
		return tx.broken
	}
	if _, err := tx.Exec("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// runJob returns an error only if the whole transaction is lost.
func (db *DB) runJob(tx *Tx, j *Job) error {
	if _, err := tx.Exec("SAVEPOINT job"); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	j.err = db.call(j.ctx, tx, j)
	if tx.broken != nil {
		return tx.broken
	}
	if j.err != nil {
		if _, err := tx.Exec("ROLLBACK TO job"); err != nil {
			return fmt.Errorf("undo a job: %w", err)
		}
	}
	if _, err := tx.Exec("RELEASE job"); err != nil {
		return fmt.Errorf("end a job: %w", err)
	}
	return nil
}

// call runs the job and turns a panic into its error: one caller's defect must
// not end everybody's writer. The value of the panic may hold data and is not
// shown.
func (db *DB) call(ctx context.Context, tx *Tx, j *Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 16<<10)
			stack = stack[:runtime.Stack(stack, false)]
			db.log.ErrorContext(ctx, "a job panicked", slog.String("stack", string(stack)))
			err = bonded.Errorf(bonded.CodeInternal, "internal error")
		}
	}()
	return j.Do(ctx, tx)
}
