package verify

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bonded"
)

// Limits of a witness policy (c2sp.org/tlog-policy asks for at least 32 each).
const (
	maxPolicyBytes = 64 << 10
	maxPolicyNames = 128
)

// A WitnessPolicy says which witnesses count and how many of them must have
// cosigned (c2sp.org/tlog-policy). Its zero value is not usable; make one with
// [ParseWitnessPolicy].
type WitnessPolicy struct {
	logs      []policyLog
	witnesses []policyWitness
	groups    []policyGroup
	quorum    string // name of a witness or group, or "none"
	text      string
}

// A PolicyWitness is one witness line of a policy.
type PolicyWitness struct {
	Name string // its name inside the policy
	Vkey string // its public key, a vkey of type 0x04
	URL  string // where it listens; empty if the policy does not say
}

type policyLog struct{ vkey, url string }

type policyWitness struct {
	name, vkey, url string
	key             *CosignatureKey
}

type policyGroup struct {
	name    string
	k       int
	members []string
}

// ParseWitnessPolicy reads a policy in C2SP tlog-policy form. `quorum none`,
// which asks for no witness at all, is refused: with it, a log could show two
// histories and nobody would have seen it. The error is a [bonded.Error] with
// code bad_config and the line in Field; it never repeats a key.
func ParseWitnessPolicy(text []byte) (*WitnessPolicy, error) { return parsePolicy(text, false) }

// ParseWitnessPolicyAllowNone is [ParseWitnessPolicy] that accepts `quorum
// none`, for tools that look at logs which are not yet witnessed.
func ParseWitnessPolicyAllowNone(text []byte) (*WitnessPolicy, error) { return parsePolicy(text, true) }

// String returns the text the policy was read from.
func (p *WitnessPolicy) String() string { return p.text }

// Witnesses returns the witnesses of the policy in their order.
func (p *WitnessPolicy) Witnesses() []PolicyWitness {
	out := make([]PolicyWitness, len(p.witnesses))
	for i, w := range p.witnesses {
		out[i] = PolicyWitness{Name: w.name, Vkey: w.vkey, URL: w.url}
	}
	return out
}

// Logs returns the vkeys of the logs that the policy names; empty means that
// it leaves the choice of log to its user.
func (p *WitnessPolicy) Logs() []string {
	out := make([]string, len(p.logs))
	for i, l := range p.logs {
		out[i] = l.vkey
	}
	return out
}

// Satisfied reports whether the witnesses with these names, as the policy
// names them, meet the quorum.
func (p *WitnessPolicy) Satisfied(names ...string) bool {
	met := make(map[string]bool, len(p.witnesses)+len(p.groups))
	for _, w := range p.witnesses {
		met[w.name] = slices.Contains(names, w.name)
	}
	for _, g := range p.groups { // members are always defined before
		n := 0
		for _, m := range g.members {
			if met[m] {
				n++
			}
		}
		met[g.name] = n >= g.k
	}
	return p.quorum == "none" || met[p.quorum]
}

func (p *WitnessPolicy) needsWitness() bool { return p.quorum != "none" }

func (p *WitnessPolicy) hasLog(vkey string) bool {
	return slices.ContainsFunc(p.logs, func(l policyLog) bool { return l.vkey == vkey })
}

// quorumTime adds cosignatures from the newest to the oldest and returns the
// timestamp of the one that meets the quorum. See [Checkpoint.WitnessTime].
func (p *WitnessPolicy) quorumTime(cosigs []Cosignature) (int64, bool) {
	if p.quorum == "none" {
		return 0, true
	}
	sorted := slices.Clone(cosigs)
	slices.SortStableFunc(sorted, func(a, b Cosignature) int {
		switch {
		case a.Time > b.Time:
			return -1
		case a.Time < b.Time:
			return 1
		}
		return 0
	})
	var names []string
	for _, c := range sorted {
		for _, w := range p.witnesses {
			if w.key.name == c.Name && w.key.hash == c.KeyHash {
				names = append(names, w.name)
			}
		}
		if p.Satisfied(names...) {
			return c.Time, true
		}
	}
	return 0, false
}

// policyParser holds what the lines so far have defined.
type policyParser struct {
	p         WitnessPolicy
	allowNone bool
	defined   map[string]bool // witnesses and groups
	used      map[string]int  // members of groups, by the line that took them
	keys      []ed25519.PublicKey
}

func parsePolicy(text []byte, allowNone bool) (*WitnessPolicy, error) {
	if len(text) > maxPolicyBytes {
		return nil, bonded.Errorf(bonded.CodeConfig, "witness policy is over %d bytes", maxPolicyBytes)
	}
	pp := &policyParser{allowNone: allowNone, defined: map[string]bool{}, used: map[string]int{}}
	line := 0
	for l := range strings.Lines(string(text)) {
		line++
		if err := pp.line(strings.TrimSuffix(l, "\n"), line); err != nil {
			err.Field = fmt.Sprintf("witness policy:%d", line)
			return nil, err
		}
	}
	if pp.p.quorum == "" {
		e := bonded.Errorf(bonded.CodeConfig, "witness policy has no quorum line")
		e.Hint = "end the policy with: quorum NAME"
		return nil, e
	}
	pp.p.text = string(text)
	return &pp.p, nil
}

