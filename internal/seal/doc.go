// Package seal is the only way to encrypt in Bonded, besides the quorum's
// envelopes.
//
// A sealed value names its suite and opens only under the key and the
// [Context] it was sealed with. Callers cannot choose a nonce, skip the
// context, compare keys with ==, or print one.
//
// What is here, and where to start:
//   - values: [Key.Seal] and [Key.Open];
//   - the tree of keys: [SubjectKey], [VersionKey] and their field
//     keys, and [SubjectKey.Wrap] for rest;
//   - the two locks of the index: [InnerIndexKey] and [OuterIndexKey];
//   - secrets at rest: [SealSecret] under a key, [SealWithPassphrase] under a
//     passphrase, [SplitUnsealKey] for a key that several people hold in shares;
//   - messages to a party's public key: [SealTo].
//
// It does no I/O, keeps no state and reads no clock. It decides nothing: who
// may open what is the business of policy and of the two books.
//
// The formats are specified in spec/seal.md; spec/vectors/seal.json holds
// vectors for other implementations. Programs call [SelfTest] at start, before
// the first key is used.
//
// Memory: Wipe overwrites the bytes of a key. The Go runtime and the
// libraries underneath make copies (key schedules, the state of a hash) that
// nobody can wipe; wiping shortens the time a key is readable in memory and
// promises no more.
package seal
