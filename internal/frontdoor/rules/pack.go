package rules

// A pack is one file of rules, as it is written.
type pack struct {
	ID          string            `yaml:"id" json:"id" required:"true"`
	Version     string            `yaml:"version" json:"version" required:"true"`
	AsOf        string            `yaml:"as_of" json:"as_of" required:"true"`
	Title       string            `yaml:"title" json:"title" required:"true"`
	Note        string            `yaml:"note" json:"note,omitempty"`
	Sources     map[string]Source `yaml:"sources" json:"sources" required:"true"`
	DataClasses []ClassRule       `yaml:"data_classes" json:"data_classes" required:"true"`
	Approvals   []ApprovalRule    `yaml:"approvals" json:"approvals" required:"true"`
	Processes   []Process         `yaml:"processes" json:"processes" required:"true"`
	RejectCodes []RejectRule      `yaml:"reject_codes" json:"reject_codes" required:"true"`
	Requesters  RequesterRules    `yaml:"requesters" json:"requesters" required:"true"`
	Emergency   EmergencyRules    `yaml:"emergency" json:"emergency" required:"true"`
	Secrecy     SecrecyRules      `yaml:"secrecy" json:"secrecy" required:"true"`
	Roles       []RoleRule        `yaml:"roles" json:"roles" required:"true"`
	Separation  Separation        `yaml:"separation" json:"separation" required:"true"`
	States      []StateRule       `yaml:"states" json:"states" required:"true"`
	TaskStates  []TaskStateRule   `yaml:"task_states" json:"task_states" required:"true"`
	Timers      []Timer           `yaml:"timers" json:"timers" required:"true"`
	Transitions []step            `yaml:"transitions" json:"transitions" required:"true"`
}

// A Source is something a rule cites.
type Source struct {
	Title string `yaml:"title" json:"title" required:"true"`
	URL   string `yaml:"url" json:"url,omitempty"`
}

// A Basis says where a rule comes from and how sure we are of it.
type Basis struct {
	Cite       []string `yaml:"cite" json:"cite" required:"true"`             // ids of sources, or memory
	Unverified bool     `yaml:"unverified" json:"unverified,omitempty"`       // true exactly when memory is the only citation
	FromMemory []string `yaml:"from_memory" json:"from_memory,omitempty"`     // keys of a sourced rule that the source was not seen to say
	Confidence string   `yaml:"confidence" json:"confidence" required:"true"` // high, medium or low
}

// A ClassRule is one data class. Their order is that of the pack, from what
// says least about a person.
type ClassRule struct {
	ID     DataClass `yaml:"id" json:"id" required:"true"`
	Text   string    `yaml:"text" json:"text" required:"true"`
	Covers []string  `yaml:"covers" json:"covers,omitempty"` // classes of vault fields that a task of this class may name
	Window bool      `yaml:"window" json:"window,omitempty"` // a task of this class names from and to
}

// An ApprovalRule is something a process type needs, and whose approval
// gives it.
type ApprovalRule struct {
	ID    string   `yaml:"id" json:"id" required:"true"`
	Text  string   `yaml:"text" json:"text" required:"true"`
	MetBy []string `yaml:"met_by" json:"met_by" required:"true"` // roles of approvers, one of which suffices
}

