package ui_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"bonded/internal/locale"
	"bonded/internal/ui"
)

func TestLabelsOfChartsDoNotMeet(t *testing.T) {
	words, err := locale.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`text-anchor="middle">([^<]*)<title>([^<]*)</title>`)
	for _, labels := range [][]string{
		{"turned into production", "challenged by the person", "received", "a", "b", "Informationsfreiheitsbeauftragte", "told by the authority", "deferred by secrecy"},
		{"转为正式调取请求的数量", "由当事人提出异议的数量", "收到", "其他", "已批准", "未批准", "因保密而推迟告知", "由主管机关告知"},
	} {
		c := &ui.Chart{Title: "chart", Labels: labels, Series: []ui.Series{{Name: "counted", Values: []int64{1, 2, 3, 4, 5, 6, 7, 8}}}}
		var b bytes.Buffer
		if err := ui.Drawn(words.Printer("en"), c).Render(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		lines := map[string]int{}
		for _, m := range text.FindAllStringSubmatch(b.String(), -1) {
			lines[m[2]]++
			wide := 0
			for _, r := range m[1] {
				wide += 6
				if r >= 0x2e80 {
					wide += 5
				}
			}
			if wide > 596/8 {
				t.Errorf("%q of %q takes %d units", m[1], m[2], wide)
			}
			if !strings.Contains(m[2], strings.TrimSuffix(m[1], "…")) {
				t.Errorf("%q is not of %q", m[1], m[2])
			}
		}
		for _, l := range labels {
			if n := lines[l]; n < 1 || n > 2 {
				t.Errorf("%q stands in %d lines", l, n)
			}
		}
	}
}
