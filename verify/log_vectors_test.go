package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bonded/verify"
)

// logVectors is spec/vectors/checkpoint.json: known answers for checkpoints,
// cosignatures and proofs, made with fixed keys. UPDATE=1 writes it anew.
type logVectors struct {
	Note         string              `json:"note"`
	LogSeed      string              `json:"log_seed_hex"`
	LogVkey      string              `json:"log_vkey"`
	Policy       string              `json:"policy"`
	Cosignatures []cosignatureVector `json:"cosignatures"`
	Checkpoints  []checkpointVector  `json:"checkpoints"`
	Proofs       []proofVector       `json:"proofs"`
}

type cosignatureVector struct {
	Name    string `json:"name"`
	Seed    string `json:"seed_hex"`
	Vkey    string `json:"vkey"`
	Time    int64  `json:"time"`
	Message string `json:"message"`
	Line    string `json:"line"`
}

type checkpointVector struct {
	Name        string `json:"name"`
	Checkpoint  string `json:"checkpoint"`
	Verdict     string `json:"verdict"`
	Code        string `json:"code,omitempty"`
	WitnessTime int64  `json:"witness_time,omitempty"`
}

type proofVector struct {
	Name    string `json:"name"`
	Leaf    string `json:"leaf"`
	Proof   string `json:"proof"`
	Verdict string `json:"verdict"`
	Code    string `json:"code,omitempty"`
}

var logVectorsPath = filepath.Join("..", "spec", "vectors", "checkpoint.json")

func makeLogVectors(t *testing.T) *logVectors {
	t.Helper()
	l := newStaticLog(t, 33)
	signer, vkey := logSigner(t)
	text := checkpointText(logOrigin, 33, l.root(t, 33))
	good := string(l.files["checkpoint"])
	v := &logVectors{
		Note:    "Known answers for spec/ledger.md. The log has 33 entries, \"entry 0\" to \"entry 32\". Keys are for tests only.",
		LogSeed: hex.EncodeToString(logKey("log").Seed()), LogVkey: vkey, Policy: logPolicyText(t, 2, 3),
	}
	for name, at := range map[string]int64{"w1.example": 1000} {
		raw := string(cosigned(t, signer, text, map[string]int64{name: at}))
		v.Cosignatures = append(v.Cosignatures, cosignatureVector{
			Name: name, Seed: hex.EncodeToString(logKey(name).Seed()), Vkey: witnessVkey(t, name), Time: at,
			Message: string(verify.CosignatureMessage(text, at)), Line: raw[strings.Index(raw, "— w1.example"):],
		})
	}
	other, _ := namedLogSigner(t, logOrigin, "another log")
	three := map[string]int64{"w1.example": 100, "w2.example": 300, "w3.example": 200}
	for _, c := range []checkpointVector{
		{Name: "two of three", Checkpoint: good},
		{Name: "three of three, the second newest time counts", Checkpoint: string(cosigned(t, signer, text, three))},
		{Name: "one of three", Checkpoint: string(cosigned(t, signer, text, map[string]int64{"w1.example": 100}))},
		{Name: "an unknown witness is ignored", Checkpoint: string(cosigned(t, signer, text, map[string]int64{"w1.example": 1, "w2.example": 2, "w9.example": 3}))},
		{Name: "a witness twice", Checkpoint: twice(string(cosigned(t, signer, text, map[string]int64{"w1.example": 100})))},
		{Name: "another log key", Checkpoint: string(cosigned(t, other, text, three))},
		{Name: "another origin", Checkpoint: string(cosigned(t, signer, checkpointText("log.example/eu", 33, l.root(t, 33)), three))},
		{Name: "another size", Checkpoint: strings.Replace(good, "\n33\n", "\n34\n", 1)},
		{Name: "a size with a leading zero", Checkpoint: string(cosigned(t, signer, strings.Replace(text, "\n33\n", "\n033\n", 1), three))},
		{Name: "an extension line", Checkpoint: string(cosigned(t, signer, text+"extension\n", three))},
		{Name: "an altered cosignature", Checkpoint: strings.Replace(good, "w1.example cR03tgAAAAAAAAPo", "w1.example cR03tgAAAAAAAAPp", 1)},
	} {
		c.Verdict, c.Code, c.WitnessTime = openVector(t, c.Checkpoint, vkey, v.Policy)
		v.Checkpoints = append(v.Checkpoints, c)
	}
	first, mid, last := string(staticProof(t, l, 0, nil)), string(staticProof(t, l, 5, []byte("note"))), string(staticProof(t, l, 32, nil))
	for _, p := range []proofVector{
		{Name: "first entry", Leaf: "entry 0", Proof: first},
		{Name: "an entry with extra data", Leaf: "entry 5", Proof: mid},
		{Name: "last entry", Leaf: "entry 32", Proof: last},
		{Name: "another entry", Leaf: "entry 6", Proof: mid},
		{Name: "another index", Leaf: "entry 5", Proof: strings.Replace(mid, "index 5", "index 4", 1)},
		{Name: "an index with a leading zero", Leaf: "entry 5", Proof: strings.Replace(mid, "index 5", "index 05", 1)},
		{Name: "no checkpoint", Leaf: "entry 0", Proof: first[:strings.Index(first, "\n\n")+2]},
	} {
		p.Verdict, p.Code = proofVerdict(t, p, vkey, v.Policy)
		v.Proofs = append(v.Proofs, p)
	}
	return v
}

