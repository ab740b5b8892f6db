package release_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/quorum"
	"bonded/internal/release"
	"bonded/verify"
)

// Packages that are well formed, signed and consistent in themselves, of
// things that were not so.
func TestLiesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(*lies)
		code string
	}{
		{"nothing", func(*lies) {}, ""},
		{"request signed by somebody else", func(l *lies) { l.signs = "officer-8" }, verify.FailStatement},
		{"request of an officer not registered", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Officer = "officer-8" } }, verify.FailRegistry},
		{"request of an agency not registered", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Agency = "lka" } }, verify.FailRegistry},
		{"request for another cell", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Cell = "cn" } }, verify.FailCell},
		{"request of another format", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Format = "bonded/request/2" } }, verify.FailMalformed},
		{"request of another kind", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Kind = "export" } }, verify.FailScope},
		{"request filed before the officer was", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Filed = filed.AddDate(-1, 0, 0) } }, verify.FailRegistry},
		{"power the agency lacks", func(l *lies) { l.agency = func(a *verify.Agency) { a.Powers = []string{"us_warrant"} } }, verify.FailRegistry},
		{"agency suspended", func(l *lies) { l.agency = func(a *verify.Agency) { a.Trust = "suspended" } }, verify.FailRegistry},
		{"agency of another cell", func(l *lies) { l.agency = func(a *verify.Agency) { a.Cell = "cn" } }, verify.FailRegistry},
		{"officer suspended", func(l *lies) { l.officer = func(p *verify.Person) { p.Suspended = true } }, verify.FailRegistry},
		{"officer of another agency", func(l *lies) { l.officer = func(p *verify.Person) { p.Agency = "lka" } }, verify.FailRegistry},
		{"officer who is an operator", func(l *lies) { l.officer = func(p *verify.Person) { p.Role = "legal" } }, verify.FailRegistry},
		{"officer with the name of the administrator", func(l *lies) { l.officer = func(p *verify.Person) { p.ID = "admin" } }, verify.FailRegistry},
		{"register confirmed by the firm", func(l *lies) { l.confirms = "firm-1" }, verify.FailRegistry},
		{"register confirmed by nobody", func(l *lies) { l.confirms = "nobody" }, verify.FailRegistry},
		{"register signed by no registrar", func(l *lies) { l.registers = "intake-1" }, verify.FailRegistry},
		{"field not asked for", func(l *lies) {
			l.request = func(r *verify.CaseRequest) { r.Tasks[0].FieldsWanted = []string{"name"} }
		}, verify.FailScope},
		{"a field said to show the match that no target names", func(l *lies) {
			l.request = func(r *verify.CaseRequest) {
				r.Tasks[0].Targets = []verify.CaseTarget{{Format: "phone", Value: "+49 30 1"}}
			}
		}, verify.FailScope},
		{"a field that a target names and that showed no match", func(l *lies) {
			l.request = func(r *verify.CaseRequest) {
				r.Tasks[1].Targets = append(r.Tasks[1].Targets, verify.CaseTarget{Format: "amount", Value: "12.50"})
				r.Tasks[1].FieldsWanted = nil
			}
		}, verify.FailScope},
		{"collection not asked for", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Tasks[0].Collection = "staff" } }, verify.FailScope},
		{"task not asked for", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Tasks = r.Tasks[:1] } }, verify.FailScope},
		{"more people than asked for", func(l *lies) { l.request = func(r *verify.CaseRequest) { r.Tasks[0].MaxSubjects = 2 } }, verify.FailScope},
		{"two of the firm and nobody else", func(l *lies) { l.approvers = []int{0, 1, 2} }, verify.FailApproval},
		{"one of the firm", func(l *lies) { l.approvers = []int{0, 3, 4} }, verify.FailApproval},
		{"custodian who refused", func(l *lies) { l.approval = func(a *verify.Approval) { a.Approve = a.Index != 1 } }, verify.FailApproval},
		{"approval of another entry", func(l *lies) { l.approval = func(a *verify.Approval) { a.Leaf[0] ^= 1 } }, verify.FailApproval},
		{"approval of another key set", func(l *lies) { l.approval = func(a *verify.Approval) { a.KeySet[0] ^= 1 } }, verify.FailCustody},
		{"scope for other custodians", func(l *lies) { l.scope = func(s *verify.Scope) { s.KeySet[0] ^= 1 } }, verify.FailCustody},
		{"scope for another recipient", func(l *lies) { l.scope = func(s *verify.Scope) { s.Recipient[0] ^= 1 } }, verify.FailRecipient},
		{"scope that had expired", func(l *lies) { l.scope = func(s *verify.Scope) { s.Expires = uint64(filed.Unix()) - 1 } }, verify.FailExpired},
		{"scope of another kind", func(l *lies) { l.scope = func(s *verify.Scope) { s.Kind = "export" } }, verify.FailScope},
		{"opening of another content", func(l *lies) {
			l.entry = func(e *verify.CaseEntry) {
				if e.Event == verify.EventOpening {
					e.Content[0] ^= 1
				}
			}
		}, verify.FailEntry},
		{"opening that is only a transition", func(l *lies) {
			l.entry = func(e *verify.CaseEntry) {
				if e.Event == verify.EventOpening {
					e.Event = verify.EventTransition
				}
			}
		}, verify.FailEntry},
		{"certificate never entered", func(l *lies) {
			l.entry = func(e *verify.CaseEntry) {
				if e.Type == verify.EntryCustody {
					e.Content[0] ^= 1
				}
			}
		}, verify.FailEntry},
		{"register entry of something else", func(l *lies) {
			l.entry = func(e *verify.CaseEntry) {
				if e.Type == verify.EntryRegistry {
					e.Content[0] ^= 1
				}
			}
		}, verify.FailEntry},
		{"register entry of a suspension", func(l *lies) {
			l.entry = func(e *verify.CaseEntry) {
				if e.Type == verify.EntryRegistry {
					e.Event = "suspended"
				}
			}
		}, verify.FailRegistry},
		{"row that reads", func(l *lies) { l.row = func(r *verify.Row) { r.Operation = verify.OpRead } }, verify.FailDisclosed},
		{"row that was refused", func(l *lies) { l.row = func(r *verify.Row) { r.Outcome = verify.OutcomeRefused } }, verify.FailDisclosed},
		{"row of another basis", func(l *lies) { l.row = func(r *verify.Row) { r.Basis = "contract" } }, verify.FailDisclosed},
		{"row with fewer fields", func(l *lies) { l.row = func(r *verify.Row) { r.Items[0].Fields = r.Items[0].Fields[1:] } }, verify.FailDisclosed},
		{"row with something else in it", func(l *lies) {
			l.row = func(r *verify.Row) {
				r.Items = append(r.Items, verify.RowItem{Subject: bonded.NewID(), Record: bonded.NewID(), Fields: []string{"name"}})
			}
		}, verify.FailDisclosed},
		{"another suite", func(l *lies) { l.head = func(h *release.Head) { h.Manifest.Suite = "sm4-gcm" } }, verify.FailCell},
		{"order by somebody else", func(l *lies) {
			l.head = func(h *release.Head) {
				h.Ceremony.Signatures = nil
				h.Ceremony.Sign(verify.LabelCeremony, verify.SignerAdmin, testKey("other"))
			}
		}, verify.FailCustody},
		{"certificate with a signature altered", func(l *lies) {
			l.head = func(h *release.Head) { h.Custody[0].Certificate[len(h.Custody[0].Certificate)-1] ^= 1 }
		}, verify.FailCustody},
		{"opening of other fields", func(l *lies) {
			l.head = func(h *release.Head) {
				h.Opening.Opening.Fields[0], h.Opening.Opening.Fields[1] = h.Opening.Opening.Fields[1], h.Opening.Opening.Fields[0]
			}
		}, verify.FailLeaf},
		{"entry at another place", func(l *lies) { l.head = func(h *release.Head) { h.Opening.Opening.Index-- } }, verify.FailInclusion},
		{"proof of another entry", func(l *lies) { l.head = func(h *release.Head) { h.Opening.Proof = h.Quorum.Proof } }, verify.FailInclusion},
		{"no proof", func(l *lies) { l.head = func(h *release.Head) { h.Opening.Proof = nil } }, verify.FailMalformed},
		{"the register after the quorum", func(l *lies) {
			l.head = func(h *release.Head) { h.Registry = append(h.Registry, h.Registry[2]) }
		}, verify.FailRegistry},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.lie(&w.lie)
			_, err := w.check(w.made(story()))
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantFailure(t, err, c.code)
		})
	}
}

