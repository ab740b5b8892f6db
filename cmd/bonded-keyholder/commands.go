package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"bonded"
	"bonded/internal/keyholder/keyholderd"
	"bonded/internal/passphrase"
	"bonded/internal/wire"
)

type initCmd struct {
	Dir            string        `arg:"" help:"Folder of the keyholder."`
	Cell           string        `required:"" help:"Cell id, such as eu."`
	Suite          string        `required:"" enum:"aes-256-gcm,sm4-gcm" help:"aes-256-gcm or sm4-gcm."`
	Listen         string        `default:"127.0.0.1:7440" help:"Address of the line to the vault."`
	UndoWindow     time.Duration `default:"24h" help:"Least age of a witnessed erasure before its key is destroyed."`
	WaitingTime    time.Duration `default:"24h" help:"From when the ledger was seen to announce a grant set, policy or directory until it takes effect."`
	PassphraseFile string        `placeholder:"FILE" help:"File with the passphrase that seals the driver key."`
	Shares         int           `help:"Seal by this many unseal shares in place of a passphrase."`
	Threshold      int           `help:"How many shares unseal."`
	SharesDir      string        `placeholder:"DIR" help:"Where to write the shares, one file each: hand them out, keep none."`
}

// Run implements the command.
func (c *initCmd) Run(e *env) error {
	o := keyholderd.InitOptions{
		Cell: bonded.CellID(c.Cell), Suite: c.Suite, Listen: c.Listen, UndoWindow: c.UndoWindow, WaitingTime: c.WaitingTime,
		Shares: c.Shares, Threshold: c.Threshold, SharesDir: c.SharesDir,
	}
	if c.Shares == 0 {
		pass, err := secret(e, c.PassphraseFile, true)
		if err != nil {
			return err
		}
		defer clear(pass)
		o.Passphrase = pass
	}
	if _, err := keyholderd.Init(e.ctx, c.Dir, o, time.Now()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(e.stdout, "keyholder of cell %s made in %s\nnext: put public.json's keys into the directory, then cells.json, cells.json.sig and policy.cedar into the folder\n", c.Cell, c.Dir)
	return err
}

type serveCmd struct {
	Dir            string `arg:"" help:"Folder of the keyholder."`
	PassphraseFile string `placeholder:"FILE" help:"Unseal with the passphrase in this file."`

	AcceptDirectory bool `help:"Accept the directory in the folder as it is, without evidence and whoever it names; the book says so."`
}

// Run implements the command.
func (c *serveCmd) Run(e *env) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	file := c.PassphraseFile
	if file == "" {
		file = os.Getenv("BONDED_PASSPHRASE_FILE")
	}
	return keyholderd.Serve(e.ctx, c.Dir, keyholderd.ServeOptions{
		AcceptDirectory: c.AcceptDirectory, PassphraseFile: file, Reload: reload, Log: slog.New(slog.NewTextHandler(e.stderr, nil)),
	})
}

type unsealCmd struct {
	Dir            string   `arg:"" help:"Folder of the keyholder."`
	PassphraseFile string   `placeholder:"FILE" help:"File with the passphrase. Without it and without shares: a prompt."`
	ShareFile      []string `placeholder:"FILE" help:"File with one unseal share; give as many as are needed."`
}

// Run implements the command.
func (c *unsealCmd) Run(e *env) error {
	l, err := keyholderd.DialLocal(e.ctx, c.Dir)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	ctx, cancel := e.short()
	defer cancel()
	st, err := l.Status(ctx)
	if err != nil {
		return err
	}
	if !st.Sealed { // it has no driver key left to check a secret with
		_, err = fmt.Fprintln(e.stdout, "already unsealed; nothing was checked")
		return err
	}
	if len(c.ShareFile) > 0 {
		var shares []string
		for _, f := range c.ShareFile {
			b, err := passphrase.ReadFile(f)
			if err != nil {
				return err
			}
			shares = append(shares, string(b))
			clear(b)
		}
		err = l.UnsealShares(ctx, shares)
	} else {
		var pass []byte
		if pass, err = secret(e, c.PassphraseFile, false); err != nil {
			return err
		}
		defer clear(pass)
		err = l.UnsealPassphrase(ctx, pass)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "unsealed")
	return err
}