// A Process is a kind of legal process.
type Process struct {
	ID                  string      `yaml:"id" json:"id" required:"true"`
	Title               string      `yaml:"title" json:"title" required:"true"`
	Jurisdiction        string      `yaml:"jurisdiction" json:"jurisdiction" required:"true"` // a country, EU or any
	Instrument          string      `yaml:"instrument" json:"instrument" required:"true"`
	Kind                Kind        `yaml:"kind" json:"kind" required:"true"`
	Opens               []DataClass `yaml:"opens" json:"opens,omitempty"`                               // exactly these, in the order of data_classes
	Needs               []string    `yaml:"needs" json:"needs" required:"true"`                         // ids of approvals, all of them
	NeedsFor            []NeedsFor  `yaml:"needs_for" json:"needs_for,omitempty"`                       // more of them for some classes
	Notice              NoticeBy    `yaml:"notice" json:"notice" required:"true"`                       // who tells the person
	ReciprocalNotice    bool        `yaml:"reciprocal_notice" json:"reciprocal_notice,omitempty"`       // the firm may ask for the secrecy to go to court
	PreserveOnReceipt   bool        `yaml:"preserve_on_receipt" json:"preserve_on_receipt"`             // freeze as soon as the agency is verified
	Voluntary           bool        `yaml:"voluntary" json:"voluntary,omitempty"`                       // the firm may, and need not
	RoomOnly            bool        `yaml:"room_only" json:"room_only,omitempty"`                       // read in the review room, never delivered
	OffenceNeeded       bool        `yaml:"offence_needed" json:"offence_needed,omitempty"`             // the request names the offence
	WindowDays          int         `yaml:"window_days" json:"window_days,omitempty"`                   // longest from-to of a task
	MaxSubjects         int         `yaml:"max_subjects" json:"max_subjects"`                           // named people of one task; absent: 1
	ChallengeWindow     *Span       `yaml:"challenge_window" json:"challenge_window,omitempty"`         // absent: timer challenge
	Deadlines           Deadlines   `yaml:"deadlines" json:"deadlines"`                                 // to deliver; 0: the law sets none
	OtherAuthority      Deadlines   `yaml:"other_authority" json:"other_authority"`                     // for the other authority to answer; 0: timer other_authority
	Hold                Span        `yaml:"hold" json:"hold,omitempty"`                                 // of kind preserve
	Extend              Span        `yaml:"extend" json:"extend,omitempty"`                             // each extension of a hold
	ExtendTimes         int         `yaml:"extend_times" json:"extend_times,omitempty"`                 // most of them
	ClarificationPauses bool        `yaml:"clarification_pauses" json:"clarification_pauses,omitempty"` // the deadline rests in state clarification
	Note                string      `yaml:"note" json:"note,omitempty"`
	Basis               `yaml:",inline"`
}

// Deadlines are lengths of time by priority, from receipt. A priority without
// one has that of the next lower.
type Deadlines struct {
	Routine   Span `yaml:"routine" json:"routine,omitempty"`
	Urgent    Span `yaml:"urgent" json:"urgent,omitempty"`
	Emergency Span `yaml:"emergency" json:"emergency,omitempty"`
}

// NeedsFor are approvals that some data classes need besides.
type NeedsFor struct {
	Classes []DataClass `yaml:"classes" json:"classes" required:"true"`
	Needs   []string    `yaml:"needs" json:"needs" required:"true"`
}

// A RejectRule is one reason to refuse.
type RejectRule struct {
	ID     RejectCode `yaml:"id" json:"id" required:"true"`
	Text   string     `yaml:"text" json:"text" required:"true"`
	Form   string     `yaml:"form" json:"form,omitempty"`     // the official form that knows the reason
	Fields []string   `yaml:"fields" json:"fields,omitempty"` // what the refusal must say besides
	Proof  string     `yaml:"proof" json:"proof,omitempty"`   // what the refusal must show
	Basis  `yaml:",inline"`
}

// RequesterRules say how requesters are checked.
type RequesterRules struct {
	Ladder  []Level      `yaml:"ladder" json:"ladder" required:"true"`
	Signals []SignalRule `yaml:"signals" json:"signals" required:"true"`
	Note    string       `yaml:"note" json:"note,omitempty"`
	Basis   `yaml:",inline"`
}

// A Level is a step of trust. Each allows what the ones below it allow.
type Level struct {
	Level  int          `yaml:"level" json:"level"`
	Proof  string       `yaml:"proof" json:"proof" required:"true"`
	Allows []Permission `yaml:"allows" json:"allows" required:"true"`
}

