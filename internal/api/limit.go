package api

import (
	"sync"

	"golang.org/x/time/rate"

	"bonded"
)

// rates holds a limiter for each principal that asked. Principals are known
// by grant, so there are never more than grants.
type rates struct {
	limit rate.Limit
	burst int
	by    *sync.Map // grant id → *rate.Limiter
}

func newRates(l Limits) rates { return rates{rate.Limit(l.PerSecond), l.Burst, new(sync.Map)} }

func (r *rates) allow(principal string) bool {
	l, ok := r.by.Load(principal)
	if !ok {
		l, _ = r.by.LoadOrStore(principal, rate.NewLimiter(r.limit, r.burst))
	}
	return l.(*rate.Limiter).Allow() //nolint:errcheck // only limiters are stored
}

// rate refuses a principal that asks too often.
func (x *exchange) rate() error {
	if x.call.Grant == nil || x.a.rates.allow(x.call.Grant.ID) {
		return nil
	}
	return &bonded.Error{Code: bonded.CodeRateLimited, Message: "too many calls of this principal", Hint: "wait as Retry-After says, or put many items into one batch call"}
}