// secret reads a passphrase from the file named, else from the one that
// BONDED_PASSPHRASE_FILE names, else from a terminal.
func secret(e *env, file string, twice bool) ([]byte, error) {
	if file == "" {
		file = os.Getenv("BONDED_PASSPHRASE_FILE")
	}
	return passphrase.Get(file, e.stdin, e.stderr, twice)
}

type statusCmd struct {
	Dir    string `arg:"" help:"Folder of the keyholder."`
	Output string `short:"o" default:"table" enum:"table,json" help:"table or json."`
}

// statusJSON is the output of status -o json.
type statusJSON struct {
	Cell        bonded.CellID `json:"cell"`
	Sealed      bool          `json:"sealed"`
	Reason      string        `json:"reason,omitempty"`
	Subjects    uint64        `json:"subjects"`
	Releases    releasesJSON  `json:"releases"`
	Unanchored  uint64        `json:"unanchored"`
	Refused     uint64        `json:"refused_since_start"`
	GrantSet    uint64        `json:"grant_set"`
	Cases       uint64        `json:"cases"`             // releases to requesters of cases
	Epoch       uint64        `json:"epoch,omitempty"`   // of the custodians in force
	KeySet      string        `json:"key_set,omitempty"` // hexadecimal digest
	KeyVersion  uint32        `json:"cell_key_version"`
	Rewrapped   uint64        `json:"rewrapped"`
	OldKeyUntil string        `json:"old_cell_key_until,omitempty"`
	Witnessed   string        `json:"witnessed,omitempty"`
	BookRows    uint64        `json:"book_rows"`
	Waiting     []waitingJSON `json:"waiting,omitempty"`
	Refusal     string        `json:"refused_change,omitempty"`
}

// waitingJSON is something announced that is not in force yet.
type waitingJSON struct {
	Subject string `json:"subject"`
	Number  uint64 `json:"number"`
	Entry   uint64 `json:"entry"` // of the ledger
	From    string `json:"from"`
}

type releasesJSON struct {
	Proven   uint64 `json:"proven"`
	Asserted uint64 `json:"vault_asserted"`
	Resolved uint64 `json:"vault_resolved"`
}

// Run implements the command.
func (c *statusCmd) Run(e *env) error {
	l, err := keyholderd.DialLocal(e.ctx, c.Dir)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	ctx, cancel := e.short()
	defer cancel()
	st, err := l.Status(ctx)
	if err != nil {
		return err
	}
	return printStatus(e.stdout, st, c.Output)
}

