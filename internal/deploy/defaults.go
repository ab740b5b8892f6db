package deploy

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"bonded"
)

//go:embed schema.yaml
var defaultSchema []byte

// DefaultSchema returns the collections of a new deployment: users.
func DefaultSchema() []byte { return defaultSchema }

// Names of the principals a new deployment has.
const (
	PrincipalApp     = "app"        // an application: reads, writes, searches
	PrincipalPrivacy = "privacy"    // the privacy desk: copies, erasures, histories
	PrincipalAuditor = "auditor"    // reads the journal
	PrincipalJobs    = "vault-job"  // the vault's own background work
	PrincipalDoor    = "front-door" // what the vault does for cases
)

// People of the console, by their ids in the register. They have no keys for
// the API: what they open they open on the console's pages.
const (
	PrincipalGuardian = "guardian-1" // serves people: looks them up, reveals, copies, erases
	PrincipalReader   = "auditor-1"  // reads the journal
)

// FirstPrincipals are the principals of a new deployment. budget is the
// application's distinct subjects an hour.
func FirstPrincipals(budget uint32) []Principal {
	all := map[string][]string{"users": {"*"}}
	const year = 365 * 24 * time.Hour
	return []Principal{
		{ID: PrincipalApp, Roles: []string{"app"}, Purposes: []bonded.Purpose{"onboarding", "service", "support"}, Scope: all, Budget: budget, Valid: year},
		{ID: PrincipalPrivacy, Roles: []string{"privacy"}, Purposes: []bonded.Purpose{"subject_request"}, Scope: all, Budget: 1000, Valid: year, Erase: true, HourlyCap: 1000},
		{ID: PrincipalAuditor, Roles: []string{"auditor"}, Purposes: []bonded.Purpose{"audit"}, Scope: all, Budget: 1000, Valid: year},
		{ID: PrincipalJobs, Roles: []string{"admin-job"}, Purposes: []bonded.Purpose{"maintenance"}, Scope: all, Budget: 100_000, Valid: year, Job: true, Erase: true, HourlyCap: 1000},
		{ID: PrincipalDoor, Roles: []string{"front_door"}, Purposes: []bonded.Purpose{"front_door", "notice"}, Scope: map[string][]string{"*": {"*"}}, Budget: 10_000, Valid: year, Internal: true},
		{ID: PrincipalGuardian, Roles: []string{"app", "privacy"}, Purposes: []bonded.Purpose{"support", "subject_request"}, Scope: all, Budget: 1000, Valid: year, Internal: true, Erase: true, HourlyCap: 100},
		{ID: PrincipalReader, Roles: []string{"auditor"}, Purposes: []bonded.Purpose{"audit"}, Scope: all, Budget: 1000, Valid: year, Internal: true},
	}
}

// vaultYAML returns vault.yaml of a cell.
func vaultYAML(p *Plan, c *CellPlan) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# Vault of cell %[1]s. bonded serve reads this file strictly: an unknown key
# stops the start. docs/configuration.md explains every key.
cell: %[1]s
node: 1
listen: %[2]s
listen_tls: %[3]s
metrics: %[4]s
directory: cells.json
schema: schema.yaml
policy: policy.cedar
grants: grants.json
portal: portal/manifest.json
anchor_every: %[5]s
undo_window: %[6]s
waiting_time: %[7]s
require_proof: false
`, c.ID, c.API, c.APITLS, c.Metrics, p.AnchorEvery, p.UndoWindow, p.WaitingTime)
	if p.FrontDoor {
		b.WriteString(frontDoorYAML)
		fmt.Fprintf(&b, consoleYAML, c.ConsoleOrigin())
	}
	return []byte(b.String())
}

// consoleYAML is the section of the console.
const consoleYAML = `console:
  origin: %s
`

// frontDoorYAML is the section of a front door on one machine: slots of a
// second in place of a minute and seconds to object in place of a week, so that
// nobody waits, and notices in a folder.
const frontDoorYAML = `frontdoor:
  slot: 1s
  horizon: 10m
  package_life: 24h
  rules:
    timers: {challenge: 3s}
  notice:
    operator: Example AG
    contact:
      en: "Example AG, privacy desk, privacy@example.org. You may complain to the data protection authority of your country."
    channels:
      - outbox: {dir: outbox}
`
