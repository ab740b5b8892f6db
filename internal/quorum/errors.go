package quorum

import "bonded"

// Codes of the errors of this package:
//   - [bonded.CodeInvalid]: bytes or arguments that no honest party makes, or a
//     partial that belongs to something else;
//   - [bonded.CodeBelowQuorum]: a role has fewer partials than its threshold;
//   - [bonded.CodeStaleShare]: a share or partial of another key set;
//   - [bonded.CodeAtFault]: a proof names the party that did not do its part;
//   - [bonded.CodeProof]: a recipient that does not prove its key;
//   - [bonded.CodeAltered]: an envelope or combination that does not hold.
func invalid(format string, args ...any) error {
	return bonded.Errorf(bonded.CodeInvalid, format, args...)
}

// malformed is the error of every decoder.
func malformed(what string) error {
	return &bonded.Error{
		Code:    bonded.CodeInvalid,
		Message: what + " is not in its canonical encoding, or not consistent in itself",
		Hint:    "ask its maker for it again; spec/quorum.md has the format",
	}
}
