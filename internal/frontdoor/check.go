package frontdoor

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/nearest"
	"bonded/internal/recipient"
	"bonded/verify"
)

// Limits of a request.
const (
	MaxTasks       = 16
	MaxTargets     = 1000 // of one task
	MaxDocuments   = 32   // of one case, with those that come later
	MaxOwn         = 32   // documents of one case besides, for people of the cell alone
	MaxDrafts      = 64   // of one officer, that wait for documents
	MaxFiledADay   = 500  // by one officer: each has entries of the ledger, which has so many places
	MaxNecessity   = 16 << 10
	MaxInstrument  = 2 * 366 * 24 * time.Hour // from now to its end
	MaxSecrecy     = 10 * 366 * 24 * time.Hour
	MaxFiledAge    = 24 * time.Hour
	MaxFiledAhead  = 5 * time.Minute
	minNonce       = 16
	maxNonce       = 64
	maxTargetValue = 1024
)

var (
	caseKinds      = []string{"disclosure", "transfer", "source-review", "export"}
	taskKinds      = []string{"disclose", "preserve", "confirm_existence"}
	priorities     = []string{string(rules.PriorityRoutine), string(rules.PriorityUrgent), string(rules.PriorityEmergency)}
	requestFlags   = []string{"emergency", "delay_informing_user", "enforcing_authority_notified", "secrecy_order", "test"}
	treatyRoutes   = []string{"domestic", "mlat", "cloud_act_agreement", "eu_epo", "letter_rogatory", "direct_foreign", "none"}
	approvalKinds  = []string{"issuing", "validating", "judicial", "enforcing"}
	secrecyScopes  = []string{"subject", "public", "both"}
	relations      = []string{"production_of", "extends", "replaces", "duplicate_of", "withdraws"}
	documentTypes  = []string{"application/pdf", "image/png", "image/jpeg", "image/tiff", "text/plain", "application/xml", "application/json"}
	unionCountries = strings.Fields("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")
)

// check holds a request that its officer signed against everything the rules
// say of requests, in the order of its members. It returns the first thing
// that is wrong.
func (s *Service) check(r *verify.CaseRequest, agency *verify.Agency, officer *verify.Person, now time.Time) *bonded.Error {
	for _, test := range []func() *bonded.Error{
		func() *bonded.Error { return s.checkHead(r, now) },
		func() *bonded.Error { return s.checkInstrument(r, agency, now) },
		func() *bonded.Error { return s.checkApprovals(&r.Authorisation, now) },
		func() *bonded.Error { return checkDocuments(r.Authorisation.Documents) },
		func() *bonded.Error { return checkSecrecy(&r.Authorisation, now) },
		func() *bonded.Error { return s.checkTasks(r, now) },
		func() *bonded.Error { return s.checkRecipient(r) },
		func() *bonded.Error { return s.ladder(r, officer) },
		func() *bonded.Error {
			tasks := make([]verify.DecidedTask, len(r.Tasks))
			for i := range tasks {
				tasks[i].CaseTask = r.Tasks[i]
			}
			_, err := s.rulesPass(r, tasks, agency, now)
			return err
		},
	} {
		if err := test(); err != nil {
			return err
		}
	}
	return nil
}

func incomplete(field, message, hint string) *bonded.Error {
	return refuse(rules.RejectIncomplete, field, message, hint)
}

// oneOf refuses a word that is none of known.
func oneOf(field, word string, known []string) *bonded.Error {
	if word == "" {
		return incomplete(field, "a required field is missing", "one of "+strings.Join(known, ", "))
	}
	if !slices.Contains(known, word) {
		return refuse(rules.RejectManifestError, field, "not a word that stands here", nearest.Hint(word, known))
	}
	return nil
}

// visible reports whether s has something to read and no control characters.
func visible(s string, limit int) bool {
	return strings.TrimSpace(s) != "" && len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r'
	})
}

func (s *Service) checkHead(r *verify.CaseRequest, now time.Time) *bonded.Error {
	if r.Cell != s.cfg.Cell {
		return refuse(rules.RejectWrongCell, "cell", "the request is for another cell", "file it there")
	}
	if err := oneOf("kind", r.Kind, caseKinds); err != nil {
		return err
	}
	if r.Kind == "source-review" {
		return refuse(rules.RejectImpossibleInFact, "kind", "this version has no review room: source code does not leave by this door", "")
	}
	if len(r.Nonce) < minNonce || len(r.Nonce) > maxNonce || !visible(r.Nonce, maxNonce) {
		return incomplete("nonce", "a request has a nonce of 16 to 64 characters", "use random ones, fresh for each request")
	}
	if r.Filed.IsZero() || r.Filed.After(now.Add(MaxFiledAhead)) || now.Sub(r.Filed) > MaxFiledAge {
		return refuse(rules.RejectManifestError, "filed", "the date of filing is missing, in the future or older than a day", "sign the request anew")
	}
	return nil
}

