//go:build unix

package vault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/apitype"
)

// Records of 256 fields with long names: 48 of them are more than an entry of
// 1 MiB can name.
func TestEntriesOfBothBooksStayBelowOneMegabyte(t *testing.T) {
	var schema strings.Builder
	schema.WriteString("collections:\n  wide:\n    fields:\n")
	v := apitype.Values{}
	fields := make([]string, 256)
	for i := range fields {
		fields[i] = fmt.Sprintf("f%03d_%s", i, strings.Repeat("x", 58))
		fmt.Fprintf(&schema, "      %s: {type: integer, class: personal}\n", fields[i])
		v[fields[i]] = []byte("7")
	}
	c := newCell(t, func(c *cell) { c.schema = schema.String() })

	// 1. A person with many wide records.
	const records = 56
	p, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "wide", PutItem: apitype.PutItem{Values: v, Facts: germany}})
	must(t, err)
	items := []apitype.GetItem{{Subject: &p.Subject, Record: &p.Record, Fields: fields}}
	for range records - 1 {
		w, err := c.v.Put(t.Context(), c.call("app"), &apitype.PutRequest{Collection: "wide", PutItem: apitype.PutItem{Subject: &p.Subject, Values: v}})
		must(t, err)
		items = append(items, apitype.GetItem{Subject: &w.Subject, Record: &w.Record, Fields: fields})
	}

	// 2. What asks for all of them: in parts, or not at all.
	x, err := c.v.Export(t.Context(), c.call("desk"), &apitype.SubjectRequest{Subject: p.Subject})
	must(t, err)
	if len(x.Records) != records || len(x.Records[records-1].Values) != len(fields) {
		t.Errorf("a copy of %d records", len(x.Records))
	}
	_, err = c.v.BatchGet(t.Context(), c.call("app"), &apitype.BatchGetRequest{Collection: "wide", Items: items})
	wantCode(t, err, bonded.CodeTooLarge)
	b, err := c.v.BatchGet(t.Context(), c.call("app"), &apitype.BatchGetRequest{Collection: "wide", Items: items[:40]})
	must(t, err)
	if b.Items[39].Result == nil || len(b.Items[39].Result.Values) != len(fields) {
		t.Errorf("%+v", b.Items[39].Error)
	}
	job, err := c.v.JobStart(t.Context(), c.call("app"), &apitype.JobRequest{Kind: "reseal", Collection: "wide"})
	must(t, err)
	c.await("the job", func() error {
		j, err := c.v.JobStatus(t.Context(), c.call("app"), job.ID)
		if err == nil && (j.State != "done" || j.Done != records) {
			err = errors.New(j.State + " " + j.Code)
		}
		return err
	})

	// 3. Every entry of both books.
	for _, r := range c.rows() {
		if len(r.Bytes) >= 1<<20 {
			t.Errorf("a journal row of %s has %d bytes", r.Row.Operation, len(r.Bytes))
		}
	}
	st, err := c.kh.Status(t.Context())()
	must(t, err)
	for after := uint64(0); after < st.Head.Seq; after++ {
		page, err := c.kh.Book(t.Context(), after, 1)
		must(t, err)
		if len(page[0]) >= 1<<20 {
			t.Errorf("book row %d has %d bytes", after+1, len(page[0]))
		}
	}
	c.reconcile()
}
