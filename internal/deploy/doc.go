// Package deploy makes the folders of a whole deployment and runs its
// processes side by side: what bonded init, dev and demo and the tests use.
//
// Each party gets a folder of its own with its own keys; only public parts
// are copied between them. Real deployments run each party on its own
// machines with the same folders. Start at [Create] and [Start].
package deploy
