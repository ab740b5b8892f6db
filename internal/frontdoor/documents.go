package frontdoor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/verify"
)

// PutDocument keeps a document of a case, sealed. The officer uploads what the
// request names, and what is owed later; people of the cell, what a decision
// rests on. With the last document that the request names the case is
// submitted. Errors: invalid if the bytes are not of that hash; refused_request
// with code incomplete if they cannot be read as what the request says they
// are.
func (s *Service) PutDocument(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID, sum string, doc []byte) (*apitype.CaseResult, error) {
	now := s.now()
	if len(doc) == 0 || len(doc) > apitype.MaxDocument {
		return nil, bonded.Errorf(bonded.CodeTooLarge, "a document has from 1 byte to 16 MiB")
	}
	hash := sha256.Sum256(doc)
	if hex.EncodeToString(hash[:]) != sum {
		return nil, invalid("sha256", "the bytes are not of this SHA-256", "send the document that the request names, unchanged")
	}
	sealed, err := s.seal(id.ID, "document/"+sum, doc)
	if err != nil {
		return nil, err
	}
	var out *apitype.CaseResult
	err = s.change(ctx, id, now, func(st *step) error {
		r, err := s.reader(st.q, st.c, call, now)
		if err != nil {
			return err
		}
		if r.kind != readRequester && r.kind != readOperator {
			return withheld()
		}
		f, err := st.file()
		if err != nil {
			return err
		}
		named := slices.IndexFunc(f.request.Authorisation.Documents, func(d verify.CaseDocument) bool { return d.SHA256 == sum })
		have, err := st.q.Documents(st.c.row.ID)
		if err != nil {
			return err
		}
		most := MaxDocuments
		if r.kind == readOperator { // whoever asks cannot leave no place for the order that ends the case
			most += MaxOwn
		}
		switch {
		case s.final(st.c.state):
			return conflict("the case is over", "")
		case slices.ContainsFunc(have, func(h []byte) bool { return bytes.Equal(h, hash[:]) }): // changes nothing
		case named < 0 && st.c.state == rules.StateDraft:
			return invalid("sha256", "the request names no such document", "upload those it names first")
		case len(have) >= most:
			return bonded.Errorf(bonded.CodeTooLarge, "a case has at most %d documents of the officer, and %d more of people of the cell", MaxDocuments, MaxOwn)
		}
		if named >= 0 {
			d := &f.request.Authorisation.Documents[named]
			if d.Size != int64(len(doc)) || !readable(d.MediaType, doc) {
				return refuse(rules.RejectIncomplete, "authorisation.documents", "the document is not of the size or type that the request says: it cannot be read", "file a new request that describes it as it is")
			}
		}
		if err := st.q.PutDocument(st.c.row.ID, hash, sealed); err != nil {
			return err
		}
		if st.c.state == rules.StateDraft {
			if err := st.submit(f); err != nil {
				return err
			}
		}
		out = result(st.c)
		return nil
	})
	return out, err
}

// submit takes a draft whose documents are all there to intake.
func (st *step) submit(f *file) error {
	missing, err := st.missingDocuments()
	if err != nil || len(missing) > 0 {
		return err
	}
	c := st.c
	c.Submitted = st.now
	if d := st.s.rules.Deadline(c.row.Process, rules.Priority(c.row.Priority)); d > 0 {
		c.Deadline = st.now.Add(d)
	}
	if err := st.move(rules.StateSubmitted, &act{by: rules.RoleRequester, person: c.row.Officer, content: [][32]byte{f.digest}, checked: true, detail: verify.SubmittedDetail(c.row.Priority, c.Treaty)}); err != nil {
		return err
	}
	return st.beginSecrecy(f.digest)
}

// readable reports whether bytes look like what they are said to be. Nothing
// here opens a document: that is for a reader's own machine.
func readable(mediaType string, b []byte) bool {
	switch mediaType {
	case "application/pdf":
		return bytes.HasPrefix(b, []byte("%PDF-"))
	case "image/png":
		return bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n"))
	case "image/jpeg":
		return bytes.HasPrefix(b, []byte("\xff\xd8\xff"))
	case "image/tiff":
		return bytes.HasPrefix(b, []byte("II*\x00")) || bytes.HasPrefix(b, []byte("MM\x00*"))
	case "application/json":
		return json.Valid(b)
	case "text/plain", "application/xml":
		return utf8.Valid(b) && !bytes.ContainsRune(b, 0)
	}
	return false
}

// Document returns the bytes of a document to somebody with a part in the
// case; code withheld to everybody else, and for one that is not there.
func (s *Service) Document(ctx context.Context, call *apitype.PersonCall, id bonded.CaseID, sum string) ([]byte, error) {
	q, c, _, err := s.read(ctx, call, id, s.now())
	if err != nil {
		return nil, err
	}
	hash, err := hex.DecodeString(sum)
	if err != nil || len(hash) != 32 || hex.EncodeToString(hash) != sum {
		return nil, withheld()
	}
	sealed, err := q.Document(c.row.ID, [32]byte(hash))
	if err != nil {
		return nil, err
	}
	if sealed == nil {
		return nil, withheld()
	}
	return s.unseal(c.row.ID, "document/"+sum, sealed)
}
