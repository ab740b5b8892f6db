// Package rules reads the rules of the front door and answers questions about
// them: what a process type opens and in what time, who may move a case from
// one state to another and under which guards, which refusals have a name,
// what an officer's proof of identity allows.
//
// It is pure: it reads no clock, keeps no case and tests no guard; package
// frontdoor does. The rules are data, packs/frontdoor/<version>.yaml, and
// give no legal advice: each says where it comes from.
//
// Start at [Shipped], then [Rules.Transition], [Rules.Opens] and
// [Rules.Deadline]. A cell narrows them by [Rules.With]. The format and the
// table of transitions are in spec/frontdoor-rules.md.
package rules