func (pp *policyParser) line(l string, n int) *bonded.Error {
	for i := range len(l) {
		if c := l[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return bonded.Errorf(bonded.CodeConfig, "control character in the line")
		}
	}
	f := strings.FieldsFunc(l, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(f) == 0 || strings.HasPrefix(f[0], "#") {
		return nil
	}
	switch f[0] {
	case "log":
		return pp.log(f[1:])
	case "witness":
		return pp.witness(f[1:])
	case "group":
		return pp.group(f[1:], n)
	case "quorum":
		return pp.quorum(f[1:])
	default:
		e := bonded.Errorf(bonded.CodeConfig, "unknown keyword")
		e.Hint = "a line begins with log, witness, group, quorum or #"
		return e
	}
}

func (pp *policyParser) log(f []string) *bonded.Error {
	if len(f) < 1 || len(f) > 2 {
		return bonded.Errorf(bonded.CodeConfig, "a log line is: log VKEY [URL]")
	}
	_, pub, err := parseLogVkey(f[0])
	if err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "the log's key is not usable")
	}
	if err := pp.newKey(pub); err != nil {
		return err
	}
	l := policyLog{vkey: f[0]}
	if len(f) == 2 {
		l.url = f[1]
	}
	pp.p.logs = append(pp.p.logs, l)
	return nil
}

func (pp *policyParser) witness(f []string) *bonded.Error {
	if len(f) < 2 || len(f) > 3 {
		return bonded.Errorf(bonded.CodeConfig, "a witness line is: witness NAME VKEY [URL]")
	}
	if err := pp.define(f[0]); err != nil {
		return err
	}
	key, err := ParseCosignatureVkey(f[1])
	if err != nil {
		return bonded.Wrap(bonded.CodeConfig, err, "the witness's key is not usable")
	}
	if err := pp.newKey(key.key); err != nil {
		return err
	}
	w := policyWitness{name: f[0], vkey: f[1], key: key}
	if len(f) == 3 {
		w.url = f[2]
	}
	pp.p.witnesses = append(pp.p.witnesses, w)
	return nil
}

func (pp *policyParser) group(f []string, line int) *bonded.Error {
	if len(f) < 3 {
		return bonded.Errorf(bonded.CodeConfig, "a group line is: group NAME all|any|K MEMBER…")
	}
	g := policyGroup{name: f[0], members: f[2:]}
	for _, m := range g.members {
		if !pp.defined[m] {
			return bonded.Errorf(bonded.CodeConfig, "group member %q is not defined on a line before", m)
		}
		if at, ok := pp.used[m]; ok {
			return bonded.Errorf(bonded.CodeConfig, "%q is already a member of the group on line %d", m, at)
		}
		pp.used[m] = line
	}
	switch f[1] {
	case "all":
		g.k = len(g.members)
	case "any":
		g.k = 1
	default:
		k, ok := parseDecimal(f[1])
		if !ok || k < 1 || k > int64(len(g.members)) {
			return bonded.Errorf(bonded.CodeConfig, "threshold is not all, any or a number from 1 to %s", strconv.Itoa(len(g.members)))
		}
		g.k = int(k)
	}
	if err := pp.define(g.name); err != nil {
		return err
	}
	pp.p.groups = append(pp.p.groups, g)
	return nil
}

func (pp *policyParser) quorum(f []string) *bonded.Error {
	switch {
	case len(f) != 1:
		return bonded.Errorf(bonded.CodeConfig, "a quorum line is: quorum NAME")
	case pp.p.quorum != "":
		return bonded.Errorf(bonded.CodeConfig, "second quorum line")
	case f[0] == "none" && !pp.allowNone:
		e := bonded.Errorf(bonded.CodeConfig, "quorum none asks for no witness at all")
		e.Hint = "name witnesses and a group of them"
		return e
	case f[0] != "none" && !pp.defined[f[0]]:
		return bonded.Errorf(bonded.CodeConfig, "quorum %q is not defined on a line before", f[0])
	}
	pp.p.quorum = f[0]
	return nil
}

// define takes a name for a witness or group. The keywords are refused too,
// as other implementations do.
func (pp *policyParser) define(name string) *bonded.Error {
	switch name {
	case "none", "any", "all", "log", "witness", "group", "quorum":
		return bonded.Errorf(bonded.CodeConfig, "%q is a keyword and cannot be a name", name)
	}
	if pp.defined[name] {
		return bonded.Errorf(bonded.CodeConfig, "%q is defined twice", name)
	}
	if len(pp.defined) >= maxPolicyNames {
		return bonded.Errorf(bonded.CodeConfig, "more than %d witnesses and groups", maxPolicyNames)
	}
	pp.defined[name] = true
	return nil
}

// newKey refuses one key under two names: it would be counted twice.
func (pp *policyParser) newKey(pub ed25519.PublicKey) *bonded.Error {
	for _, k := range pp.keys {
		if k.Equal(pub) {
			return bonded.Errorf(bonded.CodeConfig, "this key is already used on a line before")
		}
	}
	if len(pp.keys) >= maxPolicyNames {
		return bonded.Errorf(bonded.CodeConfig, "more than %d keys", maxPolicyNames)
	}
	pp.keys = append(pp.keys, pub)
	return nil
}
