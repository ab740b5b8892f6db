//go:build unix

package console_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// BenchmarkPages is the server's time for every page of a large cell. `make
// bench-pages` runs it; BONDED_PEOPLE is how many people there are,
// 1,000,000 unless it says otherwise, a quarter as many rows of the journal and
// a tenth as many cases.
func BenchmarkPages(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("BONDED_PEOPLE"))
	if err != nil {
		n = 1_000_000
	}
	w := newPageWorld(b)
	began := time.Now()
	subject := w.crowdOf(crowd{people: n, rows: n / 4, cases: n / 10, agencies: 300, officers: 3000})
	fmt.Printf("%d people, %d rows of the journal, %d cases, 3300 entries of the register: filled in %s\n", n, n/4, n/10, time.Since(began).Round(time.Second))
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "page\tmedian ms\tp99 ms\tKB\tKB with what it loads\n")
	for _, l := range w.looks(subject) {
		b.Run(strings.ReplaceAll(l.name, " ", "_"), func(b *testing.B) {
			var took []time.Duration
			size, all := 0, 0
			for b.Loop() {
				at := time.Now()
				status, body := l.do()
				took = append(took, time.Since(at))
				if status != http.StatusOK {
					b.Fatalf("%d: %s", status, body)
				}
				size, all = len(body), transfer(body)
			}
			slices.Sort(took)
			ms := func(share int) float64 { return took[(len(took)-1)*share/100].Seconds() * 1000 }
			b.ReportMetric(ms(50), "p50-ms")
			b.ReportMetric(ms(99), "p99-ms")
			b.ReportMetric(float64(all)/1000, "KB")
			_, _ = fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.0f\t%.0f\n", l.name, ms(50), ms(99), float64(size)/1000, float64(all)/1000)
		})
	}
	_ = t.Flush()
	fmt.Println(table.String())
}
