package rules

import (
	"strconv"
	"time"

	"bonded"
)

const day = 24 * time.Hour

// MaxSpan is the longest [Span]: 100 years of 365 days.
const MaxSpan = Span(36500 * day)

// A Span is a length of time in whole seconds, written as packs and
// configuration write it: a whole number and s, m, h or d, as in 90s or 10d.
// A day is 24 hours. In JSON it is a number of seconds.
type Span time.Duration

// Duration returns s as the standard library's type.
func (s Span) Duration() time.Duration { return time.Duration(s) }

// UnmarshalText reads a number and its unit.
func (s *Span) UnmarshalText(b []byte) error {
	bad := &bonded.Error{Code: bonded.CodeConfig, Message: "not a length of time", Hint: "write a whole number and s, m, h or d, as in 10d"}
	if len(b) < 2 || len(b) > 12 || b[0] == '+' || b[0] == '-' || b[0] == '0' && len(b) > 2 {
		return bad
	}
	unit, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': day}[b[len(b)-1]]
	n, err := strconv.ParseInt(string(b[:len(b)-1]), 10, 64)
	if !ok || err != nil {
		return bad
	}
	if n > int64(time.Duration(MaxSpan)/unit) {
		return &bonded.Error{Code: bonded.CodeConfig, Message: "longer than 100 years"}
	}
	*s = Span(time.Duration(n) * unit)
	return nil
}

// UnmarshalYAML reads what [Span.UnmarshalText] reads.
func (s *Span) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	return s.UnmarshalText([]byte(text))
}

// String writes s in its largest whole unit, as [Span.UnmarshalText] reads it.
func (s Span) String() string {
	d := time.Duration(s)
	for _, u := range []struct {
		length time.Duration
		letter string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d != 0 && d%u.length == 0 {
			return strconv.FormatInt(int64(d/u.length), 10) + u.letter
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// MarshalJSON writes the number of seconds.
func (s Span) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(time.Duration(s)/time.Second), 10), nil
}
