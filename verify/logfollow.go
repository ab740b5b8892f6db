package verify

import "golang.org/x/mod/sumdb/tlog"

// A LogFollower reads a growing log once: each call of [LogFollower.Follow]
// takes what has come since the one before and checks that it makes the root
// of the newest checkpoint. So a log that shows another past than it showed
// before is found out, without keeping its entries. It reads entries alone;
// stored hash tiles are for [CheckLog].
type LogFollower struct {
	walk   logWalk
	vkey   string
	quorum *WitnessPolicy
	cp     *Checkpoint
	dead   error // what did not hold
}

// NewLogFollower returns a follower of the log of a cell that has read
// nothing. Of opts, Previous and Entry are used: what Entry is told counts
// only when Follow has returned no error. The error is a [Failure].
func NewLogFollower(cell *DirectoryCell, opts LogOptions) (*LogFollower, error) {
	vkey, policy, err := cellLog(cell)
	if err != nil {
		return nil, err
	}
	f := &LogFollower{vkey: vkey, quorum: policy}
	f.walk = logWalk{report: &LogReport{}, opts: opts}
	f.walk.tree.full = func(int, int64, []tlog.Hash) error { return nil }
	return f, nil
}

// Checkpoint returns the newest checkpoint whose entries were read and hold;
// nil before the first.
func (f *LogFollower) Checkpoint() *Checkpoint { return f.cp }

// Follow reads the newest checkpoint and all entries up to it. After an error
// with verdict [CannotTell] it can be called again and goes on where it
// stopped; what does not hold stays so.
func (f *LogFollower) Follow(fetch func(path string) ([]byte, error)) error {
	if f.dead != nil {
		return f.dead
	}
	err := f.follow(fetch)
	if VerdictOf(err) == DoesNotHold {
		f.dead = err
	}
	return err
}

func (f *LogFollower) follow(fetch func(path string) ([]byte, error)) error {
	// 1. The signed tree head, which never goes back.
	raw, err := fetch(CheckpointPath)
	if err != nil {
		return Unknown(FailMissing, err, "the checkpoint cannot be read")
	}
	cp, err := OpenCheckpoint(raw, f.vkey, f.quorum)
	if err != nil {
		return err
	}
	for _, seen := range []*Checkpoint{f.walk.opts.Previous, f.cp} {
		if seen != nil && (seen.Origin != cp.Origin || seen.Size >= cp.Size) {
			if err := CheckConsistency(seen, cp, nil); err != nil {
				return err
			}
		}
	}
	if f.walk.tree.size > cp.Size {
		return Unknown(FailMissing, nil, "the checkpoint is of %d entries, fewer than were there before", cp.Size)
	}

	// 2. The entries since, and the root over all.
	f.walk.fetch, f.walk.cp = fetch, cp
	if err := f.walk.entries(); err != nil {
		return err
	}
	if f.walk.tree.root() != cp.Root {
		return Fail(FailRoot, "the %d entries do not make the root of the checkpoint", cp.Size)
	}
	f.cp = cp
	return nil
}
