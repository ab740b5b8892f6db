package cli

import (
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A progress is a bar on a terminal and nothing elsewhere.
type progress struct {
	p    *mpb.Progress
	bar  *mpb.Bar
	once sync.Once
}

// progress returns a bar that ends at total.
func (s *streams) progress(name string, total int64) *progress {
	if !s.terminal || total <= 0 {
		return &progress{}
	}
	p := mpb.New(mpb.WithOutput(s.err), mpb.WithWidth(48))
	return &progress{p: p, bar: p.AddBar(
		total,
		mpb.PrependDecorators(decor.Name(name+" "), decor.Percentage()),
		mpb.AppendDecorators(decor.AverageETA(decor.ET_STYLE_GO)),
	)}
}

func (b *progress) set(n int64) {
	if b.bar != nil {
		b.bar.SetCurrent(n)
	}
}

// done removes or completes the bar; more than once is fine.
func (b *progress) done() {
	b.once.Do(func() {
		if b.bar != nil {
			b.bar.Abort(false)
			b.p.Wait()
		}
	})
}
