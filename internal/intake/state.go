package intake

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"bonded"
)

// state is what an interrupted import needs to go on: which batches are
// acknowledged, and which person of the file is which subject. People stand
// in it as HMACs under a random key of this import.
type state struct {
	f       *os.File
	fresh   bool     // begun by this run
	id      [16]byte // random; also the key of the HMACs
	mapping []byte   // digest of the map it began with
	batches map[string]stateBatch
	people  map[[16]byte]bonded.SubjectID
}

// A stateBatch is a batch that is in.
type stateBatch struct {
	digest  [32]byte
	rejects []stateReject
}

type stateLine struct {
	Import  string        `json:"import,omitempty"` // first line only
	Map     []byte        `json:"map,omitempty"`    // first line only: digest of the map
	Batch   string        `json:"batch,omitempty"`
	Digest  []byte        `json:"digest,omitempty"`
	People  []statePerson `json:"people,omitempty"`
	Rejects []stateReject `json:"rejects,omitempty"`
}

// A stateReject is a row that the cell rejected. It is kept so that an import
// that goes on writes the whole reject file again.
type stateReject struct {
	Line    int         `json:"line"`
	Column  string      `json:"column,omitempty"`
	Code    bonded.Code `json:"code"`
	Rules   []string    `json:"rules,omitempty"`
	Message string      `json:"message,omitempty"`
}

type statePerson struct {
	Key     []byte           `json:"k"`
	Subject bonded.SubjectID `json:"s"`
}

// openState reads the state file at path or begins one. A state that began
// with another map is a conflict: its batches held other rows.
func openState(path string, m *Mapping) (*state, error) {
	digest := m.digest()
	s := &state{batches: map[string]stateBatch{}, people: map[[16]byte]bonded.SubjectID{}}
	b, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read import state: %w", err)
	}
	whole := b[:bytes.LastIndexByte(b, '\n')+1] // a torn last line was never acknowledged
	if err := s.read(whole); err != nil {
		return nil, &bonded.Error{
			Code: bonded.CodeInvalid, Field: path, Message: "the import state file is damaged", Err: err,
			Hint: "if this import has not finished, its rows may be there already: look before you delete the state",
		}
	}
	if s.mapping != nil && !bytes.Equal(s.mapping, digest[:]) {
		return nil, &bonded.Error{
			Code: bonded.CodeConflict, Field: path, Message: "the map is not the one this import began with",
			Hint: "bring the old map back, or begin a new import with another --state file: people who are stored already would be stored again",
		}
	}
	s.f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("open import state: %w", err)
	}
	if err := errors.Join(s.f.Truncate(int64(len(whole))), seekEnd(s.f)); err != nil {
		return nil, fmt.Errorf("open import state: %w", err)
	}
	if len(whole) == 0 {
		s.id, s.fresh = bonded.NewID(), true
		return s, s.append(stateLine{Import: base64.StdEncoding.EncodeToString(s.id[:]), Map: digest[:]})
	}
	return s, nil
}

// remove ends the state and takes its file away.
func (s *state) remove() error {
	if err := errors.Join(s.f.Close(), os.Remove(s.f.Name())); err != nil { // some systems keep a file that is open
		return fmt.Errorf("remove import state: %w", err)
	}
	return nil
}

func seekEnd(f *os.File) error {
	_, err := f.Seek(0, 2)
	return err
}

func (s *state) read(b []byte) error {
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 16<<20)
	for n := 0; sc.Scan(); n++ {
		var l stateLine
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			return err
		}
		if n == 0 {
			id, err := base64.StdEncoding.DecodeString(l.Import)
			if err != nil || len(id) != len(s.id) {
				return errors.New("no import id in the first line")
			}
			copy(s.id[:], id)
			s.mapping = l.Map
			continue
		}
		if len(l.Digest) != 32 {
			return errors.New("a batch without a digest")
		}
		s.batches[l.Batch] = stateBatch{[32]byte(l.Digest), l.Rejects}
		for _, p := range l.People {
			if len(p.Key) != 16 {
				return errors.New("a person key of the wrong length")
			}
			s.people[[16]byte(p.Key)] = p.Subject
		}
	}
	return sc.Err()
}

// acknowledge makes durable that a batch is in.
func (s *state) acknowledge(name string, digest [32]byte, people []statePerson, rejects []stateReject) error {
	for _, p := range people {
		s.people[[16]byte(p.Key)] = p.Subject
	}
	s.batches[name] = stateBatch{digest, rejects}
	return s.append(stateLine{Batch: name, Digest: digest[:], People: people, Rejects: rejects})
}

func (s *state) append(l stateLine) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := s.f.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write import state: %w", err)
	}
	if err := s.f.Sync(); err != nil {
		return fmt.Errorf("write import state: %w", err)
	}
	return nil
}

// person returns the key under which a person of the file stands here.
func (s *state) person(id string) (k [16]byte) {
	m := hmac.New(sha256.New, s.id[:])
	m.Write([]byte(id))
	copy(k[:], m.Sum(nil))
	return k
}
