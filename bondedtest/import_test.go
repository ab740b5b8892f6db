//go:build unix

package bondedtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bonded"
	"bonded/bondedtest"
	"bonded/client"
)

const importMap = `collection: users
purpose: onboarding
reason: test import
id: id
fields: {person_id: id, name: name}
facts:
  residence: {column: country}
  citizenship: {column: country}
  collected: {column: country}
`

// importArgs returns the command that imports a file; its state and rejects
// stand beside it unless named.
func importArgs(t testing.TB, d *bondedtest.Deployment, file, state string) []string {
	t.Helper()
	m := filepath.Join(t.TempDir(), "map.yaml")
	must(t, os.WriteFile(m, []byte(importMap), 0o600))
	args := []string{"import", "users", file, "--map", m, "--dir", d.Layout.Dir}
	if state != "" {
		args = append(args, "--state", state)
	}
	return args
}

func runImport(t testing.TB, d *bondedtest.Deployment, file, state string) (code int, out string) {
	t.Helper()
	return program(t, "bonded", append([]string{"-o", "json"}, importArgs(t, d, file, state)...)...)
}

type importSummary struct {
	Rows, Repeated, Resumed int
	People                  map[bonded.CellID]int
	Rejected                map[bonded.Code]int
}

func summary(t testing.TB, out string) importSummary {
	t.Helper()
	var s importSummary
	if err := json.NewDecoder(strings.NewReader(out[max(0, strings.Index(out, "{")):])).Decode(&s); err != nil {
		t.Fatalf("not a summary: %v: %s", err, out)
	}
	return s
}

func count(t testing.TB, d *bondedtest.Deployment) *client.CountResult {
	t.Helper()
	n, err := d.Client(bondedtest.App, "eu", "service").Count(t.Context(), client.CountRequest{Collection: "users"})
	must(t, err)
	return n
}

