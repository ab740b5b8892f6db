package verify

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"bonded"
)

// Format names of the exported books. spec/reconcile.md has the lines.
const (
	JournalExportFormat = "bonded/journal-export/1"
	BookExportFormat    = "bonded/book-export/1"
)

// MaxExportLine is the longest line of an export this package reads, in bytes.
const MaxExportLine = 8 << 20

// A JournalRow is one row of an exported journal.
type JournalRow struct {
	Position uint64 // order in which the rows of the node became durable, from 1
	Row      []byte // canonical bytes
	Salt     Salt
}

// A JournalAnchor is one anchor of an exported journal. It is newer than every
// segment from First to Last; an anchor that covers none has Last = First - 1.
type JournalAnchor struct {
	Index       uint64 // of the leaf in the ledger
	Leaf        []byte
	Fields      []byte // see [EncodeFields]
	First, Last uint64 // numbers of the segments it covers
	Proof       string // C2SP tlog-proof of the leaf; may be empty
}

// A JournalEntry is one line of an exported journal: exactly one of its
// members is set.
type JournalEntry struct {
	Row     *JournalRow
	Segment []byte // canonical bytes
	Anchor  *JournalAnchor
}

// exportLine is every line of both exports. Absent members are left out.
type exportLine struct {
	Type     string        `json:"type"`
	Format   string        `json:"format,omitempty"`
	Cell     bonded.CellID `json:"cell,omitempty"`
	Node     uint16        `json:"node,omitempty"`
	Position uint64        `json:"position,omitempty"`
	Row      b64bytes      `json:"row,omitempty"`
	Salt     b64bytes      `json:"salt,omitempty"`
	Segment  b64bytes      `json:"segment,omitempty"`
	Index    *uint64       `json:"index,omitempty"`
	Leaf     b64bytes      `json:"leaf,omitempty"`
	Fields   b64bytes      `json:"fields,omitempty"`
	First    uint64        `json:"first,omitempty"`
	Last     *uint64       `json:"last,omitempty"`
	Proof    string        `json:"proof,omitempty"`
	Head     b64bytes      `json:"head,omitempty"`
	Rows     *uint64       `json:"rows,omitempty"`
	Segments *uint64       `json:"segments,omitempty"`
	Anchors  *uint64       `json:"anchors,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (b b64bytes) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(b)) }

// A lineWriter writes JSON Lines.
type lineWriter struct {
	w   *bufio.Writer
	enc *json.Encoder
}

func newLineWriter(w io.Writer) lineWriter {
	b := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return lineWriter{b, enc}
}

func (l lineWriter) line(e *exportLine) error {
	if err := l.enc.Encode(e); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

func (l lineWriter) flush() error {
	if err := l.w.Flush(); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

// A JournalWriter writes an exported journal: rows by rising position from 1,
// each segment after its rows, each anchor after its segments, then
// [JournalWriter.Close]. Whole pages of rows may stand before the segments
// that end in them. It is not safe for concurrent use.
type JournalWriter struct {
	l                       lineWriter
	rows, segments, anchors uint64
}

// NewJournalWriter begins the export of the journal of one vault node.
func NewJournalWriter(w io.Writer, cell bonded.CellID, node uint16) (*JournalWriter, error) {
	j := &JournalWriter{l: newLineWriter(w)}
	return j, j.l.line(&exportLine{Type: "journal", Format: JournalExportFormat, Cell: cell, Node: node})
}

// WriteRow appends one row.
func (j *JournalWriter) WriteRow(r JournalRow) error {
	j.rows++
	return j.l.line(&exportLine{Type: "row", Position: r.Position, Row: r.Row, Salt: r.Salt[:]})
}

// WriteSegment appends the canonical bytes of one segment.
func (j *JournalWriter) WriteSegment(segment []byte) error {
	j.segments++
	return j.l.line(&exportLine{Type: "segment", Segment: segment})
}

// WriteAnchor appends one anchor.
func (j *JournalWriter) WriteAnchor(a JournalAnchor) error {
	j.anchors++
	return j.l.line(&exportLine{Type: "anchor", Index: &a.Index, Leaf: a.Leaf, Fields: a.Fields, First: a.First, Last: &a.Last, Proof: a.Proof})
}

// Close writes the last line, by which a reader knows that nothing was cut
// off, and flushes. It does not close the underlying writer.
func (j *JournalWriter) Close() error {
	if err := j.l.line(&exportLine{Type: "end", Rows: &j.rows, Segments: &j.segments, Anchors: &j.anchors}); err != nil {
		return err
	}
	return j.l.flush()
}

// A lineReader reads JSON Lines strictly.
type lineReader struct {
	s    *bufio.Scanner
	what string
	n    int
	done bool
}

func newLineReader(r io.Reader, what string) *lineReader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), MaxExportLine)
	return &lineReader{s: s, what: what}
}

// next returns the next line, or io.EOF after the last one.
func (l *lineReader) next() (*exportLine, error) {
	if !l.s.Scan() {
		if err := l.s.Err(); err != nil {
			return nil, Unknown(FailMissing, err, "the %s export cannot be read after line %d", l.what, l.n)
		}
		return nil, io.EOF
	}
	l.n++
	if l.done {
		return nil, Unknown(FailMalformed, nil, "the %s export goes on after its last line, at line %d", l.what, l.n)
	}
	e := new(exportLine)
	if err := strictJSON(l.s.Bytes(), e); err != nil {
		return nil, Unknown(FailMalformed, err, "line %d of the %s export is not in the format", l.n, l.what)
	}
	return e, nil
}

func (l *lineReader) header(typ, format string) (*exportLine, error) {
	e, err := l.next()
	if errors.Is(err, io.EOF) {
		return nil, Unknown(FailMissing, nil, "the %s export is empty", l.what)
	}
	if err != nil {
		return nil, err
	}
	if e.Type != typ || e.Format != format || !e.Cell.Valid() {
		return nil, Unknown(FailMalformed, nil, "the %s export does not begin with format %s", l.what, format)
	}
	return e, nil
}

// cut returns the error of an export without its last line.
func (l *lineReader) cut() error {
	return Unknown(FailMissing, nil, "the %s export is cut off after line %d", l.what, l.n)
}

// end checks that nothing follows the last line.
func (l *lineReader) end() error {
	l.done = true
	if _, err := l.next(); !errors.Is(err, io.EOF) {
		return err
	}
	return io.EOF
}

func (l *lineReader) malformed() error {
	return Unknown(FailMalformed, nil, "line %d of the %s export is not in the format", l.n, l.what)
}

// A JournalReader reads an exported journal. It checks the form of lines, not
// what they say.
type JournalReader struct {
	l                       *lineReader
	cell                    bonded.CellID
	node                    uint16
	rows, segments, anchors uint64
}

// NewJournalReader reads the first line. The error is a [Failure] with
// verdict [CannotTell].
func NewJournalReader(r io.Reader) (*JournalReader, error) {
	j := &JournalReader{l: newLineReader(r, "journal")}
	h, err := j.l.header("journal", JournalExportFormat)
	if err != nil {
		return nil, err
	}
	j.cell, j.node = h.Cell, h.Node
	return j, nil
}

// Cell returns the cell the export says it is of.
func (j *JournalReader) Cell() bonded.CellID { return j.cell }

// Node returns the vault node the export says it is of.
func (j *JournalReader) Node() uint16 { return j.node }

// Next returns the next entry, [io.EOF] after the last, or a [Failure] with
// verdict [CannotTell] if the export is malformed or cut off.
func (j *JournalReader) Next() (JournalEntry, error) {
	e, err := j.l.next()
	if errors.Is(err, io.EOF) {
		if j.l.done {
			return JournalEntry{}, io.EOF
		}
		return JournalEntry{}, j.l.cut()
	}
	if err != nil {
		return JournalEntry{}, err
	}
	switch {
	case e.Type == "row" && len(e.Row) > 0 && len(e.Salt) == len(Salt{}):
		j.rows++
		return JournalEntry{Row: &JournalRow{Position: e.Position, Row: e.Row, Salt: Salt(e.Salt)}}, nil
	case e.Type == "segment" && len(e.Segment) > 0:
		j.segments++
		return JournalEntry{Segment: e.Segment}, nil
	case e.Type == "anchor" && e.Index != nil && e.Last != nil && len(e.Leaf) > 0:
		j.anchors++
		return JournalEntry{Anchor: &JournalAnchor{*e.Index, e.Leaf, e.Fields, e.First, *e.Last, e.Proof}}, nil
	case e.Type == "end" && e.Rows != nil && e.Segments != nil && e.Anchors != nil:
		if *e.Rows != j.rows || *e.Segments != j.segments || *e.Anchors != j.anchors {
			return JournalEntry{}, Unknown(FailMissing, nil, "the journal export lacks lines: its end counts more or fewer than there are")
		}
		return JournalEntry{}, j.l.end()
	default:
		return JournalEntry{}, j.l.malformed()
	}
}

// A BookWriter writes the exported key-use book: every row from the first,
// then [BookWriter.Close] with the signed head. It is not safe for concurrent
// use.
type BookWriter struct{ l lineWriter }

// NewBookWriter begins the export of a cell's key-use book.
func NewBookWriter(w io.Writer, cell bonded.CellID) (*BookWriter, error) {
	b := &BookWriter{newLineWriter(w)}
	return b, b.l.line(&exportLine{Type: "book", Format: BookExportFormat, Cell: cell})
}

// WriteRow appends the canonical bytes of one row.
func (b *BookWriter) WriteRow(row []byte) error {
	return b.l.line(&exportLine{Type: "row", Row: row})
}

// Close writes the last line, the signed head of exactly the rows written, and
// flushes. It does not close the underlying writer.
func (b *BookWriter) Close(head *Head) error {
	if err := b.l.line(&exportLine{Type: "head", Head: head.Encode()}); err != nil {
		return err
	}
	return b.l.flush()
}

// A BookReader reads an exported key-use book. It checks the form of lines,
// not what they say.
type BookReader struct {
	l    *lineReader
	cell bonded.CellID
	head *Head
}

// NewBookReader reads the first line. The error is a [Failure] with verdict
// [CannotTell].
func NewBookReader(r io.Reader) (*BookReader, error) {
	b := &BookReader{l: newLineReader(r, "book")}
	h, err := b.l.header("book", BookExportFormat)
	if err != nil {
		return nil, err
	}
	b.cell = h.Cell
	return b, nil
}

// Cell returns the cell the export says it is of.
func (b *BookReader) Cell() bonded.CellID { return b.cell }

// Next returns the canonical bytes of the next row, [io.EOF] after the last,
// or a [Failure] with verdict [CannotTell].
func (b *BookReader) Next() ([]byte, error) {
	e, err := b.l.next()
	if errors.Is(err, io.EOF) {
		if b.l.done {
			return nil, io.EOF
		}
		return nil, b.l.cut()
	}
	if err != nil {
		return nil, err
	}
	switch {
	case e.Type == "row" && len(e.Row) > 0:
		return e.Row, nil
	case e.Type == "head" && len(e.Head) > 0:
		h, err := DecodeHead(e.Head)
		if err != nil {
			return nil, b.l.malformed()
		}
		b.head = h
		return nil, b.l.end()
	default:
		return nil, b.l.malformed()
	}
}

// Head returns the head the export ends with, or nil before [BookReader.Next]
// returned [io.EOF]. Its signature has not been checked.
func (b *BookReader) Head() *Head { return b.head }
