package rules

import (
	"slices"

	"bonded"
	"bonded/internal/nearest"
)

// A State is where a case stands.
type State string

// States of a case. What each means is in the pack.
const (
	StateDraft                  State = "draft"
	StateSubmitted              State = "submitted"
	StateVerifying              State = "verifying"
	StatePreserved              State = "preserved"
	StateUnderReview            State = "under_review"
	StateClarification          State = "clarification"
	StateNarrowed               State = "narrowed"
	StateAwaitingOtherAuthority State = "awaiting_other_authority"
	StateNoticePending          State = "notice_pending"
	StateChallengeWindow        State = "challenge_window"
	StateChallenged             State = "challenged"
	StateAwaitingQuorum         State = "awaiting_quorum"
	StateEmergencyOpened        State = "emergency_opened"
	StateOpening                State = "opening"
	StateDelivered              State = "delivered"
	StateRatified               State = "ratified"
	StateUnratified             State = "unratified"
	StateClosed                 State = "closed"
	StateRejected               State = "rejected"
	StateWithdrawn              State = "withdrawn"
	StateLapsed                 State = "lapsed"
)

var states = []State{
	StateDraft, StateSubmitted, StateVerifying, StatePreserved, StateUnderReview, StateClarification, StateNarrowed,
	StateAwaitingOtherAuthority, StateNoticePending, StateChallengeWindow, StateChallenged, StateAwaitingQuorum,
	StateEmergencyOpened, StateOpening, StateDelivered, StateRatified, StateUnratified, StateClosed, StateRejected,
	StateWithdrawn, StateLapsed,
}

// A TaskState is where one task of a case stands.
type TaskState string

// States of a task.
const (
	TaskReceived     TaskState = "received"
	TaskHeld         TaskState = "held"
	TaskInReview     TaskState = "in_review"
	TaskNarrowed     TaskState = "narrowed"
	TaskRefused      TaskState = "refused"
	TaskApproved     TaskState = "approved"
	TaskOpened       TaskState = "opened"
	TaskDelivered    TaskState = "delivered"
	TaskReleasedHold TaskState = "released_hold"
	TaskWithdrawn    TaskState = "withdrawn"
	TaskLapsed       TaskState = "lapsed"
)

var taskStates = []TaskState{
	TaskReceived, TaskHeld, TaskInReview, TaskNarrowed, TaskRefused, TaskApproved, TaskOpened, TaskDelivered,
	TaskReleasedHold, TaskWithdrawn, TaskLapsed,
}

// A Role is the part in which somebody, or the clock, acts on a case.
type Role string

// Roles.
const (
	RoleRequester   Role = "requester"
	RoleIntake      Role = "intake"
	RoleLegal       Role = "legal"
	RoleCustodian   Role = "custodian"
	RoleKeyholder   Role = "keyholder"
	RoleVaultkeeper Role = "vaultkeeper"
	RoleGuardian    Role = "guardian"
	RoleSubject     Role = "subject"
	RoleCourt       Role = "court"
	RoleClock       Role = "clock"
)

var roles = []Role{
	RoleRequester, RoleIntake, RoleLegal, RoleCustodian, RoleKeyholder, RoleVaultkeeper, RoleGuardian, RoleSubject,
	RoleCourt, RoleClock,
}

// A RejectCode says why a request, or one task of it, was refused.
type RejectCode string

// Reject codes.
const (
	RejectIncomplete          RejectCode = "incomplete"
	RejectManifestError       RejectCode = "manifest_error"
	RejectNotEnoughToIdentify RejectCode = "not_enough_to_identify"
	RejectNotHeldByUs         RejectCode = "not_held_by_us"
	RejectNoLongerHeld        RejectCode = "no_longer_held"
	RejectImpossibleInFact    RejectCode = "impossible_in_fact"
	RejectWrongAuthority      RejectCode = "wrong_authority"
	RejectOffenceNotCovered   RejectCode = "offence_not_covered"
	RejectServiceNotCovered   RejectCode = "service_not_covered"
	RejectPrivilegeOrImmunity RejectCode = "privilege_or_immunity"
	RejectConflictOfLaw       RejectCode = "conflict_of_law"
	RejectTooBroad            RejectCode = "too_broad"
	RejectNoLegalBasis        RejectCode = "no_legal_basis"
	RejectNotAuthenticated    RejectCode = "not_authenticated"
	RejectExpired             RejectCode = "expired"
	RejectDuplicate           RejectCode = "duplicate"
	RejectSecrecyWithoutEnd   RejectCode = "secrecy_without_end"
	RejectBulk                RejectCode = "bulk"
	RejectSourceCodeBan       RejectCode = "source_code_ban"
	RejectWrongCell           RejectCode = "wrong_cell"
)

var rejectCodes = []RejectCode{
	RejectIncomplete, RejectManifestError, RejectNotEnoughToIdentify, RejectNotHeldByUs, RejectNoLongerHeld,
	RejectImpossibleInFact, RejectWrongAuthority, RejectOffenceNotCovered, RejectServiceNotCovered,
	RejectPrivilegeOrImmunity, RejectConflictOfLaw, RejectTooBroad, RejectNoLegalBasis, RejectNotAuthenticated,
	RejectExpired, RejectDuplicate, RejectSecrecyWithoutEnd, RejectBulk, RejectSourceCodeBan, RejectWrongCell,
}