func TestOpeningWithoutWitnessesIsRefused(t *testing.T) {
	for _, who := range [][]int{{}, {1}, {1, 1}} {
		w := newWorld(t)
		w.lie.head = func(h *release.Head) { h.Opening.Proof = w.proof(h.Opening.Opening.Index, who...) }
		_, err := w.check(w.made(story()))
		if len(who) == 2 {
			if f := verify.FailureOf(err); f == nil { // one witness twice is no quorum, whatever it is called
				t.Error(err)
			}
			continue
		}
		wantFailure(t, err, verify.FailQuorum)
	}
}

// A ledger that was forked for the requester: the same log key signs another
// tree, which no witness cosigned.
func TestForkedLedgerIsRefused(t *testing.T) {
	w := newWorld(t)
	w.lie.head = func(h *release.Head) {
		fork := &world{t: t}
		for i, e := range w.entries {
			if i == 0 {
				e = []byte("another entry")
			}
			fork.append(e)
		}
		h.Opening.Proof = fork.proof(h.Opening.Opening.Index, []int{}...)
		good := w.proof(h.Opening.Opening.Index)
		path, _, _ := strings.Cut(string(h.Opening.Proof), "\n\n")
		_, cosigned, _ := strings.Cut(string(good), "\n\n")
		h.Opening.Proof = []byte(path + "\n\n" + cosigned) // the fork's path under the witnessed root
	}
	_, err := w.check(w.made(story()))
	wantFailure(t, err, verify.FailInclusion)
}

