package verify

import "strings"

// Details of entries that the report counts by, beside the events of
// approval.go. spec/report.md says which entry counts where.
const (
	DetailDeliveredFull = "full"
	DetailDeliveredPart = "part"
	DetailDeliveredNone = "none"

	DetailNoticeBefore    = "before"
	DetailNoticeAfter     = "after"
	DetailNoticeDeferred  = "deferred"
	DetailNoticeAuthority = "authority"
	DetailNoticeFailed    = "failed"

	DetailHoldBegun    = "held"
	DetailHoldExtended = "extended"
	DetailHoldReleased = "released"
	DetailHoldProduced = "produced"

	DetailSecrecyReview     = "review_due"
	DetailSecrecyExtended   = "extended"
	DetailSecrecyChallenged = "challenged"
	DetailSecrecyEnded      = "ended"
	DetailSecrecyNotified   = "notified"

	DetailFraud     = "fraud"
	DetailEmergency = "emergency"   // of a scope put before custodians
	DetailCallBack  = "called_back" // of an emergency that goes on to review
)

// States of cases that the report counts by.
const (
	stateSubmitted  = "submitted"
	stateNarrowed   = "narrowed"
	stateChallenged = "challenged"
	stateQuorum     = "awaiting_quorum"
	stateEmergency  = "emergency_opened"
	stateRatified   = "ratified"
	stateUnratified = "unratified"
	stateRejected   = "rejected"
	stateWithdrawn  = "withdrawn"
	stateLapsed     = "lapsed"
	stateClosed     = "closed"
	actorSubject    = "subject"
)

// SubmittedDetail returns the field detail of the entry by which a case is
// submitted: priority and treaty route of the request, with one space between.
func SubmittedDetail(priority, route string) string { return priority + " " + route }

// parseSubmitted reads what [SubmittedDetail] wrote. Other text is neither.
func parseSubmitted(detail string) (priority, route string) {
	p, r, ok := strings.Cut(detail, " ")
	if !ok || strings.Contains(r, " ") {
		return "", ""
	}
	return p, r
}
