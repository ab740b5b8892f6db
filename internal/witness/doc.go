// Package witness cosigns checkpoints it has seen grow (C2SP tlog-witness).
//
// A witness keeps one checkpoint a log: the newest it cosigned. It cosigns the
// next only when that extends it, and makes its record durable before it
// answers, so that it never vouches for two histories of one log, not even
// across a crash. It holds no data of the log and decides nothing about its
// content.
//
// Start at [New]; [Witness.Handler] is what listens, spec/witness.md is the
// exact protocol. The formats of checkpoints and cosignatures are in package
// verify.
package witness