func printStatus(out io.Writer, st *wire.Status, format string) error {
	s := statusJSON{
		Cell: st.Head.Cell, Sealed: st.Sealed, Reason: st.Reason, Refusal: st.Refusal, Subjects: st.Subjects, Releases: releasesJSON{st.Proven, st.Asserted, st.Resolved},
		Unanchored: st.Unanchored, Refused: st.Refused, GrantSet: st.GrantSet, Cases: st.Cases, Epoch: st.Epoch, KeyVersion: st.KeyVersion, Rewrapped: st.Rewrapped,
		OldKeyUntil: clock(st.RewrapsUntil), Witnessed: clock(st.Witnessed), BookRows: st.Head.Seq,
	}
	if st.Epoch > 0 {
		s.KeySet = fmt.Sprintf("%x", st.KeySet)
	}
	for _, v := range st.Waiting {
		s.Waiting = append(s.Waiting, waitingJSON{string(v.Subject), v.Number, v.Index, clock(v.Until)})
	}
	if format == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	state := "unsealed"
	if s.Sealed {
		state = "sealed"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name string, value any) { _, _ = fmt.Fprintf(w, "%s\t%v\n", name, value) }
	line("cell", s.Cell)
	line("state", state)
	if s.Reason != "" {
		line("unlocks nothing", s.Reason)
	}
	line("subjects", s.Subjects)
	line("releases", fmt.Sprintf("%d proven, %d vault-asserted; of both %d vault-resolved", s.Releases.Proven, s.Releases.Asserted, s.Releases.Resolved))
	line("not yet anchored", s.Unanchored)
	line("refused since start", s.Refused)
	line("grant set", s.GrantSet)
	if s.Epoch > 0 {
		line("custodians", fmt.Sprintf("epoch %d, key set %s", s.Epoch, s.KeySet))
	}
	for _, v := range s.Waiting {
		line("waiting", fmt.Sprintf("%s %d, announced by entry %d of the ledger, takes effect from %s", v.Subject, v.Number, v.Entry, v.From))
	}
	if s.Refusal != "" {
		line("refused change", s.Refusal)
	}
	line("cell key", fmt.Sprintf("version %d, %d of %d subject keys under it", s.KeyVersion, s.Rewrapped, s.Subjects))
	if s.OldKeyUntil != "" {
		line("old cell key until", s.OldKeyUntil)
	}
	line("newest checkpoint", s.Witnessed)
	line("book rows", s.BookRows)
	return w.Flush()
}

func clock(seconds uint64) string {
	if seconds == 0 {
		return ""
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339) //nolint:gosec // of this century
}

type logCmd struct {
	Dir struct {
		Dir    string       `arg:"" help:"Folder of the keyholder."`
		Export logExportCmd `cmd:"" help:"Write the whole key-use book to FILE."`
	} `arg:""`
}

type logExportCmd struct {
	File string `arg:"" help:"File to write."`
}

// Run implements the command.
func (c *logExportCmd) Run(e *env, parent *commands) error {
	l, err := keyholderd.DialLocal(e.ctx, parent.Log.Dir.Dir)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	f, err := os.CreateTemp(filepath.Dir(c.File), ".export-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // renamed when complete
	n, err := l.ExportLog(e.ctx, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.File); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%d rows of the key-use book written to %s\n", n, c.File)
	return err
}

type grantsCmd struct {
	Dir struct {
		Dir     string           `arg:"" help:"Folder of the keyholder."`
		Install grantsInstallCmd `cmd:"" help:"Install the grant set in FILE, with the evidence in FILE.evidence if it is there."`
	} `arg:""`
}

type grantsInstallCmd struct {
	File string `arg:"" help:"Signed grant set."`
}

// Run implements the command.
func (c *grantsInstallCmd) Run(e *env, parent *commands) error {
	file, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	evidence, err := os.ReadFile(c.File + ".evidence")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := keyholderd.DialLocal(e.ctx, parent.Grants.Dir.Dir)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	ctx, cancel := e.short()
	defer cancel()
	res, err := l.InstallGrants(ctx, file, evidence)
	if err != nil {
		return err
	}
	if v := res.Waiting; !res.InForce {
		_, err = fmt.Fprintf(e.stdout, "grant set %d waits and takes effect from %s; what it takes away is away\n", v.Number, clock(v.Until))
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "grant set %d is in force\n", res.Waiting.Number)
	return err
}

type rotateCmd struct {
	Dir string `arg:"" help:"Folder of the keyholder."`
}

// Run implements the command.
func (c *rotateCmd) Run(e *env) error {
	l, err := keyholderd.DialLocal(e.ctx, c.Dir)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	ctx, cancel := e.short()
	defer cancel()
	st, err := l.Rotate(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "cell key version %d; %d subject keys are re-wrapped in the background, the old version is destroyed at %s\n", st.KeyVersion, st.Subjects, clock(st.RewrapsUntil))
	return err
}
