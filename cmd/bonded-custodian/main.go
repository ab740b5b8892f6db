// Command bonded-custodian is one custodian's tool: it holds one share of a
// cell's release key and signs and computes only for what it has verified
// itself. It talks to the front door of its cell and to nobody else, and links
// neither the vault nor the keyholder.
//
// It ends with the exit codes of bonded; see docs/errors.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"bonded"
	"bonded/internal/apitype"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// version is the version of this build, set by the linker.
var version = "devel"

// commands is the command line.
type commands struct {
	Version        kong.VersionFlag `help:"Print the version and exit."`
	PassphraseFile string           `placeholder:"FILE" env:"BONDED_PASSPHRASE_FILE" help:"File with the passphrase that seals the folder. Without it: a prompt."`
	URL            string           `name:"url" placeholder:"URL" help:"Address of the front door, if not the one in the directory."`

	Init      initCmd      `cmd:"" help:"Make a custodian's folder with fresh keys."`
	Public    publicCmd    `cmd:"" help:"Print what others need for the parameters of the next ceremony."`
	Status    statusCmd    `cmd:"" help:"Say which share this folder holds and what it has decided."`
	Ceremony  ceremonyCmd  `cmd:"" help:"Look at a ceremony, take part in it, or abandon it."`
	Reshare   joinCmd      `cmd:"" help:"Take part in a resharing: the same as ceremony join."`
	Pending   pendingCmd   `cmd:"" help:"List the cases that wait for this custodian."`
	Show      showCmd      `cmd:"" help:"Verify a case and show what would open, for whom, under which law."`
	Approve   approveCmd   `cmd:"" help:"Verify a case, approve its scope, and compute when the quorum stands."`
	Refuse    refuseCmd    `cmd:"" help:"Refuse the scope of a case."`
	Work      workCmd      `cmd:"" help:"Compute for approved cases as their openings come into the ledger."`
	Serve     serveCmd     `cmd:"" help:"Show the same on a page at 127.0.0.1, and compute beside it."`
	Proposals proposalsCmd `cmd:"" help:"List the entries of the register that wait for an independent custodian."`
	Confirm   confirmCmd   `cmd:"" help:"Confirm an entry of the register."`
	Directory directoryCmd `cmd:"" help:"Approve a newer directory, or put it into the folder."`
}

// An env is what commands may touch besides their arguments.
type env struct {
	ctx    context.Context //nolint:containedctx // of the process
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// run is main without the process: it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	exit := -1
	parser, err := kong.New(
		&c,
		kong.Name("bonded-custodian"),
		kong.Description("Holds one share of a cell's release key. Verifies before it signs, and opens nothing alone."),
		kong.Vars{"version": "bonded-custodian " + version},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
	)
	if err != nil {
		return complain(stderr, err)
	}
	k, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help and --version have printed
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "bonded-custodian: error: %v\n", err)
		_, _ = fmt.Fprintln(stderr, "bonded-custodian: hint: run bonded-custodian --help, or with --help after a command")
		return apitype.ExitBadInput
	}
	if err := k.Run(&env{ctx, stdin, stdout, stderr}, &c); err != nil {
		return complain(stderr, err)
	}
	return 0
}

// complain prints an error and its hint, and returns its exit code.
func complain(stderr io.Writer, err error) int {
	var e *bonded.Error
	if !errors.As(err, &e) {
		if errors.Is(err, context.Canceled) {
			_, _ = fmt.Fprintln(stderr, "bonded-custodian: interrupted")
		} else {
			_, _ = fmt.Fprintf(stderr, "bonded-custodian: error: %v\n", err)
		}
		return apitype.ExitInternal
	}
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	for _, r := range e.Rules {
		text += " (" + r + ")"
	}
	_, _ = fmt.Fprintf(stderr, "bonded-custodian: error: %s [%s]\n", text, e.Code)
	if e.Hint != "" {
		_, _ = fmt.Fprintf(stderr, "bonded-custodian: hint: %s\n", e.Hint)
	}
	return apitype.InfoOf(e.Code).Exit
}
