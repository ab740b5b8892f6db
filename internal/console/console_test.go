package console_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"bonded"
	"bonded/internal/console"
	"bonded/internal/sqldb"
)

func TestNextPageStaysInTheConsole(t *testing.T) {
	for in, want := range map[string]string{
		"/console/cases":                     "/console/cases",
		"/console/cases?state=mine&after=7":  "/console/cases?state=mine&after=7",
		"":                                   "/console/",
		"/":                                  "/console/",
		"/v1/status":                         "/console/",
		"//evil.example/console/":            "/console/",
		"https://evil.example/console/":      "/console/",
		"javascript:alert(1)":                "/console/",
		"/console/../v1/status":              "/console/",
		"/console/%2e%2e/%2e%2e/evil":        "/console/",
		"/console/\\evil.example":            "/console/",
		"/console/\r\nSet-Cookie: x=y":       "/console/",
		"/\\evil.example/console/":           "/console/",
		"\t//evil.example":                   "/console/",
		"/consoleevil":                       "/console/",
		"/console/sign-in?next=//evil.exam/": "/console/sign-in?next=//evil.exam/", // which looks at its own next again
	} {
		if got := console.NextPage(in); got != want {
			t.Errorf("%q leads to %q, want %q", in, got, want)
		}
	}
}

func TestFileNamesAreHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"order.pdf": "order.pdf", "../../etc/passwd": "_.._etc_passwd", `C:\x.exe`: "C__x.exe", "a\nb": "a_b", "": "document", "..": "document",
		"invoice\u202efdp.exe": "invoicefdp.exe", "裁定书.pdf": "裁定书.pdf", `"><script>.txt`: "___script_.txt",
	} {
		if got := console.FileName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestSessionsEndByTheClock(t *testing.T) {
	for _, x := range []struct {
		age, idle time.Duration
		over      bool
	}{
		{0, 0, false},
		{29 * time.Minute, 29 * time.Minute, false},
		{time.Hour, 30 * time.Minute, true},
		{12*time.Hour - time.Second, 0, false},
		{12 * time.Hour, 0, true},
	} {
		if got := console.SessionOver(x.age, x.idle); got != x.over {
			t.Errorf("a session of %s, idle for %s, over: %v", x.age, x.idle, got)
		}
	}
}

func TestLimitsAreByAddress(t *testing.T) {
	now := time.Now()
	may := console.Limits(3, time.Minute)
	for i := range 3 {
		if !may("192.0.2.1", now) {
			t.Fatalf("attempt %d is refused", i)
		}
	}
	if may("192.0.2.1", now) {
		t.Error("there is no limit")
	}
	if !may("192.0.2.2", now) {
		t.Error("another address is refused")
	}
	if !may("192.0.2.1", now.Add(time.Minute)) {
		t.Error("it never ends")
	}
}

func TestCeremoniesEndOnceInTheirSession(t *testing.T) {
	now := time.Now()
	c := console.NewCeremonies()
	mine, other := [32]byte{1}, [32]byte{2}
	name := c.Begin("decide", mine, 7, now)
	for what, try := range map[string]func() error{
		"another session": func() error { _, err := c.End("decide", name, other, now); return err },
		"nobody's":        func() error { _, err := c.End("decide", name, [32]byte{}, now); return err },
		"another kind":    func() error { _, err := c.End("enrol", name, mine, now); return err },
		"too late":        func() error { _, err := c.End("decide", name, mine, now.Add(6*time.Minute)); return err },
		"another name":    func() error { _, err := c.End("decide", name+"x", mine, now); return err },
	} {
		if bonded.CodeOf(try()) != bonded.CodeConflict {
			t.Errorf("%s: not refused", what)
		}
	}
	if v, err := c.End("decide", name, mine, now); err != nil || v != 7 {
		t.Fatalf("%v, %v", v, err)
	}
	if _, err := c.End("decide", name, mine, now); bonded.CodeOf(err) != bonded.CodeConflict {
		t.Error("it ends twice")
	}
}

func TestStrangersKeepNobodyOut(t *testing.T) {
	now := time.Now()
	may := console.Flooded(3, time.Minute, now)
	if !may("192.0.2.1") {
		t.Error("somebody who has not failed is refused for what others do")
	}
	if may("192.0.2.1") {
		t.Error("somebody who has failed goes on, though all together fail too often")
	}
	for in, want := range map[string]string{
		"192.0.2.1:4711": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
		"[2001:db8:1:2::9]:2": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64", "@": "@",
	} {
		if got := console.AddressOf(in); got != want {
			t.Errorf("%s is counted as %s, want %s", in, got, want)
		}
	}
}

func TestWhoBeginsManyIsInNobodysWay(t *testing.T) {
	now := time.Now()
	c := console.NewCeremonies()
	mine, nobody := [32]byte{1}, [32]byte{}
	first, signing := c.Begin("sign-in", nobody, 0, now), c.Begin("decide", mine, 7, now)
	for i := range 5000 {
		now = now.Add(time.Millisecond)
		c.Begin("sign-in", nobody, i, now)
	}
	if v, err := c.End("decide", signing, mine, now); err != nil || v != 7 {
		t.Errorf("a decision was lost to people who are not signed in: %v", err)
	}
	if _, err := c.End("sign-in", first, nobody, now); bonded.CodeOf(err) != bonded.CodeConflict {
		t.Error("all of them are kept")
	}
	last := c.Begin("sign-in", nobody, 8, now)
	if v, err := c.End("sign-in", last, nobody, now); err != nil || v != 8 {
		t.Errorf("nobody signs in any more: %v", err)
	}
	mineFirst := c.Begin("decide", mine, 9, now)
	for i := range 40 {
		now = now.Add(time.Millisecond)
		c.Begin("decide", mine, i, now)
	}
	if _, err := c.End("decide", mineFirst, mine, now); err == nil {
		t.Error("one session keeps as many as it likes")
	}
}

func TestInvitesWorkOnceAndForATime(t *testing.T) {
	ctx, now := t.Context(), time.Now()
	db, err := sqldb.Open(ctx, sqldb.Config{Path: filepath.Join(t.TempDir(), "console.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	in, err := console.OpenInvites(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	code, err := in.Add(ctx, "legal-1", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := func(code string, at time.Time, person string) {
		t.Helper()
		if got, err := in.Person(ctx, code, at); err != nil || got != person {
			t.Errorf("the code invites %q, %v; want %q", got, err, person)
		}
	}
	want(code, now, "legal-1")
	want(code+"x", now, "")
	want(code, now.Add(time.Hour), "")
	if err := in.Use(ctx, code, "legal-1", []byte{1}, now.Add(2*time.Hour)); err == nil {
		t.Error("an invite that ended was used")
	}
	if err := in.Use(ctx, code, "legal-1", []byte{1}, now); err != nil {
		t.Fatal(err)
	}
	if err := in.Use(ctx, code, "legal-1", []byte{2}, now); err == nil {
		t.Error("an invite was used twice")
	}
	want(code, now, "")
}
