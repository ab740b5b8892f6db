package api_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"time"

	"bonded"
	"bonded/internal/apitype"
	"bonded/verify"
)

var (
	exCase     = bonded.CaseID{Cell: "eu", ID: bonded.ID{0x11, 4}}
	exOfficer  = ed25519.NewKeyFromSeed(make([]byte, 32))
	exHash     = hex.EncodeToString(make([]byte, 32))
	exCeremony = "0123456789abcdef0123456789abcdef"
)

func exStatement(label, signer string, v any) *verify.Statement {
	s, err := verify.NewStatement(v)
	if err != nil {
		panic(err)
	}
	s.Sign(label, signer, exOfficer)
	return s
}

func exOpening() *verify.CaseOpening {
	e := verify.CaseEntry{Type: verify.EntryCase, Case: exCase.ID, Number: 7, Event: verify.EventQuorum, State: "awaiting_quorum", Actor: "legal"}
	fields := e.Fields(func() verify.Salt { return verify.Salt{7} })
	leaf := verify.Leaf{Kind: verify.LeafCase, Cell: "eu", Time: uint64(exTime.Unix()), OpenBy: uint64(exTime.Unix()) + 7776000, Root: verify.CommitFields(fields)}
	return verify.OpenCase(93, leaf.Encode(), fields, verify.FieldPerson)
}

