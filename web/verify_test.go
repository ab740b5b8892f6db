package web_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A verdict is what one of the two verifiers of a page said of one thing.
type verdict struct {
	By, What, Verdict, Code, Message, Hash string
	Time, Entries, Tiles                   int64
}

// Both verifiers of a page, the Go one as WebAssembly and the one by hand, say
// of the same vectors what spec/vectors says of them, and the same of ledgers
// that were altered.
func TestVerifiersOfAPageAgree(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is missing: the verifiers of pages are not run over the vectors (apt-get install nodejs)")
	}
	built := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../scripts/wasm", built).CombinedOutput(); err != nil {
		t.Fatalf("build the WebAssembly: %v\n%s", err, out)
	}
	vectors := filepath.Join("..", "spec", "vectors")
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "verdicts.mjs"), vectors, built)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	said := map[string]map[string]verdict{"hand": {}, "wasm": {}}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var v verdict
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		said[v.By][v.What] = v
	}

	// 1. What the vectors say.
	var log struct {
		Checkpoints []struct {
			Name, Verdict, Code string
			WitnessTime         int64 `json:"witness_time"`
		}
		Proofs []struct{ Name, Verdict, Code string }
	}
	b, err := os.ReadFile(filepath.Join(vectors, "checkpoint.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &log); err != nil {
		t.Fatal(err)
	}
	for by, m := range said {
		for _, c := range log.Checkpoints {
			if v := m["checkpoint: "+c.Name]; v.Verdict != c.Verdict || v.Code != c.Code || v.Time != c.WitnessTime {
				t.Errorf("%s, checkpoint %q: %+v, not %+v", by, c.Name, v, c)
			}
		}
		for _, c := range log.Proofs {
			if v := m["proof: "+c.Name]; v.Verdict != c.Verdict || v.Code != c.Code {
				t.Errorf("%s, proof %q: %+v, not %+v", by, c.Name, v, c)
			}
		}
	}

	// 2. What must hold, and what must not.
	for what, v := range said["wasm"] {
		altered := strings.Contains(what, "altered") || strings.Contains(what, "another subject")
		switch {
		case strings.HasPrefix(what, "checkpoint: "), strings.HasPrefix(what, "proof: "):
		case strings.Contains(what, "without"), what == "inclusion: 506":
			if v.Verdict != "cannot tell" {
				t.Errorf("%s: %+v", what, v)
			}
		case altered != (v.Verdict == "does not hold"), !altered && v.Verdict != "holds":
			t.Errorf("%s: %+v", what, v)
		}
	}

	// 3. Each other.
	if len(said["hand"]) < 45 {
		t.Errorf("the one by hand said only %d things", len(said["hand"]))
	}
	for what, h := range said["hand"] {
		w := said["wasm"][what]
		w.By, w.Message, h.Message = h.By, "", ""
		if w != h {
			t.Errorf("%s: one by hand says %+v, the WebAssembly %+v", what, h, w)
		}
	}
}
