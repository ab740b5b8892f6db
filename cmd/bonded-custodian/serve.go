package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"bonded"
	"bonded/internal/custodian"
)

// workEvery is how often approved cases are looked at.
const workEvery = time.Second

type workCmd struct {
	Dir string `arg:"" help:"Folder of the custodian."`
}

// Run implements the command.
func (c *workCmd) Run(e *env, all *commands) error {
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(e.stdout, "custodian %s works\n", f.Config().ID)
	return f.Work(e.ctx, door, workEvery, e.report)
}

// report prints what kept a case from being computed for.
func (e *env) report(id bonded.CaseID, err error) {
	_, _ = fmt.Fprintf(e.stderr, "bonded-custodian: %s: %v\n", caseText(id), err)
}

type serveCmd struct {
	Dir    string `arg:"" help:"Folder of the custodian."`
	Listen string `default:"127.0.0.1:0" help:"Address of the page: loopback only."`
}

// Run implements the command.
func (c *serveCmd) Run(e *env, all *commands) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--listen", Message: "the page is for this machine alone", Hint: "use 127.0.0.1:PORT"}
	}
	f, door, err := e.open(all, c.Dir)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(e.ctx, "tcp", c.Listen)
	if err != nil {
		return bonded.Wrap(bonded.CodeInvalid, err, "cannot listen on "+c.Listen)
	}
	page, err := custodian.NewPage(f, door, ln.Addr().String())
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: page, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 5 * time.Minute, MaxHeaderBytes: 16 << 10}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	_, _ = fmt.Fprintf(e.stdout, "custodian %s: open %s\n", f.Config().ID, page.Link())
	err = f.Work(e.ctx, door, workEvery, e.report)
	_ = srv.Close() // nobody reads any more
	if serr := <-ended; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}