func caseExamples() map[string]example {
	index := int64(93)
	until := exTime.AddDate(0, 3, 0)
	request := exStatement(verify.LabelRequest, "officer-7", verify.CaseRequest{
		Format: verify.LabelRequest, Cell: "eu", Kind: "disclosure", Nonce: "4f1d", Filed: exTime, Officer: "officer-7", Agency: "bka-cyber",
		Authorisation: verify.Authorisation{
			Reference: "BKA-2026-4711", ProcessType: "eu_epoc", Jurisdiction: "DE", LegalBasis: []verify.LegalBasis{{Law: "Regulation (EU) 2023/1543", Article: "5"}},
			Priority: "routine", ValidFrom: exTime, ValidTo: exLater, Necessity: "The account was used for the fraud under investigation.",
			Approvals:   []verify.LegalApproval{{Kind: "issuing", Reference: "6 Gs 12/26", Approver: "Richterin am Amtsgericht", Role: "judge", Time: exTime}},
			Documents:   []verify.CaseDocument{{SHA256: exHash, MediaType: "application/pdf", Language: "de", Name: "order.pdf", Size: 48213}},
			TreatyRoute: "eu_epo",
		},
		Tasks: []verify.CaseTask{{Kind: "disclose", Targets: []verify.CaseTarget{{Format: "email", Value: "ada@example.org"}}, DataClass: "subscriber", Collection: "users", FieldsWanted: []string{"name", "phone"}, MaxSubjects: 1}},
	})
	decision := exStatement(verify.LabelDecision, "legal-1", verify.CaseDecision{
		Format: verify.LabelDecision, Case: exCase, Person: "legal-1", Role: "legal", Action: "narrow", State: "under_review", Number: 4, Time: exTime,
		Reason: "the phone number is not needed", Tasks: []verify.TaskChange{{Task: 0, FieldsWanted: []string{"name"}}},
	})
	agency := exStatement(verify.LabelAgency, "admin", verify.Agency{Format: verify.LabelAgency, Cell: "eu", ID: "bka-cyber", Version: 1, Name: "Bundeskriminalamt", Country: "DE", Level: "national", Kind: "police", Powers: []string{"eu_epoc"}, DirectorySource: "bund.de", Switchboard: "+49 611 550", VerifiedAt: exTime, Trust: "verified"})
	person := exStatement(verify.LabelPerson, "admin", verify.Person{Format: verify.LabelPerson, Cell: "eu", ID: "officer-7", Version: 1, Role: "requester", Agency: "bka-cyber", Organisation: "Bundeskriminalamt", Name: "KHKin Beispiel", Key: verify.EncodePublicKey(exOfficer.Public().(ed25519.PublicKey)), Level: 3, NotBefore: exTime, NotAfter: until})
	entry := apitype.RegistryEntry{Kind: "agency", ID: "bka-cyber", Version: 1, State: "in_force", Statement: agency, InForce: &exLater, Index: &index}
	officer := apitype.RegistryEntry{Kind: "person", ID: "officer-7", Version: 1, State: "proposed", Statement: person}
	doc := apitype.CaseDocView{SHA256: exHash, Name: "order.pdf", MediaType: "application/pdf", Language: "de", Size: 48213, Uploaded: true}
	view := apitype.CaseView{
		Case: exCase, Kind: "disclosure", State: "awaiting_quorum", Number: 7, Process: "eu_epoc", Agency: "bka-cyber", Officer: "officer-7", Priority: "routine", Filed: exTime, Deadline: &until,
		Tasks:     []apitype.CaseTaskView{{Kind: "disclose", DataClass: "subscriber", Collection: "users", FieldsWanted: []string{"name"}, MaxSubjects: 1, Status: "approved", Matched: 1}},
		Secrecy:   &apitype.SecrecyView{State: "active", Until: &until},
		Scope:     exHash,
		Approvals: []apitype.ApprovalView{{Custodian: "firm-1", Role: "firm", Approve: true, Time: exTime}},
		Entries:   []apitype.CaseEntryView{{Number: 7, Time: exTime, Event: verify.EventQuorum, From: "notice_pending", State: "awaiting_quorum", Actor: "legal", Index: &index, Leaf: exHash}},
		Actions:   []string{"close"}, Documents: []apitype.CaseDocView{doc},
	}
	changed := &apitype.CaseResult{Case: exCase, State: "narrowed", Number: 5}
	board := &apitype.CeremonyMessages{Ceremony: exCeremony, Params: []byte{1}, State: "running", Messages: [][]byte{{1}, {2}}, Next: 2}
	list := apitype.CaseList{Cases: []apitype.CaseView{view}, Next: "b2Zmc2V0"}
	return map[string]example{
		"caseFile": {request, &apitype.CaseResult{Case: exCase, State: "submitted", Number: 1}},
		"caseList": {nil, &list}, "caseShow": {nil, &view},
		"caseDocumentPut": {nil, changed}, "caseDocument": {}, "casePackage": {},
		"caseDecide": {decision, changed},
		"caseDossier": {nil, &apitype.CaseDossier{
			Case: view, Request: request, Agency: agency, Officer: person, People: []*verify.Statement{person}, Decisions: []*verify.Statement{decision},
			ScopeHead: []byte{1}, Items: 1, Opening: exOpening(), Proof: "c2sp.org/tlog-proof@v1\n…",
			Registry: []apitype.RegistryProof{{ID: "officer-7", Version: 1, Opening: exOpening(), Proof: "c2sp.org/tlog-proof@v1\n…"}},
			Rules:    []string{"frontdoor.process.eu_epoc.opens.subscriber"}, Documents: []apitype.CaseDocView{doc},
		}},
		"caseScope":       {nil, &apitype.ScopePage{Items: [][]byte{{1}}, Envelopes: [][]byte{{2}}}},
		"caseApprove":     {&apitype.CaseApproval{Approval: []byte{1}}, &apitype.CaseResult{Case: exCase, State: "opening", Number: 8}},
		"caseOpening":     {nil, &apitype.OpeningProof{Approvals: [][]byte{{1}}, Opening: exOpening(), Proof: "c2sp.org/tlog-proof@v1\n…", Recipient: []byte{1}}},
		"casePartials":    {&apitype.CasePartials{From: 0, Partials: [][]byte{{1}}}, &apitype.CasePartialsResult{Have: 1, Complete: true}},
		"register":        {nil, &apitype.RegistryList{Entries: []apitype.RegistryEntry{entry, officer}}},
		"registerAgency":  {agency, &entry},
		"registerPerson":  {person, &officer},
		"registerConfirm": {&apitype.RegistryConfirm{Kind: "person", ID: "officer-7", Version: 1, Signature: person.Signatures[0]}, &officer},
		"ceremonyStart":   {&apitype.CeremonyStart{Params: []byte{1}, Statement: decision}, board},
		"ceremony":        {nil, board}, "ceremonyPost": {&apitype.CeremonyPost{Message: []byte{2}}, board},
		"openingsClosed": {nil, &apitype.OpeningFeed{Openings: []*verify.CaseOpening{exOpening()}, Next: 7}},
		"consoleInvite":  {&apitype.ConsoleInvite{Person: "legal-1"}, &apitype.ConsoleInvited{Person: "legal-1", Link: "https://console.example.org/console/enrol?code=0123456789", Expires: exLater}},
		"custody":        {nil, &apitype.CustodyChain{Certificates: []apitype.CustodyLink{{Certificate: []byte{1}, Opening: exOpening(), Proof: "c2sp.org/tlog-proof@v1\n…"}}}},
		"openings":       {nil, &apitype.OpeningFeed{Openings: []*verify.CaseOpening{exOpening()}, Next: uint64(exTime.Sub(exTime.Add(-time.Second)).Seconds())}},
	}
}
