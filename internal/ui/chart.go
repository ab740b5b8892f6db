package ui

import (
	"fmt"
	"math"
	"strings"
)

// A Series is one kind of thing counted in a chart. At most six are told apart.
type Series struct {
	Name   string
	Values []int64 // one for each label
	UpTo   bool    // not counted: at most so many, drawn as an outline
}

// A Chart is counts over labels, drawn as stacked bars. The same numbers stand
// in a table beneath it for whoever cannot see it, or wants to read them.
type Chart struct {
	Title  string
	Labels []string
	Series []Series
}

// Sizes of the drawing, in units of its view box.
const (
	chartWidth  = 640
	chartHeight = 200
	chartLeft   = 44
	chartBottom = 40
	chartLine   = 13 // from one line of a label to the next
	chartTop    = 10
)

// top is the upper end of the axis: a round number above every bar.
func (c *Chart) top() int64 {
	most := int64(1)
	for i := range c.Labels {
		sum := int64(0)
		for _, s := range c.Series {
			sum += s.Values[i]
		}
		most = max(most, sum)
	}
	step := int64(math.Pow10(int(math.Log10(float64(most)))))
	for _, m := range []int64{1, 2, 5, 10} {
		if step*m >= most {
			return step * m
		}
	}
	return most
}

// class is the look of the series at a place.
func (s *Series) class(i int) string {
	if s.UpTo {
		return "upto"
	}
	return fmt.Sprintf("s%d", i%6+1)
}

// A bar is one rectangle.
type bar struct {
	x, y, w, h string
	class      string
	title      string
}

func unit(x float64) string { return fmt.Sprintf("%.1f", x) }

func (c *Chart) bars() (out []bar) {
	top := float64(c.top())
	wide := float64(chartWidth-chartLeft) / float64(max(1, len(c.Labels)))
	high := float64(chartHeight - chartBottom - chartTop)
	for i, label := range c.Labels {
		y := float64(chartHeight - chartBottom)
		for j := range c.Series {
			s := &c.Series[j]
			if s.Values[i] == 0 {
				continue
			}
			h := math.Max(1, high*float64(s.Values[i])/top)
			y -= h
			out = append(out, bar{
				unit(chartLeft + wide*float64(i) + wide*.15), unit(y), unit(wide * .7), unit(h),
				s.class(j), fmt.Sprintf("%s, %s: %d", label, s.Name, s.Values[i]),
			})
		}
	}
	return out
}

// A tick is one line of the axis, or one label beneath it.
type tick struct{ x, y, text, whole string }

func (c *Chart) ticks() (out []tick) {
	top := c.top() // 1, 2 or 5 times a power of ten
	high := float64(chartHeight - chartBottom - chartTop)
	steps := int64(1)
	for _, n := range []int64{5, 4, 2} {
		if top%n == 0 {
			steps = n
			break
		}
	}
	for i := range steps + 1 {
		v := top * i / steps
		out = append(out, tick{unit(chartLeft - 6), unit(float64(chartHeight-chartBottom) - high*float64(v)/float64(top)), fmt.Sprint(v), ""})
	}
	return out
}

func (c *Chart) names() (out []tick) {
	wide := float64(chartWidth-chartLeft) / float64(max(1, len(c.Labels)))
	every := max(1, (len(c.Labels)+7)/8)
	for i, l := range c.Labels {
		if i%every != 0 {
			continue
		}
		for n, line := range inLines(l, int(wide*float64(every))-6) {
			out = append(out, tick{unit(chartLeft + wide*(float64(i)+.5)), unit(float64(chartHeight - chartBottom + 16 + n*chartLine)), line, l})
		}
	}
	return out
}

// runeWidth is about how many units a character takes up.
func runeWidth(r rune) int {
	if r >= 0x2e80 { // Chinese, Japanese, Korean
		return 11
	}
	return 6
}

func textWidth(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// inLines breaks a label into at most two lines of so many units, at a space
// where it has one there, and cuts what is longer.
func inLines(s string, wide int) []string {
	if textWidth(s) <= wide {
		return []string{s}
	}
	first := strings.TrimRight(cut(s, wide), " ")
	if !strings.HasPrefix(s[len(first):], " ") {
		if i := strings.LastIndexByte(first, ' '); i > 0 {
			first = first[:i]
		}
	}
	rest := strings.TrimLeft(s[len(first):], " ")
	if textWidth(rest) > wide {
		rest = cut(rest, wide-textWidth("…")) + "…"
	}
	return []string{first, rest}
}

// cut returns as much of the start of s as fits into so many units, at least
// one character.
func cut(s string, wide int) string {
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > wide && i > 0 {
			return s[:i]
		}
	}
	return s
}
