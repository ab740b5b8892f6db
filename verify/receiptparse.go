package verify

import (
	"bytes"
	"encoding/json"

	"bonded"
)

// MaxReceiptSize is the largest receipt this package reads, in bytes.
const MaxReceiptSize = 8 << 20

// Encode returns r as compact JSON with a newline at its end.
func (r *Receipt) Encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings, integers and byte strings always marshal
	}
	return append(b, '\n')
}

// ParseReceipt reads a receipt strictly: unknown or repeated members, another
// spelling of base64, or anything after the end are refused. It checks no
// hash. The error is a [Failure] with code [FailMalformed].
func ParseReceipt(b []byte) (*Receipt, error) {
	if len(b) > MaxReceiptSize {
		return nil, Fail(FailMalformed, "receipt is over %d bytes", MaxReceiptSize)
	}
	var j receiptJSON
	if err := strictJSON(bytes.TrimSuffix(b, []byte("\n")), &j); err != nil {
		return nil, &Failure{Verdict: DoesNotHold, Code: FailMalformed, Message: "receipt is not the JSON of this format", Err: err}
	}
	if j.Format != ReceiptFormat {
		return nil, Fail(FailMalformed, "receipt is not of format %s", ReceiptFormat)
	}
	return j.receipt(), nil
}

// receiptJSON is [Receipt] with byte strings in their one spelling.
type receiptJSON struct {
	Format string        `json:"format"`
	Cell   bonded.CellID `json:"cell"`
	Head   b64bytes      `json:"head"`
	Salt   b64bytes      `json:"head_salt"`
	Items  struct {
		Root  b64bytes `json:"root"`
		Shown []struct {
			Index int        `json:"index"`
			Bytes b64bytes   `json:"bytes"`
			Salt  b64bytes   `json:"salt"`
			Path  []b64bytes `json:"path"`
		} `json:"shown"`
	} `json:"items"`
	Segment struct {
		Bytes b64bytes   `json:"bytes"`
		Index int64      `json:"index"`
		Path  []b64bytes `json:"path"`
	} `json:"segment"`
	Anchor struct {
		Leaf          b64bytes   `json:"leaf"`
		SegmentIndex  int64      `json:"segment_index"`
		SegmentCount  int64      `json:"segment_count"`
		SegmentPath   []b64bytes `json:"segment_path"`
		FieldIndex    int64      `json:"field_index"`
		FieldCount    int64      `json:"field_count"`
		FieldSalt     b64bytes   `json:"field_salt"`
		SegmentsValue b64bytes   `json:"segments_value"`
		FieldPath     []b64bytes `json:"field_path"`
	} `json:"anchor"`
	Proof string `json:"proof"`
}

func (j *receiptJSON) receipt() *Receipt {
	for _, b := range []*b64bytes{&j.Head, &j.Salt, &j.Items.Root, &j.Segment.Bytes, &j.Anchor.Leaf, &j.Anchor.FieldSalt, &j.Anchor.SegmentsValue} {
		*b = append(b64bytes{}, *b...) // absent is empty
	}
	for i := range j.Items.Shown {
		s := &j.Items.Shown[i]
		s.Bytes, s.Salt = append(b64bytes{}, s.Bytes...), append(b64bytes{}, s.Salt...)
	}
	r := &Receipt{Format: j.Format, Cell: j.Cell, Head: j.Head, Salt: j.Salt, Proof: j.Proof}
	r.Items.Root = j.Items.Root
	for _, s := range j.Items.Shown {
		r.Items.Shown = append(r.Items.Shown, ReceiptItem{s.Index, s.Bytes, s.Salt, plainPath(s.Path)})
	}
	r.Segment = ReceiptPath{j.Segment.Bytes, j.Segment.Index, plainPath(j.Segment.Path)}
	a := &j.Anchor
	r.Anchor = ReceiptAnchor{
		Leaf: a.Leaf, SegmentIndex: a.SegmentIndex, SegmentCount: a.SegmentCount, SegmentPath: plainPath(a.SegmentPath),
		FieldIndex: a.FieldIndex, FieldCount: a.FieldCount, FieldSalt: a.FieldSalt, SegmentsValue: a.SegmentsValue, FieldPath: plainPath(a.FieldPath),
	}
	return r
}

func plainPath(p []b64bytes) [][]byte {
	b := make([][]byte, len(p))
	for i := range p {
		b[i] = p[i]
	}
	return b
}
