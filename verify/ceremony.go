package verify

import (
	"encoding/hex"

	"bonded"
)

// LabelCeremony is the label of the statement that orders a ceremony of the
// custodians: see [CeremonyOrder].
const LabelCeremony = "bonded/ceremony/1"

// SignerAdmin is the id by which the administrator of the directory signs
// statements.
const SignerAdmin = "admin"

// A CeremonyOrder says which ceremony is to be held. The administrator of the
// directory signs the one of a cell's first ceremony; later key sets follow from
// the custodians of the one before.
type CeremonyOrder struct {
	Format string        `json:"format"` // [LabelCeremony]
	Cell   bonded.CellID `json:"cell"`
	Params string        `json:"params"` // hexadecimal digest of the ceremony's parameters
}

// NewCeremonyOrder returns the order of a ceremony, not yet signed.
func NewCeremonyOrder(cell bonded.CellID, params [32]byte) (*Statement, error) {
	return NewStatement(CeremonyOrder{LabelCeremony, cell, hex.EncodeToString(params[:])})
}

// CheckCeremonyOrder reports whether a statement orders the ceremony of a cell
// with these parameters. Whose signatures it needs is for the caller. The error
// is a [Failure].
func CheckCeremonyOrder(s *Statement, cell bonded.CellID, params [32]byte) error {
	o := new(CeremonyOrder)
	if err := s.DecodeBody(o); err != nil {
		return err
	}
	if o.Format != LabelCeremony || o.Cell != cell || o.Params != hex.EncodeToString(params[:]) {
		return Fail(FailStatement, "the statement does not order this ceremony")
	}
	return nil
}
