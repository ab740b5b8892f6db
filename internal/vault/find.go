package vault

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/canon"
	"bonded/internal/wire"
	"bonded/verify"
)

// Find looks records up by equality; all conditions must hold. It returns
// ids, never values, and the terms are kept nowhere.
func (v *Vault) Find(ctx context.Context, call *Call, q *apitype.FindRequest) (*apitype.FindResult, error) {
	// 1. Check and decide.
	s, err := v.beginFind(call, q.Collection, q.Where)
	if err != nil {
		return nil, err
	}
	limit, after, err := v.page(q.Limit, q.After, s.c, whereDigest(s.c, q.Where))
	if err != nil {
		return nil, v.fail(s.a, err)
	}

	// 2. Enter, and have the keyholder turn the inner values into outer ones.
	conditions, err := v.enterFind(ctx, s, q.Where)
	if err != nil {
		return nil, err
	}

	// 3. Look up.
	places, err := v.store.Find(ctx, conditions, after, limit+1)
	if err != nil {
		return nil, err
	}
	return v.pageOf(places, limit, s.c, whereDigest(s.c, q.Where), s.a), nil
}

// A search is a decided search.
type search struct {
	a      *ask
	c      *Collection
	fields []*Field
}

// beginFind checks the conditions of a search and decides it.
func (v *Vault) beginFind(call *Call, collection string, where map[string]string) (*search, error) {
	names := sortedNames(where)
	if len(names) == 0 || len(names) > 16 {
		return nil, v.refused(call, verify.OpFind, collection, nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "where", Message: "a search has 1 to 16 conditions"})
	}
	for _, n := range names {
		if !bonded.ValidName(n) {
			return nil, v.refused(call, verify.OpFind, collection, nil, &bonded.Error{Code: bonded.CodeUnknownField, Field: "where", Message: "collection has no such field"})
		}
	}
	a, c, fields, err := v.beginIn(call, verify.OpFind, collection, names, nil)
	if err != nil {
		return nil, err
	}
	return &search{a, c, fields}, nil
}

// enterFind enters a search and returns what to look up.
func (v *Vault) enterFind(ctx context.Context, s *search, where map[string]string) ([]Condition, error) {
	a := s.a
	it := wire.Item{Index: make([]wire.IndexValue, len(s.fields))}
	for i, f := range s.fields {
		if !f.Indexed() {
			return nil, v.fail(a, &bonded.Error{Code: bonded.CodeInvalid, Field: "where." + f.Name, Message: "the field has no index", Hint: "search by a field whose schema names one"})
		}
		n, err := f.normaliser.Normalise(where[f.Name])
		if err != nil {
			return nil, v.fail(a, indexError(err, "where."+f.Name))
		}
		it.Index[i] = wire.IndexValue{Field: f.Name, Inner: v.inner[f].Sum([]byte(n))}
	}
	a.items, a.resolved = []wire.Item{it}, true
	if a.proven() {
		a.named = []wire.Named{{Fields: sortedNames(where)}}
	}
	if err := v.submit(ctx, v.reads, a); err != nil {
		return nil, err
	}
	answer := &a.result.Items[0]
	if answer.Code != "" {
		a.err = itemRefused(answer.Code, "")
		v.enterSecond([]*ask{a})
		return nil, a.err
	}
	conditions := make([]Condition, len(s.fields))
	for i, f := range s.fields {
		conditions[i] = Condition{Field: f.ID, Value: answer.Outer[i]}
	}
	return conditions, nil
}

// List pages through the ids of a collection.
func (v *Vault) List(ctx context.Context, call *Call, q *apitype.ListRequest) (*apitype.FindResult, error) {
	a, c, _, err := v.beginIn(call, verify.OpList, q.Collection, nil, nil)
	if err != nil {
		return nil, err
	}
	limit, after, err := v.page(q.Limit, q.After, c, listDigest(c))
	if err != nil {
		return nil, v.fail(a, err)
	}
	a.resolved = true
	if _, err := v.enter(ctx, a, nil); err != nil {
		return nil, err
	}
	places, err := v.store.List(ctx, c.ID, after, limit+1)
	if err != nil {
		return nil, err
	}
	return v.pageOf(places, limit, c, listDigest(c), a), nil
}

// Count counts a collection.
func (v *Vault) Count(ctx context.Context, call *Call, q *apitype.CountRequest) (*apitype.CountResult, error) {
	a, c, _, err := v.beginIn(call, verify.OpCount, q.Collection, nil, nil)
	if err != nil {
		return nil, err
	}
	e, err := v.enter(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	subjects, records := v.store.Count(c.ID)
	return &apitype.CountResult{Subjects: subjects, Records: records, Entry: e.Ref().String()}, nil
}

func (v *Vault) pageOf(places []Place, limit int, c *Collection, query [32]byte, a *ask) *apitype.FindResult {
	out := &apitype.FindResult{Records: make([]apitype.Found, 0, len(places)), Entry: a.entered.Ref().String()}
	if len(places) > limit {
		places = places[:limit]
		out.Next = v.cursor(places[limit-1].N-uint64(c.ID)<<40, query)
	}
	for _, p := range places {
		out.Records = append(out.Records, apitype.Found{Subject: v.subjectText(p.Subject), Record: v.recordText(p.Record)})
	}
	return out
}

// page returns the limit and the place of a page.
func (v *Vault) page(limit int, after string, c *Collection, query [32]byte) (int, uint64, error) {
	if limit == 0 {
		limit = 100
	}
	if limit < 1 || limit > apitype.MaxPage {
		return 0, 0, &bonded.Error{Code: bonded.CodeInvalid, Field: "limit", Message: "a page has 1 to 1,000 entries"}
	}
	if after == "" {
		return limit, 0, nil
	}
	n, ok := v.readCursor(after, query)
	if !ok {
		return 0, 0, &bonded.Error{Code: bonded.CodeInvalid, Field: "after", Message: "not a cursor of this query", Hint: "use the cursor of the page before, with the same conditions"}
	}
	return limit, uint64(c.ID)<<40 + n, nil
}

// A cursor is a place in the order of a collection, hidden under a mask of
// its query, with a check of 8 bytes: it fits no other query.
func (v *Vault) cursor(n uint64, query [32]byte) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], n^binary.BigEndian.Uint64(query[:]))
	h := sha256.Sum256(append(query[8:], b[:8]...))
	copy(b[8:], h[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (v *Vault) readCursor(s string, query [32]byte) (uint64, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 16 {
		return 0, false
	}
	n := binary.BigEndian.Uint64(b) ^ binary.BigEndian.Uint64(query[:])
	return n, n < 1<<40 && v.cursor(n, query) == s
}

func listDigest(c *Collection) [32]byte {
	return sha256.Sum256(canon.LP([]byte("bonded/cursor/1"), []byte(c.Name)))
}

func whereDigest(c *Collection, where map[string]string) [32]byte {
	parts := [][]byte{[]byte("bonded/cursor/1"), []byte(c.Name)}
	for _, n := range sortedNames(where) {
		parts = append(parts, []byte(n), []byte(where[n]))
	}
	return sha256.Sum256(canon.LP(parts...))
}
