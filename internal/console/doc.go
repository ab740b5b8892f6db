// Package console is the pages of a cell for the people who run it: intake,
// counsel, guardians, auditors, registrars. They sign in with a passkey; what
// they see is what the register and the grants let them see, and what they
// decide is signed in their browser by their own key, which this process never
// has. Custodians decide elsewhere, in their own program.
//
// It decides nothing and opens nothing: it asks the front door and the vault
// as anybody else does. Start at [New]; every page is a method that answers a
// visit.
package console