// Custodians who held a ceremony of their own are nobody's.
func TestCeremonyNobodyOrderedIsRefused(t *testing.T) {
	w := newWorld(t)
	order := w.order
	w.people = nil
	w.ceremony()
	w.order = order
	_, err := w.check(w.made(story()))
	wantFailure(t, err, verify.FailStatement)
}

func TestChainOfKeySetsIsFollowed(t *testing.T) {
	w := newWorld(t)
	first, order := w.cert, w.order
	people := w.people
	w.reshare()
	w.order = order
	w.lie.head = func(h *release.Head) {
		h.Custody = append([]verify.PackageCustody{{Certificate: first.Bytes(), Entry: w.early}}, h.Custody...)
		h.Custody[0].Entry.Proof = w.proof(w.early.Opening.Index)
	}
	w.early.Opening = w.enter(&verify.CaseEntry{Type: verify.EntryCustody, Content: first.Digest()})
	got, err := w.opened(w.made(story()))
	if err != nil || len(got.rows) != 4 {
		t.Fatal(err)
	}
	// The key set before it opens nothing any more.
	rep, err := w.check(w.made(story()))
	if err != nil || rep.Custodians.Custodians.Epoch != 2 {
		t.Fatal(err)
	}
	if _, err := quorum.NewCustodian(w.cert.KeySet(), people[0].share, w.key.Release(w.caseID.ID, [32]byte{1})); bonded.CodeOf(err) != bonded.CodeStaleShare {
		t.Error(err)
	}
	w.lie.head = func(h *release.Head) {}
	_, err = w.check(w.made(story()))
	wantFailure(t, err, verify.FailCustody)
}

func TestWriterRefusesWhatNoReaderTakes(t *testing.T) {
	w := newWorld(t)
	b := apart(t, w.made(story()))
	it, _, err := verify.ParsePackageItem(b[find(b, verify.SectionItem)].b)
	if err != nil {
		t.Fatal(err)
	}
	var head *release.Head
	w.lie.head = func(h *release.Head) { c := *h; head = &c }
	w.made(story())
	for name, use := range map[string]func(*release.Writer) error{
		"an item of another scope":      func(p *release.Writer) error { return p.Add(it) },
		"a receipt before the items":    func(p *release.Writer) error { return p.AddReceipt([]byte("{}")) },
		"an end before the items":       func(p *release.Writer) error { _, err := p.Finish(nil); return err },
		"an item without its keys":      func(p *release.Writer) error { x := *it; x.Sealed = nil; return p.Add(&x) },
		"an item that is no scope item": func(p *release.Writer) error { return p.Add(&verify.PackageItem{Item: []byte{1}}) },
	} {
		p, err := release.NewWriter(new(bytes.Buffer), head)
		if err != nil {
			t.Fatal(err)
		}
		if err := use(p); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*release.Head){
		"no copy":            func(h *release.Head) { h.Manifest.Copy = "" },
		"made after its end": func(h *release.Head) { h.Manifest.Made = expires.Add(time.Hour) },
		"half a second":      func(h *release.Head) { h.Manifest.Made = made.Add(time.Second / 2) },
		"no scope":           func(h *release.Head) { h.ScopeHead = nil },
	} {
		h := *head
		change(&h)
		if _, err := release.NewWriter(new(bytes.Buffer), &h); bonded.CodeOf(err) != bonded.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