func twice(cp string) string {
	return cp + cp[strings.LastIndex(strings.TrimSuffix(cp, "\n"), "\n")+1:]
}

func openVector(t *testing.T, raw, vkey, policy string) (verdict, code string, at int64) {
	t.Helper()
	p, err := verify.ParseWitnessPolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	cp, err := verify.OpenCheckpoint([]byte(raw), vkey, p)
	if err != nil {
		return verify.VerdictOf(err).String(), verify.FailureOf(err).Code, 0
	}
	return verify.Holds.String(), "", cp.WitnessTime().Unix()
}

func proofVerdict(t *testing.T, v proofVector, vkey, policy string) (verdict, code string) {
	t.Helper()
	p, err := verify.ParseWitnessPolicy([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.CheckInclusion([]byte(v.Leaf), []byte(v.Proof), vkey, p); err != nil {
		return verify.VerdictOf(err).String(), verify.FailureOf(err).Code
	}
	return verify.Holds.String(), ""
}

func TestCheckpointVectors(t *testing.T) {
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(makeLogVectors(t)); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(logVectorsPath, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(logVectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("spec/vectors/checkpoint.json is not what this code makes; see with UPDATE=1 what changed")
	}
	// The stored verdicts, read from the file alone.
	var v logVectors
	if err := json.Unmarshal(got, &v); err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Checkpoints {
		if verdict, code, at := openVector(t, c.Checkpoint, v.LogVkey, v.Policy); verdict != c.Verdict || code != c.Code || at != c.WitnessTime {
			t.Errorf("%s: %s %s %d", c.Name, verdict, code, at)
		}
	}
	for _, p := range v.Proofs {
		if verdict, code := proofVerdict(t, p, v.LogVkey, v.Policy); verdict != p.Verdict || code != p.Code {
			t.Errorf("%s: %s %s", p.Name, verdict, code)
		}
	}
}

// The proofs of all entries of logs of 1 to 40 entries, in one hash: any change
// to hashing, signing or the format shows here.
func TestAccumulatedHashOfProofs(t *testing.T) {
	h := sha256.New()
	for n := int64(1); n <= 40; n++ {
		l := newStaticLog(t, n)
		for i := range n {
			h.Write(staticProof(t, l, i, nil))
		}
	}
	const want = "17c5e88ab48e2a45df074c3e8f1e26c370a910ad8f8e7fe1d2584db93bf41069"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("accumulated hash %s, want %s", got, want)
	}
}
