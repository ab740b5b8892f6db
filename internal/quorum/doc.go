// Package quorum keeps a key that nobody has: custodians in roles hold shares
// of it, and only a quorum of every role together opens an envelope, for one
// requester, with a proof that anyone can check.
//
// What is here, and where to start:
//   - the ceremony: [Params], the state machine [Member] of one party, and
//     [Judge], which reads all messages of a ceremony and returns its
//     [Certificate] or names who is at fault;
//   - its result: [KeySet], public, and one [Share] for each custodian;
//   - envelopes: [Encryptor] and [Envelope];
//   - openings: the requester's [RecipientKey], a custodian's [Custodian.Partial],
//     and [Opening.Combine]; only the requester can [RecipientKey.Open].
//
// The schemes, each cited where it is: Feldman's verifiable secret sharing with
// commit-then-reveal and proofs of possession for the ceremony, after C2SP
// COCKTAIL-DKG; Desmedt-Jajodia resharing; TDH2 of Shoup and Gennaro for
// envelopes; Jakobsson's quorum-controlled re-encryption for openings. The proof
// of the last is our own composition and awaits outside review: see package
// internal/quorum/internal/reencrypt. All of it is over ristretto255; shares
// travel under HPKE with MLKEM768-X25519, which is the only part that a quantum
// computer would not undo.
//
// It does no I/O, reads no clock, and knows no ledger: the caller carries the
// messages, decides when a missing party is late, keeps secrets sealed, and
// acts only under a witnessed leaf. The formats are in spec/quorum.md with
// vectors in spec/vectors/quorum.json.
//
// A quorum of old shares opens for ever: a share is erased once the
// next key set is certified. Wiping is best effort; see package seal.
package quorum
