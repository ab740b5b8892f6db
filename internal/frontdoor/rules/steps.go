package rules

// A Guard is a condition that must hold for a transition. The pack says which
// step needs which; package frontdoor tests them.
type Guard string

// Guards.
const (
	GuardSchemaValid         Guard = "schema_valid"           // every field of the request is there and well formed
	GuardDocumentsHashed     Guard = "documents_hashed"       // every document is stored sealed, under its SHA-256
	GuardRequesterSigned     Guard = "requester_signed"       // the officer's key signed the request
	GuardRejectCode          Guard = "reject_code"            // the refusal names a reject code
	GuardRejectCodePerTask   Guard = "reject_code_per_task"   // the refusal names one for every task
	GuardPreserveOnReceipt   Guard = "preserve_on_receipt"    // the process type says so
	GuardAgencyVerified      Guard = "agency_verified"        // the agency is verified and not suspended
	GuardOfficerVerified     Guard = "officer_verified"       // the officer's level allows what is asked
	GuardCallBackIfEmergency Guard = "call_back_if_emergency" // with priority emergency, the call-back was made
	GuardPreserveOnly        Guard = "preserve_only"          // the process type freezes and opens nothing
	GuardHoldEnded           Guard = "hold_ended"             // the hold and its extensions ran out, or it was released
	GuardRulesPass           Guard = "rules_pass"             // basis in force, class opened, approvals there, counters, blocking rules
	GuardTwoPeople           Guard = "two_people"             // who approves the scope did not draft it
	GuardNoticeSent          Guard = "notice_sent"            // the person was told
	GuardNoNoticeDue         Guard = "no_notice_due"          // a secrecy entry with an end or review date, or another tells the person
	GuardCourtDocument       Guard = "court_document"         // the order of the court is on file
	GuardQuorumSameScope     Guard = "quorum_same_scope"      // M distinct custodians in roles signed the same scope digest
	GuardLogProof            Guard = "log_proof"              // the opening leaf is in a witnessed checkpoint
	GuardPartialsVerified    Guard = "partials_verified"      // every partial's proof holds
	GuardSealedToRecipient   Guard = "sealed_to_recipient"    // what leaves is sealed to the requester's key
	GuardReceiptHeld         Guard = "receipt_held"           // the requester acknowledged the package
	GuardDangerAttested      Guard = "danger_attested"        // the officer signed that a life is in danger, and how
	GuardCallBackDone        Guard = "call_back_done"         // somebody rang a number from the directory, and was answered
	GuardEmergencyScope      Guard = "emergency_scope"        // within the limits of section emergency
	GuardPaperArrived        Guard = "paper_arrived"          // the instrument that was owed is here and verified
	GuardToldOrSecret        Guard = "told_or_secret"         // the person was told, or a secrecy entry holds
	GuardInstrumentValid     Guard = "instrument_valid"       // now is between valid_from and valid_to
)

var guards = []Guard{
	GuardSchemaValid, GuardDocumentsHashed, GuardRequesterSigned, GuardRejectCode, GuardRejectCodePerTask,
	GuardPreserveOnReceipt, GuardAgencyVerified, GuardOfficerVerified, GuardCallBackIfEmergency, GuardPreserveOnly,
	GuardHoldEnded, GuardRulesPass, GuardTwoPeople, GuardNoticeSent, GuardNoNoticeDue, GuardCourtDocument,
	GuardQuorumSameScope, GuardLogProof, GuardPartialsVerified, GuardSealedToRecipient, GuardReceiptHeld,
	GuardDangerAttested, GuardCallBackDone, GuardEmergencyScope, GuardPaperArrived,
	GuardToldOrSecret, GuardInstrumentValid,
}

// A Duty is what a role does when it takes a step. Separation is written in
// duties.
type Duty string

// Duties.
const (
	DutyRequest        Duty = "request"
	DutyVerify         Duty = "verify"
	DutyReview         Duty = "review"
	DutyNarrow         Duty = "narrow"
	DutyRefuse         Duty = "refuse"
	DutyApproveScope   Duty = "approve_scope"
	DutyApproveOpening Duty = "approve_opening"
	DutyUnlock         Duty = "unlock"
	DutyObject         Duty = "object"
	DutyOrder          Duty = "order"
	DutyClose          Duty = "close"
	DutyKeepTime       Duty = "keep_time"
)

var duties = []Duty{
	DutyRequest, DutyVerify, DutyReview, DutyNarrow, DutyRefuse, DutyApproveScope, DutyApproveOpening, DutyUnlock,
	DutyObject, DutyOrder, DutyClose, DutyKeepTime,
}

// A TimerID names a length of time that begins when a case enters a state.
type TimerID string

// Timers.
const (
	TimerVerify         TimerID = "verify"
	TimerClarification  TimerID = "clarification"
	TimerOtherAuthority TimerID = "other_authority"
	TimerChallenge      TimerID = "challenge"
	TimerQuorum         TimerID = "quorum"
	TimerRatify         TimerID = "ratify"
	TimerClose          TimerID = "close"
)

var timers = []TimerID{
	TimerVerify, TimerClarification, TimerOtherAuthority, TimerChallenge, TimerQuorum, TimerRatify, TimerClose,
}

// A DateOf names a date that the case itself carries.
type DateOf string

// Dates of a case.
const (
	DateValidTo   DateOf = "valid_to"   // the instrument ends
	DateHoldUntil DateOf = "hold_until" // the hold and its extensions end
)

var datesOf = []DateOf{DateValidTo, DateHoldUntil}

// A Logged says what the ledger holds of a state.
type Logged string

// What the ledger holds.
const (
	LogNothing    Logged = "nothing"
	LogCommitment Logged = "commitment" // a commitment alone
	LogEntry      Logged = "entry"
)

var loggings = []Logged{LogNothing, LogCommitment, LogEntry}

// Validate wants one of the guards.
func (g *Guard) Validate() error { return known(*g, "guard", guards) }

// Validate wants one of the duties.
func (d *Duty) Validate() error { return known(*d, "duty", duties) }

// Validate wants one of the timers.
func (i *TimerID) Validate() error { return known(*i, "timer", timers) }

// Validate wants one of the dates.
func (d *DateOf) Validate() error { return known(*d, "date of a case", datesOf) }

// Validate wants one of the ways of logging.
func (l *Logged) Validate() error { return known(*l, "way of logging", loggings) }
