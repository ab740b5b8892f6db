package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/node"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // err is a terminal: progress may be drawn
	asJSON   bool // print results as JSON
}

type commands struct {
	Output  string           `short:"o" enum:"table,json" default:"table" help:"How results are printed: table or json."`
	Version kong.VersionFlag `help:"Print the version and exit."`

	serverCommands

	Status     statusCommand      `cmd:"" help:"Show how the cells stand."`
	Route      routeCommand       `cmd:"" help:"Say which cell a person belongs to, and by which rule."`
	Put        putCommand         `cmd:"" help:"Create a person or write a record."`
	Get        getCommand         `cmd:"" help:"Open fields of a record."`
	Find       findCommand        `cmd:"" help:"Look records up by equality; prints ids, never values."`
	List       listCommand        `cmd:"" help:"Page through the ids of a collection."`
	History    historyCommand     `cmd:"" help:"Show who opened a person's data."`
	Export     exportCommand      `cmd:"" help:"Write a person's own copy."`
	Erase      eraseCommand       `cmd:"" help:"Erase a person, or take an erasure back."`
	Import     importCommand      `cmd:"" help:"Bring people from a CSV file into their cells."`
	Key        keyCommands        `cmd:"" help:"Make, list and revoke keys of principals."`
	Policy     policyCommands     `cmd:"" help:"Check policies."`
	Receipt    receiptCommand     `cmd:"" help:"Fetch the receipt of an entry."`
	Journal    journalCommands    `cmd:"" help:"Read the journal."`
	Job        jobCommands        `cmd:"" help:"Start and watch background work."`
	Request    requestCommands    `cmd:"" help:"Ask for a case as an officer of an authority, and open what is released."`
	Case       caseCommands       `cmd:"" help:"List, show and decide cases at the front door."`
	Register   registerCommands   `cmd:"" help:"Keep the register of agencies and people."`
	Console    consoleCommands    `cmd:"" help:"Let people in to the console of a cell."`
	Custodians custodiansCommands `cmd:"" help:"Order ceremonies of the custodians, and verify who they are."`
	Monitor    monitorCommand     `cmd:"" help:"Watch a ledger: that it only grows, and that all is opened that is due."`
	Report     reportCommands     `cmd:"" help:"Make the transparency report from the ledger, or sign one as its auditor."`
	Portal     portalCommands     `cmd:"" help:"Write the public pages of a cell, or sign what they state."`
	Completion completionCommand  `cmd:"" help:"Print a completion script for your shell."`
}

// Run runs one command line (without the program's name) and returns its exit
// code.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &streams{in: stdin, out: stdout, err: stderr, terminal: isTerminal(stderr)}

	var c commands
	exited := -1
	parser, err := kong.New(
		&c, kong.Name("bonded"),
		kong.Description("Personal data in its own jurisdiction, behind two locks, with every opening entered in a book that nobody can rewrite."),
		kong.Vars{"version": "bonded " + node.Version},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s),
	)
	if err != nil {
		return s.fail(err)
	}
	kctx, err := parser.Parse(args)
	if exited >= 0 { // --help and --version have printed
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "bonded: error: %s\n", lower(err.Error()))
		fmt.Fprintln(stderr, "bonded: hint: bonded --help lists the commands, bonded COMMAND --help its flags")
		return apitype.ExitBadInput
	}
	s.json(c.Output == "json")
	kctx.Bind(&c)
	if err := kctx.Run(); err != nil {
		return s.fail(err)
	}
	return 0
}

// fail prints err the way people can use it and returns its exit code.
func (s *streams) fail(err error) int {
	if v, ok := errors.AsType[*verdictError](err); ok {
		return int(v.verdict)
	}
	var e *bonded.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) {
			fmt.Fprintln(s.err, "bonded: interrupted")
			return apitype.ExitInternal
		}
		fmt.Fprintf(s.err, "bonded: error: %s\n", lower(err.Error()))
		return apitype.ExitInternal
	}
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if len(e.Rules) > 0 {
		if by := strings.Join(slices.Compact(slices.Clone(e.Rules)), ", "); !strings.Contains(text, by) {
			text += " (by " + by + ")"
		}
	}
	fmt.Fprintf(s.err, "bonded: error: %s [%s]\n", text, e.Code)
	if e.Hint != "" {
		fmt.Fprintf(s.err, "bonded: hint: %s\n", e.Hint)
	}
	return apitype.InfoOf(e.Code).Exit
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
