package console

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"bonded"
)

// livePattern is the path of the stream of changes.
const livePattern = "GET /console/live"

// Limits of the streams of changes.
const (
	liveOfPerson = 6                // streams of one person at a time: so many tabs
	liveEvery    = time.Second      // how often it is looked whether something changed
	liveCheck    = 15 * time.Second // and whether the session still stands; also a sign of life
	liveLong     = 30 * time.Minute // then the browser begins a new one
)

// streams counts the streams of each person.
type streams struct {
	mu sync.Mutex
	of map[string]int
}

func (s *streams) begin(person string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]int{}
	}
	if s.of[person] >= liveOfPerson {
		return false
	}
	s.of[person]++
	return true
}

func (s *streams) end(person string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[person]--; s.of[person] <= 0 {
		delete(s.of, person)
	}
}

// A pulse is what a stream tells: no more than that something changed.
type pulse struct {
	ledger int64
	cases  uint64
}

func (x *visit) pulse() (p pulse) {
	p.cases = x.c.cfg.Cases.Changes()
	if cp, err := x.c.cfg.Ledger.Latest(); err == nil {
		p.ledger = cp.Size
	}
	return p
}

// live is a stream of server-sent events that say that something changed, not
// what: pages ask for that as they always do. It ends with the session.
func (x *visit) live() error {
	if !x.c.streams.begin(x.who.Person) {
		return &bonded.Error{Code: bonded.CodeRateLimited, Message: "too many pages of yours wait for changes", Hint: "close some of them"}
	}
	defer x.c.streams.end(x.who.Person)
	rc := http.NewResponseController(x.w)
	x.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	x.w.Header().Set("X-Accel-Buffering", "no")
	x.w.WriteHeader(http.StatusOK)
	send := func(format string, args ...any) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(liveCheck)) // not every writer has one
		_, err := fmt.Fprintf(x.w, format, args...)
		return err == nil && rc.Flush() == nil
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), liveLong)
	defer cancel()
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	last, checked := x.pulse(), time.Now()
	if !send("retry: 5000\n\nevent: begin\ndata: {\"ledger\":%d,\"cases\":%d}\n\n", last.ledger, last.cases) {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if time.Since(checked) >= liveCheck {
			checked = time.Now()
			if !x.stands() {
				send("event: end\ndata: {}\n\n")
				return nil
			}
			if !send(": here\n\n") {
				return nil
			}
		}
		now := x.pulse()
		if now == last {
			continue
		}
		last = now
		if !send("event: change\ndata: {\"ledger\":%d,\"cases\":%d}\n\n", now.ledger, now.cases) {
			return nil
		}
	}
}

// stands reports whether the session still stands, and is the same person's.
func (x *visit) stands() bool {
	again := x.c.visit(nobody{}, x.r)
	return again.who != nil && again.who.Person == x.who.Person
}

// nobody takes an answer that nobody reads.
type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(b []byte) (int, error) { return len(b), nil }
func (nobody) WriteHeader(int)             {}
