package policy

import (
	"crypto/sha256"
	_ "embed" // for the policies that ship
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"bonded"
	"bonded/internal/regulation"
)

//go:embed builtin.cedar
var builtin []byte

//go:embed examples/default.cedar
var defaultOperatorPolicy []byte

// DefaultOperatorPolicy returns the operator's policies that `bonded dev`
// installs: roles app, privacy, auditor, admin and admin-job, each in its own
// cell.
func DefaultOperatorPolicy() []byte { return slices.Clone(defaultOperatorPolicy) }

// Ids of decisions that no policy makes.
const (
	RuleDefaultDeny = "default-deny"      // no policy permits it
	RuleError       = "policy-error"      // a policy could not be evaluated
	RuleOperation   = "unknown-operation" // the request names none of [Operations]
)

// A Set is compiled policies. It does not change and may be used by many
// goroutines.
type Set struct {
	policies cedar.PolicyMap
	notes    map[cedar.PolicyID]note
	digest   [32]byte
}

type note struct {
	reason string
	code   bonded.Code
}

// Compile makes the set of the built-in policies, what law forbids, and the
// operator's policies in Cedar. Name is the operator's file, for errors.
//
// Every operator policy has an @id of its own and may have a @reason, shown
// to the caller, and a @code: forbidden (the default), withheld or
// bearer_forbidden. A policy that does not parse, that lacks an id, or that
// names an operation or attribute that does not exist is a [*bonded.Error]
// with code [bonded.CodeConfig] whose Field is "name:line:column".
func Compile(name string, operator []byte, law []regulation.Forbid) (*Set, error) {
	s := &Set{policies: cedar.PolicyMap{}, notes: map[cedar.PolicyID]note{}}
	if err := s.add("builtin.cedar", builtin, true); err != nil {
		return nil, err
	}
	for _, f := range law {
		if err := s.add(f.RuleID, forbidText(f), true); err != nil {
			return nil, err
		}
	}
	if err := s.add(name, operator, false); err != nil {
		return nil, err
	}
	s.digest = s.computeDigest()
	return s, nil
}

// Digest identifies the set: SHA-256 over the ids and canonical texts of all
// its policies. Comments, layout and order do not change it.
func (s *Set) Digest() [32]byte { return s.digest }

// Rules returns the ids of all policies, sorted.
func (s *Set) Rules() []string {
	ids := make([]string, 0, len(s.policies))
	for id := range s.policies {
		ids = append(ids, string(id))
	}
	slices.Sort(ids)
	return ids
}

func (s *Set) computeDigest() [32]byte {
	text := []byte("bonded/policy-set/1\n")
	for _, id := range s.Rules() {
		for _, part := range [][]byte{[]byte(id), s.policies[cedar.PolicyID(id)].MarshalCedar()} {
			text = binary.BigEndian.AppendUint32(text, uint32(len(part))) //nolint:gosec // bounded by MaxSize
			text = append(text, part...)
		}
	}
	return sha256.Sum256(text)
}

// MaxSize bounds an operator's policy file, in bytes.
const MaxSize = 1 << 20

var (
	ruleID   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	position = regexp.MustCompile(`:(\d+):(\d+)`)
)

func (s *Set) add(name string, text []byte, ours bool) error {
	if len(text) > MaxSize {
		return at(name, cedar.Position{}, fmt.Sprintf("policies of more than %d bytes", MaxSize), "")
	}
	list, err := cedar.NewPolicyListFromBytes(name, text)
	if err != nil {
		return syntaxError(name, err)
	}
	for _, p := range list {
		a := p.Annotations()
		id, code := cedar.PolicyID(a["id"]), bonded.Code(a["code"])
		if code == "" {
			code = bonded.CodeForbidden
		}
		switch {
		case !ruleID.MatchString(string(id)):
			return at(name, p.Position(), "a policy without an id", `write @id("…") before it: lower-case letters, digits and hyphens`)
		case s.policies[id] != nil:
			return at(name, p.Position(), "policy "+string(id)+" is there twice", "give it another @id")
		case !ours && (strings.HasPrefix(string(id), "builtin-") || id == RuleDefaultDeny || id == RuleError || id == RuleOperation):
			return at(name, p.Position(), "the id "+string(id)+" is taken", "give it another @id")
		case !ours && !slices.Contains([]bonded.Code{bonded.CodeForbidden, bonded.CodeWithheld, bonded.CodeBearerForbidden}, code):
			return at(name, p.Position(), "policy "+string(id)+" has a code it may not give", "use forbidden, withheld or bearer_forbidden")
		}
		if err := checkWords(p); err != nil {
			return at(name, p.Position(), "policy "+string(id)+": "+err.Message, err.Hint)
		}
		s.policies[id] = p
		s.notes[id] = note{reason: string(a["reason"]), code: code}
	}
	return nil
}

func at(name string, p cedar.Position, message, hint string) error {
	return &bonded.Error{
		Code: bonded.CodeConfig, Message: message, Hint: hint,
		Field: fmt.Sprintf("%s:%d:%d", name, max(1, p.Line), max(1, p.Column)),
	}
}

// syntaxError finds the place in the parser's message.
func syntaxError(name string, err error) error {
	e := &bonded.Error{Code: bonded.CodeConfig, Field: name + ":1:1", Message: "not a Cedar policy", Hint: "check this place and the line before it", Err: errors.Unwrap(err)}
	if m := position.FindStringSubmatch(err.Error()); m != nil {
		e.Field = name + ":" + m[1] + ":" + m[2]
	}
	return e
}

// forbidText is what law rules out, in Cedar. Fields of unknown class count
// as personal: a keyholder does not know the schema.
func forbidText(f regulation.Forbid) []byte {
	quote := func(s string) string { return string(types.String(s).MarshalCedar()) }
	list := func(items []string) string {
		var quoted []string
		for _, s := range items {
			quoted = append(quoted, quote(s))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	inside := make([]string, len(f.Inside))
	for i, j := range f.Inside {
		inside[i] = string(j)
	}
	return fmt.Appendf(nil, `@id(%s)
@reason(%s)
forbid (principal, action in Action::"opening", resource)
when {
  context.cell_jurisdiction == %s &&
  !%s.contains(principal.jurisdiction) &&
  (context.classes.isEmpty() || context.classes.containsAny(%s))
};
`, quote(f.RuleID), quote(f.Reason), quote(string(f.HeldIn)), list(inside), list(f.Classes))
}
