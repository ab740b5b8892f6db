package journal

// SetRunRows makes the runs of the index smaller than usual.
func (j *Journal) SetRunRows(n uint64) { j.runRows = n }
