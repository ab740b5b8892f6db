// Package remote carries frames between two parties over mutual TLS: each
// party has a small certificate authority of its own, and the other pins it,
// so that neither can pose as the other. It knows nothing of what the frames
// say; package wire does.
//
// Start at [Dial] and [Serve] for frames, at [Authority] and [Identity] for
// certificates, and at [Pin] for who is accepted.
//
// A frame is its length as 4 bytes big-endian, counting what follows, then one
// byte of kind, the request id as 8 bytes big-endian, and the payload. An
// answer repeats the kind and id of its request, or has kind 0 for an error.
package remote
