package verify

import (
	"slices"

	"bonded"
)

// An Operation is what was asked for. The numbers are stored; never reuse or
// reorder.
type Operation uint8

// Operations.
const (
	OpNone         Operation = 0
	OpRead         Operation = 1
	OpMask         Operation = 2
	OpCreate       Operation = 3 // a new subject with its first record
	OpWrite        Operation = 4 // a new or changed record of a known subject
	OpFind         Operation = 5
	OpList         Operation = 6
	OpCount        Operation = 7
	OpHistory      Operation = 8
	OpExport       Operation = 9 // a subject's own copy
	OpErase        Operation = 10
	OpEraseUndo    Operation = 11
	OpTokenCreate  Operation = 12
	OpTokenDelete  Operation = 13
	OpTokenRead    Operation = 14 // a read that named a token
	OpBasis        Operation = 15 // consent and other basis records
	OpJournalRead  Operation = 16
	OpRetention    Operation = 17 // records whose time is over
	OpReseal       Operation = 18
	OpRotate       Operation = 19
	OpRecordDelete Operation = 20
	OpRoute        Operation = 21
	OpSchema       Operation = 22
	OpReceipt      Operation = 23
	OpStatus       Operation = 24
	OpDisclose     Operation = 25 // a release to the requester of a case, under a quorum of custodians
	OpHold         Operation = 26 // a case keeps people from erasure and retention, or lets them go
	opEnd          Operation = 27
)

var operationNames = [opEnd]string{
	"none", "read", "mask", "create", "write", "find", "list", "count", "history", "export", "erase",
	"erase_undo", "token_create", "token_delete", "token_read", "basis", "journal_read", "retention",
	"reseal", "rotate", "record_delete", "route", "schema", "receipt", "status", "disclose", "hold",
}

// Valid reports whether o is an operation this version knows, [OpNone]
// included. Rows with any other do not decode.
func (o Operation) Valid() bool { return o < opEnd }

// String returns the name used in policies and answers, such as "token_read".
func (o Operation) String() string {
	if o < opEnd {
		return operationNames[o]
	}
	return "unknown"
}

// ParseOperation reads what [Operation.String] wrote. It returns an
// [bonded.Error] with code invalid for any other name.
func ParseOperation(s string) (Operation, error) {
	for i, n := range operationNames {
		if n == s && i != 0 {
			return Operation(i), nil //nolint:gosec // i < opEnd
		}
	}
	return 0, bonded.Errorf(bonded.CodeInvalid, "no operation of that name")
}

// Unlocks reports whether the operation needs field keys or index values of
// the keyholder, so that its row must have a partner in the key-use book.
func (o Operation) Unlocks() bool {
	return slices.Contains([]Operation{OpRead, OpMask, OpCreate, OpWrite, OpFind, OpExport, OpTokenRead, OpReseal, OpDisclose}, o)
}

// An Assurance says how the asker was known. The numbers are stored.
type Assurance uint8

// Assurances, weakest first.
const (
	AssuranceNone    Assurance = 0 // nobody was authenticated
	AssuranceVault   Assurance = 1 // vault-asserted: a bearer key or a certificate that only the vault saw
	AssuranceProven  Assurance = 2 // the asker proved it to the keyholder
	AssuranceJob     Assurance = 3 // background work under a job grant
	AssuranceSubject Assurance = 4 // reserved: the person
	AssuranceCase    Assurance = 5 // a quorum of custodians approved exactly this, and the ledger witnessed it
	assuranceEnd     Assurance = 6
)

// String returns "none", "vault-asserted", "proven", "job", "subject" or
// "case".
func (a Assurance) String() string {
	return [...]string{"none", "vault-asserted", "proven", "job", "subject", "case", "unknown"}[min(a, assuranceEnd)]
}

// An Outcome says how an entry ended. The numbers are stored.
type Outcome uint8

// Outcomes.
const (
	OutcomeAllowed    Outcome = 1 // decided: yes; for an unlocking operation the keyholder answers next
	OutcomeRefused    Outcome = 2 // decided: no; Code and Rules say why
	OutcomeConflict   Outcome = 3 // a second row: the write named in Refers did not happen
	OutcomeOrphan     Outcome = 4 // a release whose own row was lost; counts as an opening
	OutcomeUnanswered Outcome = 5 // a second row: the row named in Refers got no release
	OutcomeAggregate  Outcome = 6 // many refusals in one row; Count says how many
	outcomeEnd        Outcome = 7
)

// String returns the name used in exports, such as "allowed".
func (o Outcome) String() string {
	return [...]string{"unknown", "allowed", "refused", "conflict", "orphan", "unanswered", "aggregate", "unknown"}[min(o, outcomeEnd)]
}
