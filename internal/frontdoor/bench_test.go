//go:build unix

package frontdoor_test

import (
	"fmt"
	"testing"

	"bonded/verify"
)

// BenchmarkCaseOfAThousandPeople is one case from the custodians' reading to
// the package, with a quorum field of everybody: the custodians' own work is in
// it, the ledger's slots are not waited for.
func BenchmarkCaseOfAThousandPeople(b *testing.B) {
	const people = 1000
	w := staffed(b)
	var targets []verify.CaseTarget
	for i := range people {
		email := fmt.Sprintf("person%d@example.org", i)
		w.records.add(map[string]string{"name": "Somebody", "email": email, "passport": "C01X00T47"})
		targets = append(targets, verify.CaseTarget{Format: "email", Value: email})
	}
	for b.Loop() {
		b.StopTimer()
		r := w.request()
		r.Tasks[0].Targets, r.Tasks[0].MaxSubjects = targets, people
		id := w.file(r)
		b.StartTimer()
		w.reviewed(id)
		w.open(id)
		w.state(id, "delivered")
		b.StopTimer()
		b.ReportMetric(float64(len(w.fetch(id)))/(1<<20), "MiB/package")
		b.StartTimer()
	}
}