// importGoesOn kills an import and runs it again: everybody is there once.
// Some rows repeat a person, some are bad: the reject file names each by
// line, column and code, and nobody's data.
func importGoesOn(t *testing.T, d *bondedtest.Deployment) {
	const people, repeats = 2500, 20
	var csv bytes.Buffer
	csv.WriteString("id,name,country\n")
	for i := range people {
		fmt.Fprintf(&csv, "long-%d,Langer Name %d,DE\n", i, i)
	}
	for i := range repeats {
		fmt.Fprintf(&csv, "long-%d,Zweiter Name %d,DE\n", i*7, i)
	}
	bad := 2 + people + repeats                  // line of the first bad row
	csv.WriteString("\"Geheim\"x,Geheimer,DE\n") // stray quote in the first column
	csv.WriteString("secret-1,Geheimer\n")       // too few columns
	csv.WriteString(",Geheimer,DE\n")            // no id
	csv.WriteString("secret-2,Geheim\xff\xfe,DE\n")
	csv.WriteString("secret-3,Geheimer,Germany\n") // not a country
	csv.WriteString("secret-4,Geheimer,RU\n")      // no cell may have them
	csv.WriteString("secret-5," + strings.Repeat("Geheim", 11000) + ",DE\n")
	file := filepath.Join(t.TempDir(), "long.csv")
	must(t, os.WriteFile(file, csv.Bytes(), 0o600))
	state := file + ".import-state"
	before := count(t, d)

	// 1. Killed twice, each time when some batches more are in.
	for n := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, filepath.Join(bondedtest.Binaries(t), "bonded"), importArgs(t, d, file, "")...)
		must(t, cmd.Start())
		poll(t, "some batches", func() error {
			b, err := os.ReadFile(state)
			if lines := bytes.Count(b, []byte("\n")); err == nil && lines < 4*(n+1) {
				err = fmt.Errorf("%d lines of state", lines)
			}
			return err
		})
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		cancel()
	}
	if n := count(t, d); n.Subjects-before.Subjects >= people {
		t.Log("the import had ended before it was killed") // the rest still holds
	}

	// 2. Run to its end, and once more for nothing.
	code, out := runImport(t, d, file, "")
	s := summary(t, out)
	if code != 0 || s.People["eu"] != people || s.Repeated != repeats || s.Resumed == 0 {
		t.Errorf("the import went on with %d: %+v", code, s)
	}
	n := count(t, d)
	if got := n.Subjects - before.Subjects; got != people {
		t.Errorf("the cell has %d of %d people", got, people)
	}
	if got := n.Records - before.Records; got != people+repeats {
		t.Errorf("the cell has %d of %d records", got, people+repeats)
	}
	code, out = runImport(t, d, file, "")
	if again := summary(t, out); code != 0 || again.Resumed != people+repeats || count(t, d).Records != n.Records {
		t.Errorf("the import again ended with %d: %+v", code, again)
	}

	// 3. What get shows of a person is what put needs to change the record.
	app := d.Client(bondedtest.App, "eu", "service")
	f, err := app.Find(t.Context(), client.FindRequest{Collection: "users", Where: map[string]string{"person_id": "long-1"}})
	if err != nil || len(f.Records) != 1 {
		t.Fatalf("long-1 is found as %+v, %v", f, err)
	}
	who := []string{"--dir", d.Layout.Dir, "--purpose", "service"}
	code, out = program(t, "bonded", append([]string{"get", "users", f.Records[0].Subject.String(), "name"}, who...)...)
	shown := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(line, " ")
		shown[name] = strings.TrimSpace(value)
	}
	if code != 0 || shown["subject"] != f.Records[0].Subject.String() || shown["record"] != f.Records[0].Record.String() || shown["version"] != "1" {
		t.Errorf("get ended with %d: %s", code, out)
	}
	put := append([]string{"put", "users", "name=Kurzer Name", "--subject", shown["subject"], "--record", shown["record"], "--partial"}, who...)
	if code, out = program(t, "bonded", put...); code != 0 || count(t, d).Records != n.Records {
		t.Errorf("put of a part ended with %d: %s", code, out)
	}

	// 4. The reject file.
	b, err := os.ReadFile(file + ".rejects.csv")
	must(t, err)
	for i, want := range []string{
		fmt.Sprintf("%d,,invalid,", bad), fmt.Sprintf("%d,,invalid,", bad+1), fmt.Sprintf("%d,id,invalid,", bad+2), fmt.Sprintf("%d,name,invalid_utf8,", bad+3),
		fmt.Sprintf("%d,", bad+4), fmt.Sprintf("%d,,no_cell,", bad+5), fmt.Sprintf("%d,name,too_large,", bad+6),
	} {
		if !strings.Contains(string(b), "\n"+want) {
			t.Errorf("bad row %d is not reported as %q in:\n%s", i, want, b)
		}
	}
	if bytes.Contains(b, []byte("Geheim")) || bytes.Contains(b, []byte("secret-")) || bytes.Contains(b, []byte("Germany")) {
		t.Errorf("the reject file quotes values:\n%s", b)
	}
	if s.Rejected["no_cell"] != 1 || s.Rejected["invalid_utf8"] != 1 || s.Rejected["too_large"] != 1 {
		t.Errorf("rejected %+v", s.Rejected)
	}

	// 5. Another file under the same state is not taken for this one.
	must(t, os.WriteFile(file, bytes.Replace(csv.Bytes(), []byte("Langer Name 5,"), []byte("Anderer Name 5,"), 1), 0o600))
	if code, out = runImport(t, d, file, ""); code == 0 || !strings.Contains(out, "not the one this import began with") {
		t.Errorf("a changed file ended with %d: %s", code, out)
	}
	if got := count(t, d); got.Records != n.Records {
		t.Errorf("a changed file wrote %d records", got.Records-n.Records)
	}

	// 6. A field that the cell does not have is said once, and no state stays.
	m := filepath.Join(t.TempDir(), "typo.yaml")
	must(t, os.WriteFile(m, []byte(strings.Replace(importMap, "name: name", "nome: name", 1)), 0o600))
	typo := []string{"import", "users", file, "--map", m, "--dir", d.Layout.Dir, "--state"}
	if code, out = program(t, "bonded", append(typo, state)...); code != 6 || !strings.Contains(out, "the map is not the one") {
		t.Errorf("a changed map ended with %d: %s", code, out)
	}
	code, out = program(t, "bonded", append(typo, state+"2")...)
	if code != 2 || !strings.Contains(out, "fields.nome: collection users has no such field [unknown_field]") || strings.Contains(out, "people in") || strings.Contains(out, "rows") {
		t.Errorf("a map with an unknown field ended with %d: %s", code, out)
	}
	if _, err := os.Stat(state + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("state of an import that stored nothing: %v", err)
	}
	if got := count(t, d); got.Records != n.Records {
		t.Errorf("a map with an unknown field wrote %d records", got.Records-n.Records)
	}
}

// TestE2EOfficeholders imports the file that BONDED_OFFICEHOLDERS names.
func TestE2EOfficeholders(t *testing.T) {
	file := os.Getenv("BONDED_OFFICEHOLDERS")
	if file == "" {
		t.Skip("BONDED_OFFICEHOLDERS names no file; the synthetic imports have run")
	}
	d := bondedtest.Start(t)
	m := filepath.Join("..", "internal", "demo", "map.yaml")
	state := filepath.Join(t.TempDir(), "state")
	code, out := program(t, "bonded", "-o", "json", "import", "users", file, "--map", m, "--dir", d.Layout.Dir, "--state", state, "--rejects", state+".csv")
	s := summary(t, out)
	if code != 0 || s.People["cn"] != 2956 || s.People["eu"] != 3514 || s.Rejected[bonded.CodeNoCell] != 450 || s.Repeated != 32 {
		t.Errorf("the import ended with %d: %+v", code, s)
	}
	wantBooksHold(t, d, "")
}
