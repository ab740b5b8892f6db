package verify

import "bonded"

// CheckWitnessed reports whether the opening is of a leaf of the cell that is in
// its ledger under the witness policy: what [CaseOpening.Check] says, and that
// the proof leads from the leaf to a cosigned checkpoint. The error is a
// [Failure].
func (o *CaseOpening) CheckWitnessed(cell bonded.CellID, proof []byte, logVkey string, policy *WitnessPolicy) (*OpenedCase, *Inclusion, error) {
	opened, err := o.Check()
	if err != nil {
		return nil, nil, err
	}
	if opened.Leaf.Cell != cell {
		return nil, nil, Fail(FailCell, "entry %d is of cell %s, not %s", o.Index, opened.Leaf.Cell, cell)
	}
	in, err := CheckInclusion(o.Leaf, proof, logVkey, policy)
	if err != nil {
		return nil, nil, err
	}
	if in.Index != o.Index {
		return nil, nil, Fail(FailInclusion, "the opening says entry %d and its proof entry %d", o.Index, in.Index)
	}
	return opened, in, nil
}
