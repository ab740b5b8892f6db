// Package journal keeps one row for each daily opening, durable before the
// answer, and seals rows into segments that the ledger anchors. An [Entered]
// value is made only here, after the row is durable.
//
// The way of a row: [Journal.Prepare] gives it its name, salt and leaf;
// [Journal.Commit] makes it durable in one commit with many others and with
// the change it allows; [Journal.Seal] closes the segment it is in;
// [Journal.Anchor] puts the segment into the ledger; [Journal.Receipt] proves
// it to anybody.
//
// It does not decide, does not talk to the keyholder and encrypts nothing.
// Who reads the code begins at commit.go.
package journal
