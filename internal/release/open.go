package release

import (
	"errors"
	"fmt"
	"io"
	"time"

	"bonded"
	"bonded/internal/custody"
	"bonded/internal/quorum"
	"bonded/internal/recipient"
	"bonded/internal/seal"
	"bonded/verify"
)

// Check checks a package of size bytes without opening anything: see
// [verify.CheckPackage]. directory is the file cells.json. The error is a
// [verify.Failure].
func Check(r io.ReaderAt, size int64, directory []byte, now time.Time) (*verify.PackageReport, error) {
	return verify.CheckPackage(r, size, verify.PackageOptions{Directory: directory, Now: now, Quorum: new(custody.Chain)})
}

// A Row is one item of a package, opened or refused.
type Row struct {
	Index      int // in the scope
	Task       int // of the request
	Subject    bonded.SubjectID
	Record     bonded.RecordID
	Collection string
	Code       bonded.Code // why it was refused; empty if it is opened
	Entry      string      // row of the vault's journal
	Fields     []Field
}

// A Field is one field of a [Row]. Value is as the vault stores it: text
// without quotes, everything else in JSON. It is good until the next row.
type Field struct {
	Name  string
	Match bool // identified the target
	Value []byte
}

// A Sink takes rows in the order of the scope. Begin comes first, End only if
// all went well.
type Sink interface {
	Begin(r *verify.PackageReport) error
	Row(r *Row) error
	End() error
}

// Open checks a package and then opens it with the recipient's key, item by
// item, into a sink. key is the public side of private. Until the last row the
// file may still turn out to be another than the one checked: the sink shows
// nothing before End. Errors are [verify.Failure]s for what does not hold, have
// code altered for an item that does not open, and are else those of the sink.
func Open(r io.ReaderAt, size int64, directory []byte, now time.Time, key *recipient.Key, private *recipient.Private, sink Sink) (*verify.PackageReport, error) {
	// 1. Everything is checked before anything is opened.
	chain := new(custody.Chain)
	rep, err := verify.CheckPackage(r, size, verify.PackageOptions{Directory: directory, Now: now, Quorum: chain, Recipient: key.Bytes()})
	if err != nil {
		return nil, err
	}
	if err := sink.Begin(rep); err != nil {
		return nil, err
	}

	// 2. Item by item: keys, outer layer, inner layer.
	o := &opener{info: verify.ReleaseInfo(rep.Opening.Case, rep.Opening.Scope), id: rep.Opening.Case, private: private, release: chain.Current().ReleaseKey()}
	p := verify.NewPackageReader(io.NewSectionReader(r, 0, size))
	for {
		kind, b, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if kind != verify.SectionItem {
			continue
		}
		if err := o.item(b, sink); err != nil {
			return nil, err
		}
	}

	// 3. What was opened is what was checked.
	if *p.End() != *rep.End {
		return nil, verify.Fail(verify.FailPackage, "the package changed while it was opened")
	}
	return rep, sink.End()
}

type opener struct {
	info    []byte
	id      bonded.CaseID
	private *recipient.Private
	release [32]byte
}

func (o *opener) item(b []byte, sink Sink) error {
	it, item, err := verify.ParsePackageItem(b)
	if err != nil {
		return err
	}
	row := &Row{
		Index: it.Index, Task: int(item.Task), Collection: item.Collection, Code: it.Code, Entry: it.Row,
		Subject: bonded.SubjectID{Cell: o.id.Cell, ID: item.Subject}, Record: bonded.RecordID{Cell: o.id.Cell, ID: item.Record},
	}
	if it.Code != "" {
		return sink.Row(row)
	}
	defer func() {
		for i := range row.Fields {
			clear(row.Fields[i].Value)
		}
	}()
	if err := o.open(it, item, row); err != nil {
		return &bonded.Error{
			Code: bonded.CodeAltered, Message: fmt.Sprintf("item %d does not open, although the package holds", it.Index), Err: err,
			Hint: "keep the package as evidence and tell whoever released it: keys or data in it are not those of the record",
		}
	}
	return sink.Row(row)
}

func (o *opener) open(it *verify.PackageItem, item *verify.ScopeItem, row *Row) error {
	// 1. The keyholder's keys.
	aad := verify.ScopeItemHash(it.Item)
	keys, err := seal.OpenFrom(o.private.Seal, o.info, aad[:], it.Sealed)
	if err != nil {
		return err
	}
	defer clear(keys)
	if len(keys) != seal.KeySize*len(item.Fields) {
		return seal.ErrKey
	}

	// 2. The quorum's key.
	var qk quorum.Key
	if item.Envelope != ([32]byte{}) {
		if qk, err = o.quorumKey(it, item); err != nil {
			return err
		}
		defer qk.Wipe()
	}

	// 3. The layers of each field.
	for i := range item.Fields {
		f := &item.Fields[i]
		c := seal.Context{Cell: o.id.Cell, Subject: item.Subject, Record: item.Record, Collection: item.Collection, Field: f.Name, Version: f.Version}
		value, err := openLayer(keys[i*seal.KeySize:(i+1)*seal.KeySize], it.Ciphertexts[i], c)
		if err == nil && f.Custody == verify.CustodyQuorum {
			value, err = openInner(qk, value, c, item.Envelope)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		row.Fields = append(row.Fields, Field{f.Name, f.Match, value})
	}
	return nil
}

func (o *opener) quorumKey(it *verify.PackageItem, item *verify.ScopeItem) (quorum.Key, error) {
	e, err := quorum.ParseEnvelope(it.Envelope)
	if err != nil {
		return quorum.Key{}, err
	}
	c, err := quorum.ParseCombined(it.Combined)
	if err != nil {
		return quorum.Key{}, err
	}
	return o.private.Quorum.Open(e, verify.EnvelopeLabel(o.id.Cell, item.Collection, item.Record, o.release), c)
}

func openInner(qk quorum.Key, sealed []byte, c seal.Context, envelope [32]byte) ([]byte, error) {
	defer clear(sealed)
	c.Version = verify.EnvelopeVersion(envelope)
	key := qk.Field(c.Field)
	defer clear(key)
	return openLayer(key, sealed, c)
}

func openLayer(key, sealed []byte, c seal.Context) ([]byte, error) {
	k, err := seal.KeyFromBytes(key)
	if err != nil {
		return nil, err
	}
	defer k.Wipe()
	return k.Open(sealed, c)
}
