// Package wire is what crosses the line between vault and keyholder: the
// messages and their bytes, the request digest and proof of a principal, and
// the session it opens. It does no I/O: package remote carries frames, the
// parties decide. spec/keyholder.md is its specification.
//
// Start at [Unlock] and [UnlockResult].
package wire
