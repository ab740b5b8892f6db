//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
)

// A table prints figures beside their bars.
type table struct {
	w     io.Writer
	short int // figures that miss their bar
}

func newTable(w io.Writer) *table { return &table{w: w} }

func (t *table) printf(format string, args ...any) { fmt.Fprintf(t.w, format, args...) }

// figure prints a measured value and the bar it should reach (at least).
func (t *table) figure(what string, value, bar float64, unit string) {
	verdict := "reached"
	if value < bar {
		verdict = "falls short"
		t.short++
	}
	t.printf("%-52s %10s   bar ≥ %-10s %s\n", what, number(value)+unit, number(bar)+unit, verdict)
}

// most prints a value that should stay at or below its bar.
func (t *table) most(what string, value, bar float64, unit string) {
	verdict := "reached"
	if value > bar {
		verdict = "falls short"
		t.short++
	}
	t.printf("%-52s %10s   bar ≤ %-10s %s\n", what, number(value)+unit, number(bar)+unit, verdict)
}

// plain prints a figure that has no bar.
func (t *table) plain(what string, value float64, unit string) {
	t.printf("%-52s %10s\n", what, number(value)+unit)
}

func (t *table) summary() {
	t.printf("\n%d figure(s) fall short\n", t.short)
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
