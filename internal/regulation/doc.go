// Package regulation reads regulation packs and tells what they say on a
// given day: which rules bind, which cell is a person's home, and which
// openings no operator may permit.
//
// It is pure: the caller passes the time and the facts. It gives no legal
// advice, decides no single opening (package policy does) and counts nothing.
//
// Start at [Load], then [NewTable], [Table.Route] and [Table.Forbids]. The
// format of packs is in spec/policy.md.
package regulation
