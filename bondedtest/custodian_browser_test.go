//go:build unix

package bondedtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"bonded"
	"bonded/internal/apitype"
)

// custodianPage is the address of a custodian's page, once it is there.
func (o *door) custodianPage(id string) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.ctx(), patience)
	defer cancel()
	link, err := o.d.CustodianPage(ctx, o.Cell, id)
	must(o.t, err)
	return link
}

// TestE2ECustodianApprovesByClicking has a custodian read and approve a case on
// their page, which an agency has filled with what browsers would run.
func TestE2ECustodianApprovesByClicking(t *testing.T) {
	b := openTab(t, "en")
	o := openDoor(t, "firm-1")
	link := o.custodianPage("firm-1")

	// 1. A case of an agency whose names, and whose request, are hostile.
	const evil = `<img src=x onerror="window.evil=1">`
	o.agency("evil", evil+"\u202eymrah")
	o.officer("officer-evil", "evil")
	s := o.named()
	text := o.text("officer-evil", "evil", s, "")
	text = strings.Replace(text, "  necessity: ", "  necessity: <script>window.evil=1</script> ", 1)
	text = strings.Replace(text, `"LKA-2026-4711"`, `'"><svg onload=window.evil=1>'`, 1)
	id := o.file("officer-evil", text)
	o.approved(id)
	_, err := o.AwaitScope(o.ctx(), "legal-1", id)
	must(t, err)

	// 2. Nobody comes in from another page of this machine, even with the link.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><a id="in" href="%s">in</a>`, link)
	}))
	defer other.Close()
	b.expect("status of 403")
	b.open(other.URL)
	b.click("#in")
	poll(t, "the page refuses who comes from elsewhere", func() error {
		if got := b.text("body"); !strings.Contains(got, "opened by its link alone") {
			return bonded.Errorf(bonded.CodeStale, "%s", got)
		}
		return nil
	})
	res, err := http.Get(strings.TrimSuffix(link, "/")[:len("http://127.0.0.1:00000")]) //nolint:gosec,noctx // of this test
	must(t, err)
	_, _ = io.Copy(io.Discard, res.Body)
	must(t, res.Body.Close())
	if res.StatusCode != http.StatusForbidden || len(res.Cookies()) != 0 {
		t.Errorf("without the secret: %d, %v", res.StatusCode, res.Cookies())
	}

	// 3. What is shown: everything, as text.
	b.open(link)
	b.see("#cases")
	b.shoot("custodian-list")
	b.click(`#cases a`)
	b.see("#approve")
	b.shoot("custodian-case")
	if n := len(b.texts("#proofs .badge.good")); n != 9 {
		t.Errorf("%d steps hold", n)
	}
	body := b.text("body")
	for _, want := range []string{evil + "\ufffdymrah", "<script>window.evil=1</script>", `"><svg onload=window.evil=1>`, s.id, quorumField, "Local court"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not on the page\n%s", want, body)
		}
	}
	if eval[bool](b, "'evil' in window || document.cookie !== ''") {
		t.Error("something of the request ran, or the page has a cookie")
	}
	b.open(link + "case/" + id.String() + "?lang=zh-Hans")
	b.see("#approve")
	b.shoot("custodian-case-zh")

	// 4. Approved by a click, and known to the front door.
	b.click("#approve")
	poll(t, "the approval is handed in", func() error {
		if got := b.text("main"); !strings.Contains(got, "您已批准此范围") {
			return bonded.Errorf(bonded.CodeStale, "%s", got)
		}
		return nil
	})
	if v := o.view(id); !slices.ContainsFunc(v.Approvals, func(a apitype.ApprovalView) bool { return a.Custodian == "firm-1" && a.Approve }) {
		t.Errorf("approvals: %+v", v.Approvals)
	}
	b.click(`.shell > nav a[href*="status"]`)
	b.see("#book")
	b.shoot("custodian-status-zh")

	// 5. The served program computes when the others have approved.
	o.approve(id, "firm-3", "independent-2")
	o.work(id, "firm-3", "independent-2")

	// 6. Started again it says where it is now, not where it was.
	p := o.d.Process("eu/custodian-firm-1")
	must(t, p.Stop())
	must(t, p.Restart())
	again := o.custodianPage("firm-1")
	if again == link {
		t.Errorf("the page is still at %s", link)
	}
	b.open(again)
	b.see("main h1")
}
