//go:build unix

package bondedtest_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bonded/bondedtest"
	"bonded/client"
)

// realNames are names in the scripts people write them in. search is another
// spelling that means the same to the normaliser; empty if there is none here.
var realNames = []struct{ script, name, search string }{
	{"Chinese", "习近平", ""},
	{"Chinese with 4-byte characters", "𠮷野家𪚥𡈽", ""},
	{"Cyrillic", "Владимир Ильич Ёлкин-Й", "ВЛАДИМИР ильич ёлкин-й"},
	{"Devanagari", "श्रीमती सुषमा स्वराज ज़ोहरा", ""},
	{"Tamil", "நிர்மலா சீதாராமன்", ""},
	{"IAST", "Śrī Kṛṣṇa Ānanda Ñāṇamoli", "śrī kṛṣṇa ānanda ñāṇamoli"},
	{"German", "Jürgen Groß-Weiß", "jürgen GROSS-weiss"},
	{"Portuguese", "João Conceição D’Ávila", "JOÃO conceição d’ávila"},
	{"Vietnamese, precomposed", "Nguy\u1ec5n Th\u1ecb \u00c1nh", "NGUYE\u0302\u0303N THI\u0323 A\u0301NH"},
	{"Vietnamese, combining", "Tra\u0302\u0300n Thi\u0323 Ha\u0309i", "TR\u1ea6N TH\u1eca H\u1ea2I"},
	{"Turkish", "İbrahim Işık Çağlayan", ""},
	{"Arabic", "مُحَمَّد بن سَلْمَان", ""},
	{"Hebrew", "בִּנְיָמִין נְתַנְיָהוּ", ""},
	{"emoji joined", "Zoë 👩🏽‍💻 Müller", ""},
	{"full width", "Ｔａｎａｋａ　太郎", "tanaka 太郎"},
	{"Hangul", "김정숙", ""},
	{"quotes and brackets", `O'Brien "Bob" <b>&amp;\u0041</b>` + "\t\u2028end", ""},
}

// namesSurvive writes every name as a call and through an import, and reads
// it back byte for byte in every way there is.
func namesSurvive(t *testing.T, d *bondedtest.Deployment) {
	app, desk := d.Client(bondedtest.App, "eu", "support"), d.Client(bondedtest.Privacy, "eu", "subject_request")
	find := func(t *testing.T, where, value string, want *client.Found) {
		t.Helper()
		f, err := app.Find(t.Context(), client.FindRequest{Collection: "users", Where: map[string]string{where: value}})
		if err != nil || len(f.Records) == 0 {
			t.Errorf("not found by %s: %v", where, err)
			return
		}
		if !slices.Contains(f.Records, *want) {
			t.Errorf("found somebody else by %s", where)
		}
	}
	whole := func(t *testing.T, subject *client.Found, name, search string) {
		t.Helper()
		item := client.GetItem{Subject: &subject.Subject, Record: &subject.Record, Fields: []string{"name"}}
		r, err := app.Get(t.Context(), client.GetRequest{Collection: "users", GetItem: item})
		if err != nil || text(r.Values["name"]) != name {
			t.Errorf("read %+v, %v", r, err)
		}
		find(t, "name", name, subject)
		if search != "" {
			find(t, "name", search, subject)
		}
		x, err := desk.Export(t.Context(), client.SubjectRequest{Subject: subject.Subject})
		if err != nil || len(x.Records) != 1 || text(x.Records[0].Values["name"]) != name {
			t.Errorf("exported %+v, %v", x, err)
		}
		m, err := app.Mask(t.Context(), client.GetRequest{Collection: "users", GetItem: item})
		if err != nil || text(m.Values["name"]) == name {
			t.Errorf("masked %+v, %v", m, err)
		}
		if err == nil && []rune(text(m.Values["name"]))[0] != []rune(name)[0] {
			t.Errorf("the mask %q does not keep the first character", text(m.Values["name"]))
		}
	}
	for i, n := range realNames {
		t.Run(n.script, func(t *testing.T) {
			p := create(t, app, fmt.Sprintf("name-%d", i), n.name)
			whole(t, &client.Found{Subject: p.Subject, Record: p.Record}, n.name, n.search)
		})
	}
	t.Run("imported", func(t *testing.T) {
		dir := t.TempDir()
		f, err := os.Create(filepath.Join(dir, "names.csv"))
		must(t, err)
		w := csv.NewWriter(f)
		must(t, w.Write([]string{"id", "name", "country"}))
		for i, n := range realNames {
			must(t, w.Write([]string{fmt.Sprintf("imported-%d", i), n.name, "DE"}))
		}
		w.Flush()
		must(t, w.Error())
		must(t, f.Close())
		if code, out := runImport(t, d, f.Name(), ""); code != 0 {
			t.Fatalf("import ended with %d: %s", code, out)
		}
		for i, n := range realNames {
			f, err := app.Find(t.Context(), client.FindRequest{Collection: "users", Where: map[string]string{"person_id": fmt.Sprintf("imported-%d", i)}})
			if err != nil || len(f.Records) != 1 {
				t.Errorf("%s: found %d, %v", n.script, len(f.Records), err)
				continue
			}
			whole(t, &f.Records[0], n.name, n.search)
		}
	})
}
