package quorum_test

import (
	"syscall"
	"testing"
	"time"
)

// cpu reports the CPU time of the process for each iteration, which a busy
// machine does not stretch. Call it first, and what it returns at the end.
func cpu(b *testing.B) func() {
	b.Helper()
	begin := cpuTime(b)
	return func() { b.ReportMetric((cpuTime(b)-begin).Seconds()*1000/float64(b.N), "cpu-ms/op") }
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
