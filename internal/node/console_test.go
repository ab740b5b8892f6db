//go:build unix

package node_test

import (
	"os"
	"path/filepath"
	"testing"

	"bonded"
	"bonded/internal/node"
)

const vaultYAML = `cell: eu
node: 1
listen: 127.0.0.1:7444
directory: cells.json
schema: schema.yaml
policy: policy.cedar
grants: grants.json
undo_window: 0s
require_proof: false
`

func TestConsoleNeedsAnOriginThatPasskeysTake(t *testing.T) {
	const door = "frontdoor:\n  notice:\n    operator: Example AG\n    contact: {en: privacy@example.org}\n    channels:\n      - outbox: {dir: outbox}\n"
	for text, ok := range map[string]bool{
		door + "console:\n  origin: http://localhost:7444\n":           true,
		door + "console:\n  origin: https://console.example.org\n":     true,
		door + "console:\n  origin: https://console.example.org/x\n":   false,
		door + "console:\n  origin: https://console.example.org/\n":    false,
		door + "console:\n  origin: http://console.example.org\n":      false,
		door + "console:\n  origin: http://127.0.0.1:7444\n":           false,
		door + "console:\n  origin: javascript:alert(1)\n":             false,
		door + "console:\n  origin: https://u:p@console.example.org\n": false,
		door + "console: {}\n":                        false,
		"console:\n  origin: http://localhost:7444\n": false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "vault.yaml"), []byte(vaultYAML+text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := node.LoadVaultConfig(dir)
		if ok != (err == nil) || err != nil && bonded.CodeOf(err) != bonded.CodeConfig {
			t.Errorf("%s: %v", text, err)
		}
	}
}
