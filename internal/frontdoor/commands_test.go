//go:build unix

package frontdoor_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bonded"
	"bonded/internal/api"
	"bonded/internal/cli"
	"bonded/internal/frontdoor/rules"
	"bonded/internal/quorum"
	"bonded/internal/seal"
	"bonded/verify"
)

// worldOfToday is a world whose clock begins at the machine's time, by which the
// commands sign.
func worldOfToday(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), clock: new(clock), dir: t.TempDir(), key: seal.NewKey()}
	w.clock.at.Store(time.Now().Unix() / 60 * 60)
	w.openLedger()
	w.records = newRecords(w)
	var err error
	w.rules, err = rules.Shipped()
	w.must(err)
	w.openDoor()
	return w
}

// TestCommandsLeadACase runs what people of a cell type, against a front door.
func TestCommandsLeadACase(t *testing.T) {
	w := worldOfToday(t)
	dir := t.TempDir()
	t.Chdir(dir)
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		_ = os.MkdirAll(filepath.Dir(p), 0o700)
		w.must(os.WriteFile(p, []byte(text), 0o600))
		return p
	}
	d := &verify.Directory{
		Format: verify.DirectoryFormat, Version: 1, Issued: "2026-11-01T00:00:00Z", Admin: verify.EncodePublicKey(public("admin")), Default: "eu",
		Cells: []verify.DirectoryCell{{
			ID: "eu", Jurisdictions: []bonded.Jurisdiction{"DE"}, Suite: "aes-256-gcm", LedgerKey: w.vkey, WitnessPolicy: w.policy,
			PromiseKey: verify.EncodePublicKey(public("promise")), KeyholderKey: verify.EncodePublicKey(public("kh")),
		}},
	}
	a, err := api.New(api.Config{Service: struct{ api.Service }{}, Cases: w.door, Cell: "eu", Directory: d.Encode()})
	w.must(err)
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	d.Cells[0].API = srv.URL
	b := d.Encode()
	file("cells.json", string(b))
	file("cells.json.sig", string(verify.SignDirectory(testKey("admin"), b)))
	file("admin/admin.key", string(testKey("admin").Seed()))
	shows := func(out string, want ...string) {
		t.Helper()
		for _, s := range want {
			if !strings.Contains(out, s) {
				t.Errorf("%q is not in\n%s", s, out)
			}
		}
	}
	run := func(want int, line string) string {
		t.Helper()
		var out, errs bytes.Buffer
		var args []string
		for f := range strings.FieldsSeq(line) {
			args = append(args, strings.ReplaceAll(f, "~", " "))
		}
		code := cli.Run(args, strings.NewReader(""), &out, &errs)
		if code != want {
			t.Fatalf("bonded %s: exit %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
		}
		return out.String() + errs.String()
	}
	member := func(id string) string {
		tk, err := quorum.NewTransportKey()
		w.must(err)
		tp := tk.Public()
		m, _ := json.Marshal(map[string]string{"id": id, "organisation": "X", "cell": "eu", "approval_key": verify.EncodePublicKey(public("c" + id)), "transport_key": base64.StdEncoding.EncodeToString(tp[:])})
		return file(id+".json", string(m))
	}
	// 1. A ceremony is ordered, and the custodians are verified.
	shows(run(0, "custodians show"), "no custodians yet")
	out := run(0, "-o json custodians ceremony start --admin admin/admin.key --member firm="+member("f1")+" --member firm="+member("f2")+" --threshold firm=2 --member independent="+member("i1")+" --threshold independent=1")
	var cv struct{ Ceremony string }
	w.must(json.Unmarshal([]byte(out), &cv))
	shows(run(0, "custodians ceremony status --admin admin/admin.key "+cv.Ceremony), "running", "member firm/1 (f1)")
	w.ceremony(quorum.KindDKG, "")
	shows(run(0, "custodians ceremony status --admin admin/admin.key "+cv.Ceremony), "another ceremony was certified first")
	shows(run(0, "custodians show"), "2 of 3", "independent-1", "verified here")

	// 2. People and the agency are registered, and come into force.
	for _, p := range []string{"intake-1 intake", "legal-1 legal", "legal-2 legal", "registrar-1 registrar"} {
		f := strings.Fields(p)
		run(0, "register keygen "+f[0]+" --cell eu")
		file(f[0]+".yaml", fmt.Sprintf("id: %s\nrole: %s\norganisation: Example Ltd\nname: Somebody\nnot_before: 2026-11-01T00:00:00Z\nnot_after: 2028-01-01T00:00:00Z\n", f[0], f[1]))
		run(0, "register person "+f[0]+".yaml --key-of keys/"+f[0]+".public.json --admin admin/admin.key")
	}
	file("bka.yaml", "id: bka-cyber\nname: BKA\ncountry: DE\nlevel: national\nkind: police\npowers: [eu_epoc]\ndirectory_source: bka.de\nswitchboard: +49 611 55-0\nverified_at: 2026-11-27T10:00:00Z\ntrust: verified\n")
	run(0, "register agency bka.yaml --admin admin/admin.key")
	run(0, "request keygen officer/ --no-passphrase")
	file("officer-7.yaml", "id: officer-7\nrole: requester\nagency: bka-cyber\nlevel: 3\nphone: +49 611 55-4711\norganisation: BKA\nname: B. Beispiel\nnot_before: 2026-11-01T00:00:00Z\nnot_after: 2028-01-01T00:00:00Z\n")
	run(0, "register person officer-7.yaml --key-of officer/officer.json --admin admin/admin.key")
	list, err := w.door.Register(w.ctx, w.call("admin"))
	w.must(err)
	for _, e := range list.Entries {
		label := verify.LabelPerson
		if e.Kind == "agency" {
			label = verify.LabelAgency
		}
		w.must(w.confirm(e.Kind, label, e.ID, e.Version, e.Statement, w.custodians[3].id))
	}
	w.hireCustodians()
	w.settleRegister()
	run(0, "register list --admin admin/admin.key")
	// 3. An officer files a request.
	ada(w)
	file("order.pdf", string(instrument))
	tpl := run(0, "request file --template")
	now := time.Now().UTC()
	for old, neu := range map[string]string{
		"<officer-7>": "officer-7", "<bka-cyber>": "bka-cyber", "<BKA-2026-4711>": "BKA-1", "<6 Gs 12/26>": "6 Gs", "<Richterin am Amtsgericht Beispiel>": "RiAG", "<ada@example.org>": "ada@example.org",
		"2026-11-20T00:00:00Z": now.AddDate(0, 0, -1).Format(time.RFC3339), "2027-02-20T00:00:00Z": now.AddDate(0, 2, 0).Format(time.RFC3339), "fields_wanted: [name, phone]": "fields_wanted: [name, passport]",
		"Why this data and why not less: one sentence for each task at least.": "Because ada@example.org wrote the threat and nothing less tells who it is.", "  # offence:": "  offence:", "  #   category": "    category", "  #   provision": "    provision", "  #   max_pen": "    max_pen",
	} {
		tpl = strings.ReplaceAll(tpl, old, neu)
	}
	file("request.yaml", tpl)
	out = run(0, "-o json request file request.yaml --key officer/officer.key")
	var cr struct{ Case string }
	w.must(json.Unmarshal([]byte(out), &cr))
	w.tick()
	k := func(p string) string { return " " + cr.Case + " --person keys/" + p + ".person.json" }
	as := func(p string) string { return " --person keys/" + p + ".person.json" }

	// 4. Intake and legal act; nobody sees whom it is about unless they ask.
	shows(run(0, "case list"+as("intake-1")), "submitted", "take")
	shows(run(0, "case list --state pending"+as("legal-2")), "nothing found")
	if out := run(0, "case show"+k("intake-1")) + run(0, "-o json case show"+k("intake-1")); strings.Contains(out, "ada@example.org") || !strings.Contains(out, "[target]") {
		t.Errorf("shown:\n%s", out)
	}
	shows(run(0, "case take"+k("intake-1")), "submitted → verifying")
	w.tick()
	shows(run(0, "case forward"+k("intake-1")), "→ under_review")
	shows(run(0, "case list --state pending"+as("legal-2")), cr.Case)
	shows(run(2, "case narrow --task 0 --fields nam"+k("legal-1")), "did you mean name?")
	shows(run(0, "case narrow --task 0 --fields name --reason less"+k("legal-1")), "under_review → narrowed")
	run(0, "request accept "+cr.Case+" --key officer/officer.key --as officer-7")
	shows(run(0, "case show --reveal"+k("legal-2")), "fields name,", "email ada@example.org", "you may")
	shows(run(4, "case approve"+k("legal-1")), "whoever drafted a narrowing does not approve it")
	shows(run(0, "case approve"+k("legal-2")), "left to do")
	shows(run(0, "case show"+k("legal-1")), "first approval by", "legal-2")
	run(0, "case document "+cr.Case+" "+sum(instrument)+" -f got.pdf"+as("legal-2"))
	if got, err := os.ReadFile("got.pdf"); err != nil || !bytes.Equal(got, instrument) {
		t.Errorf("the document came as %q, %v", got, err)
	}

	// 5. Another key than the registered one decides nothing; a registrar
	// suspends at once.
	run(0, "register keygen legal-1 --cell eu -f other.json")
	run(3, "case reject --code wrong_authority "+cr.Case+" --person other.json")
	shows(run(0, "case reject --code wrong_authority --reason no"+k("legal-1")), "→ rejected")
	shows(run(0, "register suspend agency bka-cyber --reason forged"+as("registrar-1")), "suspended")
	shows(run(0, "register list --state suspended"+as("registrar-1")), "bka-cyber")
}
