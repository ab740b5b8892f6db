package vault

import (
	"strconv"
	"strings"
	"time"

	"bonded"
)

// A Period is a calendar length of time, as retention rules name it: years,
// months and days. The zero Period means for ever.
type Period struct {
	Years, Months, Days int
	text                string
}

// ParsePeriod reads an ISO 8601 duration without a time part, such as "P5Y",
// "P18M", "P2W" or "P1Y6M10D", or a number of days, such as "90" or
// "90 days". It returns a [bonded.Error] with code bad_config for anything
// else, and for a period of nothing.
func ParsePeriod(s string) (Period, error) {
	bad := configError("retention", "not a length of time", "use an ISO 8601 duration such as P5Y, P18M or P90D, or a number of days")
	p := Period{text: s}
	if rest, ok := strings.CutPrefix(s, "P"); ok {
		units := "YMWD"
		for rest != "" {
			i := strings.IndexAny(rest, "YMWD")
			if i <= 0 {
				return Period{}, bad
			}
			n, err := strconv.ParseUint(rest[:i], 10, 16)
			at := strings.IndexByte(units, rest[i])
			if err != nil || at < 0 {
				return Period{}, bad
			}
			switch rest[i] {
			case 'Y':
				p.Years = int(n) //nolint:gosec // 16 bits
			case 'M':
				p.Months = int(n) //nolint:gosec // 16 bits
			case 'W':
				p.Days += 7 * int(n) //nolint:gosec // 16 bits
			case 'D':
				p.Days += int(n) //nolint:gosec // 16 bits
			}
			units, rest = units[at+1:], rest[i+1:]
		}
	} else {
		digits := strings.TrimSuffix(strings.TrimSuffix(s, " days"), " day")
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return Period{}, bad
		}
		p.Days = int(n) //nolint:gosec // 16 bits
	}
	if p.IsZero() {
		return Period{}, bad
	}
	return p, nil
}

// IsZero reports whether p means for ever.
func (p Period) IsZero() bool { return p.Years == 0 && p.Months == 0 && p.Days == 0 }

// After returns the moment p after t.
func (p Period) After(t time.Time) time.Time { return t.UTC().AddDate(p.Years, p.Months, p.Days) }

// String returns the spelling [ParsePeriod] read.
func (p Period) String() string { return p.text }

// MarshalText implements [encoding.TextMarshaler].
func (p Period) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; empty text is the zero
// Period.
func (p *Period) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*p = Period{}
		return nil
	}
	q, err := ParsePeriod(string(b))
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Message: "not a length of time", Hint: "use an ISO 8601 duration such as P5Y, P18M or P90D, or a number of days"}
	}
	*p = q
	return nil
}

// due returns the second at which something written at t ends, or 0 if never.
func (p Period) due(t time.Time) int64 {
	if p.IsZero() {
		return 0
	}
	return p.After(t).Unix()
}