// checkInstrument checks the legal instrument but for its approvals.
func (s *Service) checkInstrument(r *verify.CaseRequest, agency *verify.Agency, now time.Time) *bonded.Error {
	a := &r.Authorisation
	const at = "authorisation."
	if !visible(a.Reference, 200) {
		return incomplete(at+"reference", "a case or file number of the authority is missing", "")
	}
	p, ok := s.rules.Process(a.ProcessType)
	switch {
	case a.ProcessType == "":
		return incomplete(at+"process_type", "a process type is missing", "")
	case !ok:
		ids := []string{}
		for _, known := range s.rules.Processes() {
			ids = append(ids, known.ID)
		}
		return refuse(rules.RejectNoLegalBasis, at+"process_type", "the rules know no such process type", nearest.Hint(a.ProcessType, ids))
	case !slices.Contains(agency.Powers, p.ID):
		return refuse(rules.RejectWrongAuthority, at+"process_type", "the agency has no such power in the register", "have the power registered, with its proof")
	case p.RoomOnly:
		return refuse(rules.RejectImpossibleInFact, at+"process_type", "what this process type shows is read in a review room, which this version does not have", "")
	case a.Jurisdiction != agency.Country:
		return refuse(rules.RejectManifestError, at+"jurisdiction", "the jurisdiction is not that of the agency", "")
	case !covers(bonded.Jurisdiction(p.Jurisdiction), agency.Country):
		return refuse(rules.RejectWrongAuthority, at+"process_type", "the process type is of another jurisdiction than the agency", "")
	}
	if err := oneOf(at+"treaty_route", a.TreatyRoute, treatyRoutes); err != nil {
		return err
	}
	if foreign := !covers(s.cfg.Jurisdiction, agency.Country) && !covers(agency.Country, s.cfg.Jurisdiction); foreign {
		switch a.TreatyRoute {
		case "domestic":
			return refuse(rules.RejectManifestError, at+"treaty_route", "the agency is of another jurisdiction than this cell", "name the treaty route")
		case "direct_foreign", "none":
			return refuse(rules.RejectWrongCell, at+"treaty_route", "the data is in another jurisdiction than the agency", "use the treaty route, or the cell of your own jurisdiction")
		}
	}
	if len(a.LegalBasis) == 0 {
		return incomplete(at+"legal_basis", "no law is named", "name law and article")
	}
	for i, b := range a.LegalBasis {
		if !visible(b.Law, 200) || !visible(b.Article, 200) {
			return incomplete(fmt.Sprintf("%slegal_basis[%d]", at, i), "a law and its article are needed", "")
		}
	}
	if err := oneOf(at+"priority", a.Priority, priorities); err != nil {
		return err
	}
	for i, f := range a.Flags {
		if err := oneOf(fmt.Sprintf("%sflags[%d]", at, i), f, requestFlags); err != nil {
			return err
		}
	}
	emergency := rules.Priority(a.Priority) == rules.PriorityEmergency
	switch {
	case emergency != slices.Contains(a.Flags, "emergency"):
		return refuse(rules.RejectManifestError, at+"flags", "flag and priority do not agree on whether this is an emergency", "set both, or neither")
	case (a.Secrecy != nil) != slices.Contains(a.Flags, "secrecy_order"):
		return refuse(rules.RejectManifestError, at+"flags", "flag and secrecy do not agree on whether there is an order of secrecy", "set both, or neither")
	case a.ValidTo.IsZero():
		return incomplete(at+"valid_to", "an instrument ends: this one is open", "name its end")
	case a.ValidFrom.IsZero():
		return incomplete(at+"valid_from", "the beginning of the instrument is missing", "")
	case !a.ValidFrom.Before(a.ValidTo):
		return refuse(rules.RejectManifestError, at+"valid_to", "the instrument ends before it begins", "")
	case a.ValidTo.Sub(now) > MaxInstrument:
		return refuse(rules.RejectTooBroad, at+"valid_to", "the instrument ends more than two years from now, as good as never", "name a nearer end")
	case now.After(a.ValidTo):
		return refuse(rules.RejectExpired, at+"valid_to", "the instrument is out of date", "get a new one")
	case now.Before(a.ValidFrom):
		return refuse(rules.RejectManifestError, at+"valid_from", "the instrument is not valid yet", "file it when it is")
	case p.OffenceNeeded && (a.Offence == nil || !visible(a.Offence.Category, 200) || !visible(a.Offence.Provision, 200)):
		return incomplete(at+"offence", "this process type needs the offence: category and provision", "")
	case !visible(a.Necessity, MaxNecessity) || sentences(a.Necessity) < len(r.Tasks):
		return incomplete(at+"necessity", "why this data, and why not less, is missing: at least one sentence for each task", "")
	case (agency.Kind == "lender" || agency.Kind == "auditor") && a.Contract == "":
		return incomplete(at+"contract_basis", "a lender or auditor names the agreement", "")
	}
	for i, l := range a.Linked {
		field := fmt.Sprintf("%slinked[%d]", at, i)
		if err := oneOf(field+".relation", l.Relation, relations); err != nil {
			return err
		}
		if l.Case.Cell != s.cfg.Cell || l.Case.IsZero() {
			return refuse(rules.RejectManifestError, field+".case", "the case linked to is of another cell", "")
		}
	}
	return nil
}

