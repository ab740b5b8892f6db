//go:build unix

package bondedtest_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/deploy"
)

// consolePatience is what one thing in a browser may take.
const consolePatience = 30 * time.Second

// A browser is somebody's, with an authenticator of their own.
type browser struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // of the browser
	origin string
}

// chromium starts a browser with a passkey authenticator that says yes.
func chromium(t *testing.T, origin string) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium on this machine")
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.WindowSize(1280, 900))
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, origin: origin}
	b.begin()
	b.authenticator("internal")
	return b
}

// beside returns somebody else's, in a window that shares nothing with this one
// but the program.
func (b *browser) beside() *browser {
	b.t.Helper()
	n := b.bare()
	n.authenticator("internal")
	return n
}

// bare is such a window without an authenticator.
func (b *browser) bare() *browser {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	b.t.Cleanup(cancel)
	n := &browser{t: b.t, ctx: ctx, origin: b.origin}
	n.begin()
	return n
}

// begin opens the window, which takes authenticators then and believes that it
// is in front.
func (b *browser) begin() {
	b.t.Helper()
	must(b.t, chromedp.Do(b.ctx, chromedp.Navigate("about:blank")))
	_, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{})
	must(b.t, err)
	_, err = chromedp.Call(b.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	must(b.t, err)
}

// authenticator adds one that says yes, and returns what removes it.
func (b *browser) authenticator(transport webauthn.AuthenticatorTransport) func() {
	return b.authenticates(transport, true)
}

// authenticates adds one with or without the extension PRF.
func (b *browser) authenticates(transport webauthn.AuthenticatorTransport, prf bool) func() {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Ctap2version: "ctap2_1", Transport: transport, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, HasPrf: prf, AutomaticPresenceSimulation: true,
	}})
	must(b.t, err)
	return func() {
		_, err := chromedp.Call(b.ctx, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams(r))
		must(b.t, err)
	}
}

// do runs actions in turn, each within a while.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, consolePatience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v\nthe page says:\n%s", what, err, b.words())
	}
}

func (b *browser) words() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return s
}

func (b *browser) visit(path string) {
	b.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.origin + path
	}
	b.do("visit "+path, chromedp.Navigate(path))
}

func (b *browser) text(css string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, consolePatience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(css)))
	if err != nil {
		b.t.Fatalf("%s: %v\nthe page says:\n%s", css, err, b.words())
	}
	return s
}

// shot keeps pictures of the page.
func (b *browser) shot(name string) {
	b.t.Helper()
	(&tab{t: b.t, ctx: b.ctx}).picture("console-" + name)
}

// invite makes a link for somebody to enrol.
func (o *door) invite(person string) string {
	o.t.Helper()
	var v apitype.ConsoleInvited
	must(o.t, json.Unmarshal([]byte(o.bonded("console", "invite", "--person-id", person, "--admin", filepath.Join(o.d.Layout.Admin(), "admin.key"), "-o", "json")), &v))
	return v.Link
}

func (o *door) origin() string {
	o.t.Helper()
	c, ok := o.d.Directory.Cell(o.Cell)
	if !ok {
		o.t.Fatal("no cell")
	}
	p := deploy.CellPlan{API: strings.TrimPrefix(c.API, "http://")}
	return p.ConsoleOrigin()
}

// enrol has somebody of the register enrol with their key file, and sign in.
func (o *door) enrol(person string) *browser {
	o.t.Helper()
	b := chromium(o.t, o.origin())
	o.enrolIn(b, person)
	return b
}

// enrolIn has them do it in a window.
func (o *door) enrolIn(b *browser, person string) {
	o.t.Helper()
	b.visit(o.invite(person))
	b.shot("enrol-" + person)
	b.do("enrol",
		chromedp.SetUploadFiles(chromedp.CSS("#key-file"), []string{o.d.Layout.Person(o.Cell, person)}),
		chromedp.SendKeys(chromedp.CSS("#passkey-name"), "Laptop"),
		chromedp.Click(chromedp.CSS("#enrol button[type=submit]:enabled")),
		chromedp.WaitVisible(chromedp.CSS("#enrolled [data-state=ready]")))
	b.shot("enrolled-" + person)
	b.signIn()
}

func (b *browser) signIn() {
	b.t.Helper()
	b.visit("/console/sign-in?next=/console/settings")
	b.do("sign in", chromedp.Click(chromedp.CSS("#sign-in button[type=submit]:enabled")), chromedp.WaitVisible(chromedp.CSS("#own-key")))
}

// decide acts on a case by clicking. Fill completes the form.
func (b *browser) decide(id bonded.CaseID, action string, fill ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.visit("/console/cases/" + id.String())
	form := "#act-" + action
	b.do("open "+action, chromedp.Click(chromedp.CSS(form+" > summary")))
	b.do("fill "+action, fill...)
	b.do("draft "+action, chromedp.Click(chromedp.CSS(form+" button[type=submit]:enabled")), chromedp.WaitVisible(chromedp.CSS("#confirm-sign")))
	b.shot("confirm-" + action)
	b.do("sign "+action, chromedp.Click(chromedp.CSS("#confirm-sign")), chromedp.WaitVisible(chromedp.CSS(".notice.good")))
}