// A DataClass is a kind of data that a task asks for.
type DataClass string

// Data classes, in the order of the pack.
const (
	ClassExistence          DataClass = "existence"
	ClassSubscriber         DataClass = "subscriber"
	ClassUserIdentification DataClass = "user_identification"
	ClassTraffic            DataClass = "traffic"
	ClassMetadata           DataClass = "metadata"
	ClassContent            DataClass = "content"
	ClassFinancial          DataClass = "financial"
	ClassHealth             DataClass = "health"
	ClassSourceCode         DataClass = "source_code"
)

var dataClasses = []DataClass{
	ClassExistence, ClassSubscriber, ClassUserIdentification, ClassTraffic, ClassMetadata, ClassContent, ClassFinancial,
	ClassHealth, ClassSourceCode,
}

// A Priority is how much haste the requester claims.
type Priority string

// Priorities.
const (
	PriorityRoutine   Priority = "routine"
	PriorityUrgent    Priority = "urgent"
	PriorityEmergency Priority = "emergency"
)

var priorities = []Priority{PriorityRoutine, PriorityUrgent, PriorityEmergency}

// A NoticeBy says who tells the person, and when.
type NoticeBy string

// Ways of notice.
const (
	NoticeFirm               NoticeBy = "firm"                 // the firm, unless a secrecy entry defers it
	NoticeFirmBefore         NoticeBy = "firm_before"          // the firm, before anything opens
	NoticeFirmAfterEmergency NoticeBy = "firm_after_emergency" // the firm, once the danger is over
	NoticeAuthority          NoticeBy = "authority"            // the issuing authority
	NoticeDeferredBySecrecy  NoticeBy = "deferred_by_secrecy"  // the firm, when the secrecy ends
	NoticeSelf               NoticeBy = "self"                 // the person asked
	NoticeNone               NoticeBy = "none"                 // nothing of the person's is shown
)

var noticesBy = []NoticeBy{
	NoticeFirm, NoticeFirmBefore, NoticeFirmAfterEmergency, NoticeAuthority, NoticeDeferredBySecrecy, NoticeSelf, NoticeNone,
}

// A Kind says what a process type makes the firm do.
type Kind string

// Kinds of process type.
const (
	KindDisclose Kind = "disclose"
	KindPreserve Kind = "preserve" // freezes, and opens nothing
)

var kinds = []Kind{KindDisclose, KindPreserve}

// A Permission is something that the trust in a requester allows.
type Permission string

// Permissions.
const (
	AllowDraft     Permission = "draft"
	AllowSubmit    Permission = "submit"
	AllowNormal    Permission = "normal" // any process type and class that the two below do not speak of
	AllowContent   Permission = "content"
	AllowEmergency Permission = "emergency"
)

var permissions = []Permission{AllowDraft, AllowSubmit, AllowNormal, AllowContent, AllowEmergency}

// A Signal is something odd about a requester or a request. It refuses
// nothing by itself: intake sees it.
type Signal string

// Signals.
const (
	SignalNewAccount           Signal = "new_account_under_30_days"
	SignalFirstIsEmergency     Signal = "first_request_is_emergency"
	SignalLanguageOrZoneOdd    Signal = "language_or_timezone_odd"
	SignalTargetSeenElsewhere  Signal = "target_seen_by_other_firms_from_same_sender"
	SignalDocumentReused       Signal = "document_reused_hash"
	SignalJudgeNotInRegister   Signal = "judge_not_in_register"
	SignalMailboxInBreachLists Signal = "mailbox_in_breach_corpus"
)

var signals = []Signal{
	SignalNewAccount, SignalFirstIsEmergency, SignalLanguageOrZoneOdd, SignalTargetSeenElsewhere, SignalDocumentReused,
	SignalJudgeNotInRegister, SignalMailboxInBreachLists,
}

// known wants v among all. It stands in Validate, not in UnmarshalText: the
// YAML package writes out the whole file for each value that reads itself.
func known[T ~string](v T, what string, all []T) error {
	if !slices.Contains(all, v) {
		return &bonded.Error{Code: bonded.CodeConfig, Message: "unknown " + what, Hint: nearest.Hint(string(v), words(all))}
	}
	return nil
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// StateNames returns every state of a case.
func StateNames() []string { return words(states) }

// Validate wants one of the states.
func (s *State) Validate() error { return known(*s, "case state", states) }

// Validate wants one of the states of a task.
func (s *TaskState) Validate() error { return known(*s, "task state", taskStates) }

// Validate wants one of the roles.
func (r *Role) Validate() error { return known(*r, "role", roles) }

// Validate wants one of the reject codes.
func (c *RejectCode) Validate() error { return known(*c, "reject code", rejectCodes) }

// Validate wants one of the data classes.
func (c *DataClass) Validate() error { return known(*c, "data class", dataClasses) }

// Validate wants one of the priorities.
func (p *Priority) Validate() error { return known(*p, "priority", priorities) }

// Validate wants one of the ways of notice.
func (n *NoticeBy) Validate() error { return known(*n, "way of notice", noticesBy) }

// Validate wants one of the kinds.
func (k *Kind) Validate() error { return known(*k, "kind", kinds) }

// Validate wants one of the permissions.
func (p *Permission) Validate() error { return known(*p, "permission", permissions) }

// Validate wants one of the signals.
func (s *Signal) Validate() error { return known(*s, "signal", signals) }
