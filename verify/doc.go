// Package verify checks, offline, what a Bonded server publishes: log
// checkpoints, inclusion proofs, whole logs, receipts and books.
//
// The formats live here, next to the code that checks them; the server imports
// this package to write them. It opens no files and no connections, reads no
// clock and holds no private key, so it also compiles to WebAssembly for the public portal. It
// does not judge how fresh a checkpoint is: it says when a quorum of witnesses
// cosigned it, and the caller, who has a clock, decides.
//
// Start at [OpenCheckpoint] for one signed tree head, [CheckInclusion] for one
// entry, [CheckLog] for a whole log, [CheckReceipt] for a receipt, [Reconcile]
// for both books, and [VerdictOf] for how answers are given. The formats begin
// at [Row], [BookRow], [Segment] and [Leaf].
package verify