// covers reports whether a rule of one jurisdiction speaks for an agency of
// another: the same, any, or the Union for its members.
func covers(rule, of bonded.Jurisdiction) bool {
	return rule == "any" || rule == of || rule == "EU" && slices.Contains(unionCountries, string(of))
}

// sentences counts ends of sentences, and a text that ends without one.
func sentences(s string) int {
	n, open := 0, false
	for _, r := range s {
		switch {
		case strings.ContainsRune(".!?。！？…", r):
			if open {
				n++
			}
			open = false
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			open = true
		}
	}
	if open {
		n++
	}
	return n
}

func (s *Service) checkApprovals(a *verify.Authorisation, now time.Time) *bonded.Error {
	if len(a.Approvals) == 0 {
		return incomplete("authorisation.approvals", "nobody has approved the instrument", "")
	}
	for i := range a.Approvals {
		ap, field := &a.Approvals[i], fmt.Sprintf("authorisation.approvals[%d]", i)
		if err := oneOf(field+".kind", ap.Kind, approvalKinds); err != nil {
			return err
		}
		switch {
		case !visible(ap.Approver, 200) || !visible(ap.Role, 64) || !visible(ap.Reference, 200):
			return incomplete(field, "an approval has a reference, an approver and a role", "")
		case ap.Time.IsZero() || ap.Time.After(now.Add(MaxFiledAhead)):
			return refuse(rules.RejectManifestError, field+".time", "the date of the approval is missing or in the future", "")
		}
	}
	return nil
}

func checkDocuments(docs []verify.CaseDocument) *bonded.Error {
	if len(docs) == 0 {
		return incomplete("authorisation.documents", "no document is named: the instrument itself is needed", "name each with the SHA-256 of its bytes, and upload it after the request")
	}
	if len(docs) > MaxDocuments/2 {
		return refuse(rules.RejectManifestError, "authorisation.documents", "more than 16 documents", "put them into one")
	}
	seen := map[string]bool{}
	for i := range docs {
		d, field := &docs[i], fmt.Sprintf("authorisation.documents[%d]", i)
		b, err := hex.DecodeString(d.SHA256)
		switch {
		case err != nil || len(b) != 32 || hex.EncodeToString(b) != d.SHA256:
			return incomplete(field+".sha256", "not a SHA-256 in lower-case hexadecimal", "")
		case seen[d.SHA256]:
			return refuse(rules.RejectManifestError, field+".sha256", "a document is named twice", "")
		case !slices.Contains(documentTypes, d.MediaType):
			return incomplete(field+".media_type", "a document of this type cannot be read here", "one of "+strings.Join(documentTypes, ", "))
		case !visible(d.Name, 200) || !visible(d.Language, 35):
			return incomplete(field, "a document has a name and a language", "")
		case d.Size < 1 || d.Size > apitype.MaxDocument:
			return incomplete(field+".size", "a document has from 1 byte to 16 MiB", "")
		}
		seen[d.SHA256] = true
	}
	return nil
}

