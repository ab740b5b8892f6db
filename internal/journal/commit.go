package journal

import (
	"context"
	"crypto/ed25519"

	"bonded"
	"bonded/internal/sqldb"
	"bonded/verify"
)

// A submission is one caller's rows on their way into a commit.
type submission struct {
	rows    []Prepared
	entered []Entered
}

// Commit makes rows durable together with the changes of with, which may be
// nil, in one commit that many callers share. It returns one [Entered] for
// each row, in order, when they are durable.
//
// If with fails, for example on a version conflict, its changes are undone but
// the rows are committed all the same, since keys may have been released for
// them; its error is returned together with the entered rows. If the commit
// itself fails, the code is [bonded.CodeNotWritable] and nothing is returned
// beside it; the rows are given up and their numbers never used again.
//
// Commit does not heed the end of ctx: a row that was prepared is owed to the
// journal. Ctx is for with.
func (j *Journal) Commit(ctx context.Context, rows []Prepared, with func(ctx context.Context, tx *sqldb.Tx) error) ([]Entered, error) {
	for i := range rows {
		if err := rows[i].Err(); err != nil {
			return nil, err
		}
	}
	s := &submission{rows: rows}
	err := j.db.Do(context.WithoutCancel(ctx), sqldb.Job{Do: with, Payload: s})
	return s.entered, err
}

// staged is what the commit under way will have done.
type staged struct {
	state    state
	batches  []*batch // signed once each
	reserved uint64   // new end of the reserved row numbers, 0 if unchanged
	rows     int
	bytes    int64
	signed   chan struct{}
	args     []any               // reused
	counts   map[tallyKey]uint64 // reused
	wrote    bool                // the counts, too
}

// hook is the journal's part of every commit of its database.
type hook Journal

// BeforeCommit implements [sqldb.Hook].
func (h *hook) BeforeCommit(tx *sqldb.Tx, jobs []*sqldb.Job) error {
	j := (*Journal)(h)
	st := &j.staged
	*st = staged{state: j.state, args: st.args[:0], counts: st.counts}
	if st.counts == nil {
		st.counts = map[tallyKey]uint64{}
	}
	clear(st.counts)

	// 1. Give each row its position and its place in the open segment.
	for _, job := range jobs {
		switch p := job.Payload.(type) {
		case *submission:
			if err := j.stage(tx, p); err != nil {
				return err
			}
		case *sealing:
			if err := j.sealOpen(tx, st); err != nil {
				return err
			}
		}
	}
	if st.rows == 0 {
		return nil
	}

	// 2. Write them with few statements.
	if err := tx.Insert("INSERT INTO journal (position, seq, row, salt) VALUES", 4, st.args); err != nil {
		return err
	}
	if err := j.reserve(tx, st); err != nil {
		return err
	}
	if err := j.writeTallies(tx, st); err != nil {
		return err
	}

	// 3. Sign the promises while the disk flushes.
	st.closeBatch()
	st.signed = make(chan struct{})
	go j.sign(st.batches, st.signed)
	return nil
}

// AfterCommit implements [sqldb.Hook].
func (h *hook) AfterCommit(jobs []*sqldb.Job, err error) {
	j := (*Journal)(h)
	st := &j.staged
	if st.signed != nil {
		<-st.signed
	}
	clear(st.args)
	if err == nil {
		j.state = st.state
		j.unindexed.Add(st.bytes)
		j.tallies.add(st.counts, st.wrote)
		if st.reserved != 0 {
			j.reserved.Store(st.reserved)
		}
		j.publish()
		return
	}
	for _, job := range jobs {
		if s, ok := job.Payload.(*submission); ok && len(s.rows) > 0 {
			s.entered = nil
			st.rows++
		}
	}
	if st.rows > 0 {
		j.failures.Add(1)
	}
	*st = staged{args: st.args[:0], counts: st.counts}
}

// stage puts the rows of one caller into the open segment.
func (j *Journal) stage(tx *sqldb.Tx, s *submission) error {
	st := &j.staged
	s.entered = make([]Entered, len(s.rows))
	for i := range s.rows {
		p := &s.rows[i]
		if st.state.tree.size >= MaxSegmentRows {
			if err := j.sealOpen(tx, st); err != nil {
				return err
			}
		}
		position := int64(st.state.next)                                          //nolint:gosec // rows stay far below 2^63
		st.args = append(st.args, position, int64(p.Row.Seq), p.bytes, p.Salt[:]) //nolint:gosec // as above
		b := st.openBatch(j.cell)
		b.tree.add(p.promised)
		s.entered[i] = Entered{ref: p.Row.RowRef, leaf: p.Leaf, index: st.state.add(p.Leaf), batch: b}
		st.counts[keyOf(p.Row)]++
		st.rows++
		st.bytes += int64(len(p.bytes))
		if p.Row.Refers != (verify.RowRef{}) {
			var lost []byte
			if p.lost != nil {
				lost = p.lost[:]
			}
			if err := insertSecond(tx, p.Row, position, lost); err != nil {
				return err
			}
		}
	}
	return nil
}

// openBatch returns the batch of the open segment, to which a row is to be added.
func (st *staged) openBatch(cell bonded.CellID) *batch {
	if n := len(st.batches); n > 0 && st.batches[n-1].segment == st.state.segment {
		return st.batches[n-1]
	}
	b := &batch{cell: cell, segment: st.state.segment, begin: st.state.tree.size}
	st.batches = append(st.batches, b)
	return b
}

// closeBatch notes what the open segment holds at the end of the commit.
func (st *staged) closeBatch() {
	if n := len(st.batches); n > 0 && st.batches[n-1].segment == st.state.segment {
		b := st.batches[n-1]
		b.size, b.root = st.state.tree.size, st.state.tree.root()
	}
}

// reserve reserves the next block of row numbers when half of the last one is
// used, in the same commit as rows.
func (j *Journal) reserve(tx *sqldb.Tx, st *staged) error {
	reserved := j.reserved.Load()
	if j.seq.Load()+seqBlock/2 < reserved {
		return nil
	}
	st.reserved = max(j.seq.Load(), reserved) + seqBlock
	_, err := tx.Exec("UPDATE journal_node SET reserved = ?", int64(st.reserved)) //nolint:gosec // rows stay far below 2^63
	return err
}

func (j *Journal) sign(batches []*batch, done chan<- struct{}) {
	defer close(done)
	for _, b := range batches {
		b.tree.grow()
		p := verify.Promise{
			Cell: b.cell, Ref: verify.RowRef{Node: j.node}, Segment: b.segment, Begin: b.begin, Size: b.size,
			Root: b.root, Batch: b.tree.root(),
		}
		copy(b.sig[:], ed25519.Sign(j.key, p.Message()))
	}
}
