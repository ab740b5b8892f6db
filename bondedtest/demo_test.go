package bondedtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bonded/bondedtest"
	"bonded/internal/foundation"
)

// TestE2EDemo runs the main job as make run does, and again on the real file
// if BONDED_OFFICEHOLDERS names it.
func TestE2EDemo(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"synthetic sample": {nil, []string{"people in cn                                   100", "people in eu                                   600"}},
		"real officeholders": {[]string{"--input", os.Getenv("BONDED_OFFICEHOLDERS")}, []string{
			"people in cn                                   2956", "people in eu                                   3514",
			"by rule ru-localise, which allows no other home 450", "second record of the same person 32",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.args != nil && c.args[1] == "" {
				t.Skip("BONDED_OFFICEHOLDERS does not name the file of officeholders, which is not part of this repository")
			}
			args := append([]string{"demo", "--exit"}, c.args...)
			out, err := exec.Command(filepath.Join(bondedtest.Binaries(t), "bonded"), args...).CombinedOutput()
			if err != nil {
				t.Fatalf("bonded demo: %v\n%s", err, out)
			}
			for _, want := range append(c.want,
				"0 plaintext hits at rest", "refused: forbidden, by builtin-location", "one person erased",
				"old copy of the vault put back: it refuses", "old copy of the keyholder put back: it refuses",
				"receipt holds", "ledger holds", "reconciliation holds", "0 key releases without an entry",
			) {
				if !strings.Contains(string(out), want) {
					t.Errorf("the story does not say %q", want)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

// TestE2EReadme runs the commands of the README's five minutes as printed, but
// for the folder, the port and where the programs are.
func TestE2EReadme(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: apt-get install %s", tool, tool)
		}
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "In another terminal:\n\n```sh\n")
	script, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("the README has no commands for another terminal")
	}
	d := bondedtest.Start(t, bondedtest.OneCell(), bondedtest.FrontDoor())
	if err := foundation.New(d.Deployment, bondedtest.Binaries(t), "eu").Found(t.Context()); err != nil {
		t.Fatal(err)
	}
	cell, _ := d.Directory.Cell("eu")
	tmp := t.TempDir()
	script = strings.NewReplacer(
		"http://localhost:7444", cell.API, "localhost:7444", cell.API, "/tmp/bonded-dev", d.Layout.Dir,
		"/tmp/", tmp+"/", "bin/", bondedtest.Binaries(t)+"/",
	).Replace(script)
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), "BONDED_DIR="+d.Layout.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the README's commands: %v\n%s", err, out)
	}
	for _, want := range []string{"sub_eu_", "kaethe@example.org", "receipt holds", "ledger holds"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the commands do not print %q:\n%s", want, out)
		}
	}
}