// A SignalRule says what a signal means.
type SignalRule struct {
	ID   Signal `yaml:"id" json:"id" required:"true"`
	Text string `yaml:"text" json:"text" required:"true"`
}

// EmergencyRules limit what opens before the paper is there.
type EmergencyRules struct {
	Classes     []DataClass `yaml:"classes" json:"classes" required:"true"`
	MaxSubjects int         `yaml:"max_subjects" json:"max_subjects" required:"true"`
	WindowDays  int         `yaml:"window_days" json:"window_days" required:"true"` // longest from-to of a task
	CallBack    bool        `yaml:"call_back" json:"call_back" required:"true"`     // to a number from the directory; always true
	Note        string      `yaml:"note" json:"note,omitempty"`
	Basis       `yaml:",inline"`
}

// SecrecyRules limit secrecy entries.
type SecrecyRules struct {
	Review       Span   `yaml:"review" json:"review" required:"true"`               // from the entry, when it names no end and no review date
	NoticeWithin Span   `yaml:"notice_within" json:"notice_within" required:"true"` // to tell the person, once it ended
	MustEnd      bool   `yaml:"must_end" json:"must_end" required:"true"`           // until or review_at is there; always true
	Note         string `yaml:"note" json:"note,omitempty"`
	Basis        `yaml:",inline"`
}

// A RoleRule says who holds a role.
type RoleRule struct {
	ID   Role   `yaml:"id" json:"id" required:"true"`
	Text string `yaml:"text" json:"text" required:"true"`
}

// Separation says what one person, or one role, may not do on one case.
type Separation struct {
	OneOf                  []Role `yaml:"one_of" json:"one_of" required:"true"`                                         // one person holds at most one of these
	RoleDuties             []Duty `yaml:"role_duties" json:"role_duties" required:"true"`                               // one role has at most one of these
	PersonDuties           []Duty `yaml:"person_duties" json:"person_duties" required:"true"`                           // one person does at most one of these
	CustodianNotRequester  bool   `yaml:"custodian_not_of_requester" json:"custodian_not_of_requester" required:"true"` // nor of its government chain; always true
	AdministratorHasNoRole bool   `yaml:"administrator_has_no_role" json:"administrator_has_no_role" required:"true"`   // always true
}

// A StateRule is one state of a case.
type StateRule struct {
	ID    State  `yaml:"id" json:"id" required:"true"`
	Text  string `yaml:"text" json:"text" required:"true"`
	Log   Logged `yaml:"log" json:"log" required:"true"`
	Opens bool   `yaml:"opens" json:"opens,omitempty"` // plaintext may leave from here on
	Final bool   `yaml:"final" json:"final,omitempty"`
}

// A TaskStateRule is one state of a task.
type TaskStateRule struct {
	ID   TaskState `yaml:"id" json:"id" required:"true"`
	Text string    `yaml:"text" json:"text" required:"true"`
}

// A Timer begins when a case enters one of its states.
type Timer struct {
	ID      TimerID `yaml:"id" json:"id" required:"true"`
	From    []State `yaml:"from" json:"from" required:"true"`
	After   Span    `yaml:"after" json:"after" required:"true"`
	Longest Span    `yaml:"longest" json:"longest" required:"true"` // a cell may not set more
	Text    string  `yaml:"text" json:"text" required:"true"`
}

// A step is a group of transitions: each of from to each of to by each of by.
type step struct {
	From   []State `yaml:"from" json:"from" required:"true"`
	To     []State `yaml:"to" json:"to" required:"true"`
	By     []Role  `yaml:"by" json:"by" required:"true"`
	Duty   Duty    `yaml:"duty" json:"duty" required:"true"`
	Guards []Guard `yaml:"guards" json:"guards,omitempty"`
	Timer  TimerID `yaml:"timer" json:"timer,omitempty"`
	At     DateOf  `yaml:"at" json:"at,omitempty"`
}
