package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"bonded"
	"bonded/verify"
)

// version is the version of this build, set by the linker.
var version = "devel"

// commands is the command line.
type commands struct {
	JSON    bool             `name:"json" help:"Print the answer as one JSON object, for programs."`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Ledger    ledgerCmd    `cmd:"" help:"Check a whole ledger: every entry, tile, signature and chain of leaves."`
	Receipt   receiptCmd   `cmd:"" help:"Check that a receipt proves its entry."`
	Reconcile reconcileCmd `cmd:"" help:"Hold the journal of the vault against the book of the keyholder."`
	Directory directoryCmd `cmd:"" help:"Check the signature of a directory file."`
	Report    reportCmd    `cmd:"" help:"Prove a published transparency report against the ledger."`
	Promise   promiseCmd   `cmd:"" help:"Check that batch promises were kept by the journal."`
	Statement statementCmd `cmd:"" help:"Check the dated statement of an operator."`
	Portal    portalCmd    `cmd:"" help:"Check a copy of a public portal: its files, who signed them, that the ledger announces them."`
	Package   packageCmd   `cmd:"" help:"Check a release package of a case: who asked, who approved, what was entered. Opens nothing."`
}

// An answer is what a command found.
type answer struct {
	title     string   // what was checked, such as "ledger"
	sentences []string // what it shows, also when it does not hold
	report    any      // for --json
	err       error    // why it does not hold or cannot be told
}

// with makes err what the answer says.
func (a *answer) with(err error) *answer {
	a.err = err
	return a
}

// A usageError is a mistake on the command line or in a file it names.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// env is what commands read from.
type env struct{ stdin io.Reader }

// run is the program: it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c commands
	exit := -1
	parser, err := kong.New(
		&c,
		kong.Name("bonded-verify"),
		kong.Description("Checks what a Bonded deployment shows, trusting the directory file and nothing else.\n\nEnds with 0: holds, 1: does not hold, 2: cannot tell."),
		kong.Vars{"version": "bonded-verify " + version},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.Bind(&env{stdin}),
	)
	if err != nil {
		return complain(stderr, err, "")
	}
	ctx, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help and --version have printed
	}
	if err != nil {
		return complain(stderr, err, "run bonded-verify --help, or with --help after a command")
	}
	ans, err := c.dispatch(ctx, &env{stdin})
	if err != nil {
		hint := ""
		if u, ok := errors.AsType[*usageError](err); ok {
			hint = u.hint
		}
		return complain(stderr, err, hint)
	}
	if c.JSON {
		return printJSON(stdout, stderr, ans)
	}
	return printPlain(stdout, stderr, ans)
}

func (c *commands) dispatch(ctx *kong.Context, e *env) (*answer, error) {
	switch name, _, _ := strings.Cut(ctx.Command(), " "); name {
	case "ledger":
		return c.Ledger.check()
	case "receipt":
		return c.Receipt.check(e)
	case "reconcile":
		return c.Reconcile.check(e)
	case "directory":
		return c.Directory.check()
	case "report":
		return c.Report.check()
	case "statement":
		return c.Statement.check(e)
	case "portal":
		return c.Portal.check()
	case "package":
		return c.Package.check()
	default:
		return c.Promise.check(e)
	}
}

func complain(stderr io.Writer, err error, hint string) int {
	_, _ = fmt.Fprintf(stderr, "bonded-verify: error: %s\n", reason(err))
	var be *bonded.Error
	if hint == "" && errors.As(err, &be) {
		hint = be.Hint
	}
	if hint != "" {
		_, _ = fmt.Fprintf(stderr, "bonded-verify: hint: %s\n", hint)
	}
	return int(verify.CannotTell)
}

// reason returns err as text, with the field of a coded error.
func reason(err error) string {
	if u, ok := errors.AsType[*usageError](err); ok {
		return u.Error()
	}
	return err.Error()
}

func printPlain(stdout, stderr io.Writer, a *answer) int {
	var b strings.Builder
	for _, s := range a.sentences {
		b.WriteString(s + "\n")
	}
	v := verify.VerdictOf(a.err)
	b.WriteString(a.title + " " + v.String())
	if f := verify.FailureOf(a.err); f != nil {
		b.WriteString(": " + f.Code + ": " + f.Message)
		if v == verify.CannotTell && f.Err != nil {
			b.WriteString(" (" + f.Err.Error() + ")")
		}
	} else if a.err != nil {
		b.WriteString(": " + a.err.Error())
	}
	b.WriteByte('\n')
	if _, err := io.WriteString(stdout, b.String()); err != nil {
		return complain(stderr, err, "")
	}
	return int(v)
}

// jsonAnswer is the answer for programs.
type jsonAnswer struct {
	Checked   string   `json:"checked"`
	Verdict   string   `json:"verdict"` // "holds", "does not hold" or "cannot tell"
	Exit      int      `json:"exit"`
	Code      string   `json:"code,omitempty"`
	Message   string   `json:"message,omitempty"`
	Sentences []string `json:"sentences"`
	Report    any      `json:"report,omitempty"`
}

func printJSON(stdout, stderr io.Writer, a *answer) int {
	v := verify.VerdictOf(a.err)
	j := jsonAnswer{Checked: a.title, Verdict: v.String(), Exit: int(v), Sentences: a.sentences, Report: a.report}
	if f := verify.FailureOf(a.err); f != nil {
		j.Code, j.Message = f.Code, f.Message
	} else if a.err != nil {
		j.Message = a.err.Error()
	}
	if j.Sentences == nil {
		j.Sentences = []string{}
	}
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(j); err != nil {
		return complain(stderr, err, "")
	}
	return int(v)
}