// TestE2EConsole decides a case by clicking: people enrol, sign in, and sign
// decisions by keys that only their passkeys open. Then others try.
func TestE2EConsole(t *testing.T) {
	o := openDoor(t)
	id := o.file(doorOfficer, o.text(doorOfficer, doorAgency, o.named(), ""))
	intake, legal, auditor := o.enrol("intake-1"), o.enrol("legal-1"), o.enrol("auditor-1")
	t.Run("a case is decided by clicking", func(t *testing.T) { o.on(t).clicked(intake.on(t), legal.on(t), id) })
	t.Run("a court's order is put on file", func(t *testing.T) { o.on(t).ruled(legal.on(t)) })
	t.Run("another passkey holds the same key", func(t *testing.T) { anotherPasskey(o.on(t), legal.on(t)) })
	t.Run("a new key awaits the register", func(t *testing.T) { newKey(o.on(t)) })
	t.Run("links work once", func(t *testing.T) { usedLink(o.on(t)) })
	t.Run("pages stand alone", func(t *testing.T) { headers(o.on(t), legal.on(t)) })
	t.Run("forms of others are refused", func(t *testing.T) { forgery(o.on(t), legal.on(t)) })
	t.Run("sessions are not guessed, chosen or kept", func(t *testing.T) { sessions(o.on(t), intake.on(t)) })
	t.Run("nothing leads elsewhere", func(t *testing.T) { redirects(o.on(t)) })
	t.Run("decisions are not exchanged", func(t *testing.T) { exchanged(o.on(t), legal.on(t), id) })
	t.Run("cases are for those who may know", func(t *testing.T) { strangers(o.on(t), auditor.on(t), id) })
	t.Run("whoever is suspended is out at once", func(t *testing.T) { suspended(o.on(t), intake.on(t)) })
	t.Run("an identity provider lets people read", func(t *testing.T) { provider(o.on(t), id) })
	t.Run("passkeys of others sign nobody in", func(t *testing.T) { wrongPasskeys(o.on(t), legal.on(t)) })
	t.Run("nobody tries codes", func(t *testing.T) { guessing(o.on(t)) })
	t.Run("what was refused is entered", func(t *testing.T) { refusalsEntered(o.on(t), auditor.on(t)) })
}

// on returns the browser for a subtest.
func (b *browser) on(t *testing.T) *browser {
	c := *b
	c.t = t
	return &c
}

// clicked leads a case from its filing to a narrower scope.
func (o *door) clicked(intake, legal *browser, id bonded.CaseID) {
	intake.shot("settings")
	intake.visit("/console/cases")
	intake.shot("cases")
	intake.decide(id, "take")
	intake.decide(id, "forward", chromedp.SendKeys(chromedp.CSS("#reason-forward"), "agency and officer are known"))
	legal.visit("/console/cases/" + id.String() + "?reveal=1")
	legal.shot("case")
	legal.visit("/console/cases/" + id.String() + "?lang=zh-Hans")
	legal.shot("case-zh")
	legal.visit("/console/settings?lang=en")
	legal.decide(id, "narrow", chromedp.Click(chromedp.CSS("#act-narrow input[name=fields_0][value=phone]")),
		chromedp.SendKeys(chromedp.CSS("#reason-narrow"), "the telephone number is not needed"))
	legal.shot("case-narrowed")
	v := o.view(id)
	if v.State != "narrowed" || len(v.Tasks[0].FieldsWanted) != 2 {
		o.t.Fatalf("the case is %s, fields %v", v.State, v.Tasks[0].FieldsWanted)
	}
}

// ruled brings a case before a court by clicking, and enters its order, which
// is uploaded.
func (o *door) ruled(legal *browser) {
	id := o.file(doorOfficer, o.text(doorOfficer, doorAgency, o.named(), ""))
	o.approved(id)
	_, err := o.Await(o.ctx(), "legal-1", id, "challenge_window")
	must(o.t, err)
	legal.decide(id, "challenge", chromedp.SendKeys(chromedp.CSS("#reason-challenge"), "the law does not cover the class"))
	order := filepath.Join(o.dir, "ruling.txt")
	must(o.t, os.WriteFile(order, []byte("The court has decided: it does\n"), 0o600))
	legal.decide(id, "rule",
		chromedp.SetUploadFiles(chromedp.CSS("#document-rule"), []string{order}),
		chromedp.Click(chromedp.CSS("#act-rule input[name=answer][value=end]")),
		chromedp.SetValue(chromedp.CSS("#code-rule"), "no_legal_basis"))
	legal.shot("case-ruled")
	v := o.view(id)
	if v.State != "rejected" || v.RejectCode != "no_legal_basis" || len(v.Documents) != 2 {
		o.t.Fatalf("the case is %s, %s, with %d documents", v.State, v.RejectCode, len(v.Documents))
	}
}
