// Package ledger appends entries to the transparency log and returns a
// [Receipt] that nothing else can make.
//
// The log is a C2SP tlog-tiles folder written by Tessera's POSIX driver; every
// checkpoint it publishes is cosigned by a quorum of witnesses, and nothing is
// published without. The package knows nothing about what entries mean: their
// formats are in package verify. It builds on Unix systems only, as that
// driver does.
//
// Start at [Open] for how a writer begins, which includes asking the witnesses
// whether its folder is an old copy, and at [Ledger.Append] for the main path.
package ledger
