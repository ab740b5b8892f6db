package verify

import (
	"unicode/utf8"

	"bonded"
)

// Check reports whether r can be entered: [DecodeRow] reads what [EncodeRow]
// makes of it. Text of a row may come from whoever asks, so whoever enters
// rows checks first. It returns a [bonded.Error] with code invalid that names
// the field.
func (r *Row) Check() error {
	bad := func(field string) error {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: field, Message: "does not fit into a journal row"}
	}
	for _, t := range []struct {
		field, text string
		limit       int
	}{
		{"cell", string(r.Cell), 8},
		{"code", string(r.Code), 64},
		{"principal", r.Principal, maxText},
		{"collection", r.Collection, 64},
		{"purpose", string(r.Purpose), 64},
		{"reason", r.Reason, MaxReason},
		{"basis", r.Basis, maxText},
	} {
		if !fits(t.text, t.limit) {
			return bad(t.field)
		}
	}
	if !r.Cell.Valid() {
		return bad("cell")
	}
	if r.Operation >= opEnd || r.Outcome == 0 || r.Outcome >= outcomeEnd || r.Assurance >= assuranceEnd {
		return bad("operation")
	}
	if !allFit(r.Rules, maxRowRules, maxText) {
		return bad("rules")
	}
	if len(r.Items) > MaxRowItems {
		return bad("items")
	}
	for i := range r.Items {
		if !allFit(r.Items[i].Fields, MaxRowFields, 64) || !allFit(r.Items[i].Index, MaxRowFields, 64) {
			return bad("items")
		}
	}
	return nil
}

func fits(s string, limit int) bool { return len(s) <= limit && utf8.ValidString(s) }

func allFit(ss []string, count, limit int) bool {
	if len(ss) > count {
		return false
	}
	for _, s := range ss {
		if !fits(s, limit) {
			return false
		}
	}
	return true
}
