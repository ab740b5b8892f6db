package notice

import (
	"context"
	"time"

	"bonded"
)

// A Message is something to tell one person. Its caller keeps it, durably and
// unchanged, until [Sender.Deliver] says Done or Failed.
type Message struct {
	ID       bonded.ID // random, one for each thing to tell: delivery is idempotent by it
	Subject  bonded.SubjectID
	Language string    // BCP 47 tag of what the person reads; empty: not known
	To       string    // mail address; empty: none is known
	Due      time.Time // when it first was to go out
	Facts    Facts
}

// A Sender renders messages and hands them to channels. It is safe for use by
// several goroutines and keeps nothing between calls.
type Sender struct {
	config   Config
	channels []patient
	now      func() time.Time
}

// patient is a channel and how long it is waited for before the next is tried
// as well.
type patient struct {
	Channel

	patience time.Duration
}

// New makes a sender. Paths of the configuration count from dir. It returns an
// error with code [bonded.CodeConfig] if a secret file is missing, can be read
// by others or is too short, or if the outbox cannot be made.
func New(config Config, dir string, now func() time.Time) (*Sender, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &Sender{config: config, now: now}
	for i := range config.Channels {
		c := &config.Channels[i]
		channel, err := c.open(dir, config.Operator, now)
		if err != nil {
			return nil, err
		}
		s.channels = append(s.channels, patient{channel, orDefault(c.Patience, DefaultPatience)})
	}
	return s, nil
}

// Deliver renders a message and hands it to the first channel that takes it,
// in the configured order. One that fails is passed over at once; one that
// asks to come again holds the message back until its patience is over,
// counted from Due. Done and Failed are final; after Retry the caller comes
// again with the same message, no sooner than RetryAfter.
//
// The error is nil exactly if the outcome is Done. It has code
// [bonded.CodeInvalid] if the message is not whole, [bonded.CodeUndelivered]
// otherwise.
func (s *Sender) Deliver(ctx context.Context, m Message) (Outcome, error) {
	// 1. What is said.
	e, err := s.envelope(m)
	if err != nil {
		return Outcome{Status: Failed, Reason: ReasonInvalid}, err
	}

	// 2. The channels, in order.
	var (
		tried  []Attempt
		result Outcome
		wait   = s.now().Sub(m.Due)
	)
	for _, c := range s.channels {
		out, failure := c.Deliver(ctx, e)
		out.Channel = c.Name()
		tried = append(tried, Attempt{out.Channel, out.Status, out.Reason})
		// A channel that may still take it outweighs those that never will.
		if out.Status == Done || result.Status != Retry {
			result, err = out, failure
		}
		if out.Status == Done || ctx.Err() != nil || out.Status == Retry && wait < c.patience {
			break
		}
	}
	result.Tried = tried
	return result, err
}

func (s *Sender) envelope(m Message) (Envelope, error) {
	switch {
	case m.ID.IsZero():
		return Envelope{}, &bonded.Error{Code: bonded.CodeInvalid, Field: "id", Message: "a message has an id"}
	case m.Subject.IsZero():
		return Envelope{}, &bonded.Error{Code: bonded.CodeInvalid, Field: "subject", Message: "a message is for somebody"}
	case m.Due.IsZero():
		return Envelope{}, &bonded.Error{Code: bonded.CodeInvalid, Field: "due", Message: "a message says since when it is due"}
	}
	lang := Match(m.Language, s.config.Language)
	f := m.Facts
	if f.Operator == "" {
		f.Operator = s.config.Operator
	}
	if f.Contact == "" {
		f.Contact = s.config.contact(lang)
	}
	text, err := Render(lang, f)
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{ID: m.ID, Case: f.Case, Kind: f.Kind, Subject: m.Subject, To: m.To, Text: text, Due: m.Due.UTC()}, nil
}