// checkSecrecy refuses what is no order of secrecy at all. One without an end
// is let in: the case goes on, and the secrecy is challenged, see
// [newSecrecy].
func checkSecrecy(a *verify.Authorisation, now time.Time) *bonded.Error {
	g := a.Secrecy
	if g == nil {
		return nil
	}
	const at = "authorisation.secrecy."
	if err := oneOf(at+"scope", g.Scope, secrecyScopes); err != nil {
		return err
	}
	switch {
	case !visible(g.Basis.Law, 200) || !visible(g.Basis.Article, 200):
		return incomplete(at+"basis", "secrecy names its law and article", "")
	case g.From.IsZero():
		return incomplete(at+"from", "the beginning of the secrecy is missing", "")
	case g.Until != nil && !g.Until.After(now), g.ReviewAt != nil && !g.ReviewAt.After(now):
		return refuse(rules.RejectExpired, at+"until", "the secrecy has ended already", "")
	case g.Until != nil && !g.Until.After(g.From):
		return refuse(rules.RejectManifestError, at+"until", "the secrecy ends before it begins", "")
	}
	return nil
}

func (s *Service) checkTasks(r *verify.CaseRequest, now time.Time) *bonded.Error {
	if len(r.Tasks) == 0 {
		return refuse(rules.RejectBulk, "tasks", "there is no task", "each task names a target and what is wanted of it")
	}
	if len(r.Tasks) > MaxTasks {
		return refuse(rules.RejectTooBroad, "tasks", "more than 16 tasks", "file several requests")
	}
	p, _ := s.rules.Process(r.Authorisation.ProcessType)
	for i := range r.Tasks {
		t, at := &r.Tasks[i], "tasks["+strconv.Itoa(i)+"]."
		if err := s.checkTask(t, &p, at, now); err != nil {
			return err
		}
		if err := s.checkTargets(t, at); err != nil {
			return err
		}
		if rules.Priority(r.Authorisation.Priority) == rules.PriorityEmergency && p.Kind != rules.KindPreserve {
			if err := s.emergencyTask(p.ID, t, i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) checkTask(t *verify.CaseTask, p *rules.Process, at string, now time.Time) *bonded.Error {
	if err := oneOf(at+"kind", t.Kind, taskKinds); err != nil {
		return err
	}
	class, ok := s.rules.DataClass(rules.DataClass(t.DataClass))
	if !ok {
		return refuse(rules.RejectIncomplete, at+"data_class", "not a data class of the rules", "")
	}
	schema, ok := s.cfg.Records.Schema(t.Collection)
	if !ok {
		return refuse(rules.RejectNotHeldByUs, at+"collection", "this cell has no such collection", "")
	}

	// 1. The kind of the task fits the process type, and its class is opened.
	switch {
	case (p.Kind == rules.KindPreserve) != (t.Kind == "preserve"):
		return refuse(rules.RejectNoLegalBasis, at+"kind", "the process type does not allow this kind of task", "freeze by a process type that freezes, disclose by one that discloses")
	case t.Kind != "preserve" && !s.rules.Opens(p.ID, class.ID):
		return refuse(rules.RejectNoLegalBasis, at+"data_class", "the process type does not open this class", "ask for a class that it opens, or under another process type")
	case t.Kind == "confirm_existence" && class.ID != rules.ClassExistence:
		return refuse(rules.RejectManifestError, at+"data_class", "a task that asks whether somebody is known has class existence", "")
	}

	// 2. Named fields, each of a class that the task's class covers.
	if t.Kind == "disclose" && len(t.FieldsWanted) == 0 {
		return incomplete(at+"fields_wanted", "no field is named", "name each field of the collection")
	}
	if t.Kind == "confirm_existence" && len(t.FieldsWanted) > 0 {
		return refuse(rules.RejectManifestError, at+"fields_wanted", "a task that asks whether somebody is known wants no field", "")
	}
	if len(t.FieldsWanted) > verify.MaxScopeFields/2 {
		return refuse(rules.RejectTooBroad, at+"fields_wanted", "more than 32 fields", "")
	}
	names := make([]string, 0, len(schema))
	for n := range schema {
		names = append(names, n)
	}
	slices.Sort(names)
	for j, f := range t.FieldsWanted {
		field := at + "fields_wanted[" + strconv.Itoa(j) + "]"
		switch known, ok := schema[f]; {
		case strings.ContainsAny(f, "*?%"):
			return refuse(rules.RejectTooBroad, field, "a star is no field", "name each field of the collection")
		case !ok:
			return refuse(rules.RejectNotHeldByUs, field, "the collection has no such field", nearest.Hint(f, names))
		case slices.Index(t.FieldsWanted, f) != j:
			return refuse(rules.RejectManifestError, field, "a field is named twice", "")
		case t.Kind == "disclose" && !s.rules.Covers(class.ID, known.Class):
			return refuse(rules.RejectNoLegalBasis, field, "the class of the task does not cover fields of this class", "ask under another data class, if the process type opens it")
		}
	}

	// 3. A window, where the class has one; it never ends in the open.
	if class.Window || t.From != nil || t.To != nil {
		switch {
		case t.From == nil || t.To == nil:
			return incomplete(at+"to", "this class needs a window from and to", "")
		case !t.From.Before(*t.To):
			return refuse(rules.RejectManifestError, at+"to", "the window ends before it begins", "")
		case p.WindowDays > 0 && t.To.Sub(*t.From) > time.Duration(p.WindowDays)*24*time.Hour:
			return refuse(rules.RejectTooBroad, at+"to", "the window is longer than the process type allows", "at most "+strconv.Itoa(p.WindowDays)+" days")
		}
	}

	// 4. How many people, and how long a hold.
	switch {
	case t.MaxSubjects < 0 || t.MaxSubjects > p.MaxSubjects:
		return refuse(rules.RejectBulk, at+"max_subjects", "more people than the process type allows in one task", "at most "+strconv.Itoa(p.MaxSubjects))
	case len(t.Targets) > max(1, t.MaxSubjects):
		return refuse(rules.RejectTooBroad, at+"targets", "more targets than max_subjects", "")
	case t.Kind != "preserve":
		return nil
	case t.HoldUntil == nil || !t.HoldUntil.After(now):
		return incomplete(at+"hold_until", "a hold has an end, in the future", "")
	case t.HoldUntil.Sub(now) > p.Hold.Duration():
		return refuse(rules.RejectTooBroad, at+"hold_until", "the hold is longer than the process type allows", "at most "+p.Hold.String())
	}
	return nil
}

func (s *Service) checkTargets(t *verify.CaseTask, at string) *bonded.Error {
	if len(t.Targets) == 0 {
		return refuse(rules.RejectBulk, at+"targets", "no target is named", "name each person")
	}
	if len(t.Targets) > MaxTargets {
		return refuse(rules.RejectBulk, at+"targets", "more than 1000 targets", "")
	}
	schema, _ := s.cfg.Records.Schema(t.Collection)
	seen := map[verify.CaseTarget]bool{}
	for i, target := range t.Targets {
		field := at + "targets[" + strconv.Itoa(i) + "]."
		if !visible(target.Value, maxTargetValue) {
			return refuse(rules.RejectBulk, field+"value", "the target names nobody", "")
		}
		if strings.Trim(target.Value, "*%?_. \t") == "" || strings.ContainsAny(target.Value, "*%") {
			return refuse(rules.RejectBulk, field+"value", "a pattern is no target", "name one person")
		}
		if seen[target] {
			return refuse(rules.RejectManifestError, field+"value", "a target is named twice", "")
		}
		seen[target] = true
		var cell bonded.CellID
		var err error
		switch target.Format {
		case "":
			return incomplete(field+"format", "what names the target is missing", "subject, record, token, or an indexed field")
		case "subject":
			var id bonded.SubjectID
			id, err = bonded.ParseSubjectID(target.Value)
			cell = id.Cell
		case "record":
			var id bonded.RecordID
			id, err = bonded.ParseRecordID(target.Value)
			cell = id.Cell
		case "token":
			var id bonded.Token
			id, err = bonded.ParseToken(target.Value)
			cell = id.Cell
		default:
			f, ok := schema[target.Format]
			if !ok || !f.Indexed {
				return refuse(rules.RejectNotEnoughToIdentify, field+"format", "nobody can be found by this", "subject, record, token, or an indexed field of the collection")
			}
			cell = s.cfg.Cell
		}
		if err != nil {
			return refuse(rules.RejectNotEnoughToIdentify, field+"value", "not an id that Bonded made", "use the id exactly as it was given")
		}
		if cell != s.cfg.Cell {
			return refuse(rules.RejectWrongCell, field+"value", "the target is of another cell", "file the request there")
		}
	}
	return nil
}

// emergencyTask holds a task against the limits of what opens before the paper
// is there.
func (s *Service) emergencyTask(process string, t *verify.CaseTask, i int) *bonded.Error {
	e, at := s.rules.Emergency(), "tasks["+strconv.Itoa(i)+"]."
	class, _ := s.rules.DataClass(rules.DataClass(t.DataClass))
	switch {
	case !s.rules.OpensInEmergency(process, class.ID):
		return refuse(rules.RejectTooBroad, at+"data_class", "this class does not open in an emergency", "ask for less, or by the ordinary way")
	case max(1, t.MaxSubjects) > e.MaxSubjects:
		return refuse(rules.RejectTooBroad, at+"max_subjects", "more people than an emergency allows", "at most "+strconv.Itoa(e.MaxSubjects))
	case t.From != nil && t.To != nil && t.To.Sub(*t.From) > time.Duration(e.WindowDays)*24*time.Hour:
		return refuse(rules.RejectTooBroad, at+"to", "a longer window than an emergency allows", "at most "+strconv.Itoa(e.WindowDays)+" days")
	}
	return nil
}

// checkRecipient reads the key that everything is sealed to, and its proof.
func (s *Service) checkRecipient(r *verify.CaseRequest) *bonded.Error {
	const hint = "make it by bonded request keygen"
	if len(r.Recipient) == 0 {
		return incomplete("recipient", "the key that the answer is sealed to is missing", hint)
	}
	_, err := recipient.Parse(r.Recipient)
	switch bonded.CodeOf(err) {
	case "":
		return nil
	case bonded.CodeProof:
		return refuse(rules.RejectNotAuthenticated, "recipient", "the recipient key does not prove that its private half is there", hint)
	default:
		return incomplete("recipient", "not a recipient key", hint)
	}
}

// ladder refuses what an officer's level does not allow.
func (s *Service) ladder(r *verify.CaseRequest, officer *verify.Person) *bonded.Error {
	needs := []struct {
		what rules.Permission
		when bool
	}{
		{rules.AllowSubmit, true},
		{rules.AllowNormal, true},
		{rules.AllowContent, slices.ContainsFunc(r.Tasks, func(t verify.CaseTask) bool { return rules.DataClass(t.DataClass) == rules.ClassContent })},
		{rules.AllowEmergency, rules.Priority(r.Authorisation.Priority) == rules.PriorityEmergency},
	}
	for _, n := range needs {
		if n.when && !s.rules.Allows(officer.Level, n.what) {
			return refuse(rules.RejectNotAuthenticated, "officer", fmt.Sprintf("an officer of level %d may not ask for this: %s", officer.Level, n.what), "prove more of who you are, and have it registered")
		}
	}
	return nil
}

// rulesPass holds the tasks that are not refused against law: the classes, the
// approvals, the power of the agency, and what the packs forbid. It returns
// the ids of what allowed it.
func (s *Service) rulesPass(r *verify.CaseRequest, tasks []verify.DecidedTask, agency *verify.Agency, now time.Time) ([]string, *bonded.Error) {
	a := &r.Authorisation
	p, ok := s.rules.Process(a.ProcessType)
	if !ok || !slices.Contains(agency.Powers, p.ID) {
		return nil, refuse(rules.RejectWrongAuthority, "authorisation.process_type", "the agency has no such power", "")
	}
	passed := []string{s.rules.Name() + "#" + p.ID}
	var classes []rules.DataClass
	for i := range tasks {
		t := &tasks[i]
		if t.Refused != "" {
			continue
		}
		class := rules.DataClass(t.DataClass)
		if t.Kind != "preserve" && !s.rules.Opens(p.ID, class) {
			return nil, refuse(rules.RejectNoLegalBasis, "tasks["+strconv.Itoa(i)+"].data_class", "the process type does not open this class", "ask for a class that it opens, or under another process type")
		}
		if !slices.Contains(classes, class) {
			classes = append(classes, class)
			passed = append(passed, p.ID+" opens "+string(class))
		}
	}
	if len(classes) == 0 {
		return nil, refuse(rules.RejectIncomplete, "tasks", "every task is refused", "")
	}
	given := make([]string, len(a.Approvals))
	for i := range a.Approvals {
		given[i] = a.Approvals[i].Role
	}
	if missing := s.rules.MissingApprovals(p.ID, classes, given); len(missing) > 0 {
		return nil, incomplete("authorisation.approvals", "an approval is missing: "+missing[0].Text, "by one of "+strings.Join(missing[0].MetBy, ", "))
	}
	for _, n := range p.Needs {
		passed = append(passed, "approval "+n)
	}
	if s.cfg.Blocking != nil {
		if ids := s.cfg.Blocking(now, r, agency); len(ids) > 0 {
			return nil, refuse(rules.RejectConflictOfLaw, "authorisation", "a law of this cell forbids it: "+strings.Join(ids, ", "), "use the treaty route")
		}
	}
	return passed, nil
}
