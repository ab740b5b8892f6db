// Package client is the Go SDK of Bonded: every call of the API of one cell
// ([Client]) or of all cells of a deployment ([Deployment]).
//
// Given a grant key it opens a session with the keyholder by itself and
// proves every call that opens or writes something, so that the vault cannot
// invent calls in its name. It holds every answer against the vault's signed
// batch promise, and checks receipts with package verify. It trusts the
// directory it is given and nothing else, keeps no data on disk, and retries
// only what may happen twice.
//
// Start at [New] and [NewDeployment]. Errors are [bonded.Error] with stable
// codes; docs/errors.md lists them.
package client
