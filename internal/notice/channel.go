package notice

import (
	"context"
	"time"

	"bonded"
)

// An Envelope is one notice ready to go out.
type Envelope struct {
	ID      bonded.ID // names the notice on every channel
	Case    bonded.CaseID
	Kind    Kind
	Subject bonded.SubjectID
	To      string    // mail address of RFC 5322, with or without a name; empty: none is known
	Text    Text      // what the person reads
	Due     time.Time // when it first was to go out; the same at each attempt, so that each sends the same bytes
}

// A Channel carries notices.
//
// Deliver is called again with the same envelope until it answers [Done] or
// [Failed]; after a crash also once more after that. When it answers Done, the
// notice is in the hands of the other side, durably. It answers one envelope
// twice with the same bytes and name, so that the other side can drop the
// second. The error is nil exactly if the outcome is Done, and otherwise has
// code [bonded.CodeUndelivered]; it never holds an address, a text, or what
// the other side said. Deliver may be called from several goroutines; it ends
// when ctx does, and by itself after the channel's timeout.
type Channel interface {
	Name() string // webhook, smtp or outbox
	Deliver(ctx context.Context, e Envelope) (Outcome, error)
}

// A Status says what the caller does next.
type Status string

// What comes of an attempt.
const (
	Done   Status = "done"   // nothing: the other side has the notice
	Retry  Status = "retry"  // call again later
	Failed Status = "failed" // nothing: this channel will never take it
)

// A Reason says why a notice is not delivered. Reasons are stable.
type Reason string

// Reasons.
const (
	ReasonNoAddress    Reason = "no_address"   // no address of the person is known
	ReasonBadAddress   Reason = "bad_address"  // the address is none, or none this channel can use
	ReasonRefused      Reason = "refused"      // the other side refused for good
	ReasonLater        Reason = "later"        // the other side asked to come again
	ReasonUnreachable  Reason = "unreachable"  // no connection, or it broke before the answer
	ReasonTimeout      Reason = "timeout"      // no answer in time
	ReasonNotPrivate   Reason = "not_private"  // the line cannot be encrypted, or the certificate does not hold
	ReasonCredentials  Reason = "credentials"  // the other side does not take our password or sender
	ReasonRedirected   Reason = "redirected"   // the other side sent us elsewhere; we do not go
	ReasonNotWritable  Reason = "not_writable" // the folder cannot be written
	ReasonInvalid      Reason = "invalid"      // the message is not whole: a defect of the caller
	ReasonInterruption Reason = "interruption" // the caller's context ended
)

// An Outcome is what came of [Sender.Deliver] or of one [Channel].
type Outcome struct {
	Status     Status
	Channel    string        // that took the notice, or that is tried next
	Reason     Reason        // empty if Done
	RetryAfter time.Duration // what the other side asked for, at most 24h; 0: the caller's own schedule
	Tried      []Attempt     // from Sender.Deliver: what each channel answered, in order
}

// An Attempt is the answer of one channel.
type Attempt struct {
	Channel string
	Status  Status
	Reason  Reason
}

// maxRetryAfter bounds what the other side may ask for.
const maxRetryAfter = 24 * time.Hour

// later and never are what a channel returns when it is not done.
func later(reason Reason, message string) (Outcome, error) {
	return Outcome{Status: Retry, Reason: reason}, undelivered(message, "delivery is tried again by itself; see the reason in spec/notice.md")
}

func never(reason Reason, message string) (Outcome, error) {
	return Outcome{Status: Failed, Reason: reason}, undelivered(message, "tell the person by another channel; see the reason in spec/notice.md")
}

func undelivered(message, hint string) error {
	return &bonded.Error{Code: bonded.CodeUndelivered, Message: message, Hint: hint}
}
