// Command bonded-keyholder runs a keyholder and is its operator's tool. It
// holds wrapped subject keys and the key-use book, and links nothing that
// could read the vault's ciphertext.
//
// It ends with 0 if all went well, 2 if the command line is wrong, and else
// with the codes that bonded ends with; see exits.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"bonded"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// version is the version of this build, set by the linker.
var version = "devel"

// commands is the command line.
type commands struct {
	Version kong.VersionFlag `help:"Print the version and exit."`

	Init   initCmd   `cmd:"" help:"Make a keyholder's folder."`
	Serve  serveCmd  `cmd:"" help:"Run the keyholder of a folder, sealed unless a passphrase file is at hand."`
	Unseal unsealCmd `cmd:"" help:"Unseal the keyholder that runs in a folder."`
	Status statusCmd `cmd:"" help:"Say how the keyholder that runs in a folder stands."`
	Log    logCmd    `cmd:"" help:"Export the key-use book, for bonded-verify reconcile."`
	Grants grantsCmd `cmd:"" help:"Install a grant set signed by the administrator."`
	Rotate rotateCmd `cmd:"" help:"Make a new version of the cell key and re-wrap in the background."`
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
		kong.Name("bonded-keyholder"),
		kong.Description("Keeps the keys of a cell's people, and a book of every use.\n\nSecrets come from files, from BONDED_PASSPHRASE_FILE or from a prompt, never from flags."),
		kong.Vars{"version": "bonded-keyholder " + version},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
	)
	if err != nil {
		return complain(stderr, err)
	}
	k, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help and --version have printed
	}
	if err != nil {
		_ = complain(stderr, err)
		_, _ = fmt.Fprintln(stderr, "bonded-keyholder: hint: run bonded-keyholder --help, or with --help after a command")
		return exitBadInput
	}
	if err := k.Run(&env{ctx, stdin, stdout, stderr}, &c); err != nil {
		return complain(stderr, err)
	}
	return exitOK
}

// complain prints an error and its hint, and returns its exit code.
func complain(stderr io.Writer, err error) int {
	var e *bonded.Error
	if !errors.As(err, &e) {
		_, _ = fmt.Fprintf(stderr, "bonded-keyholder: error: %v\n", err)
		return exitInternal
	}
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if why := cause(e); why != "" && !strings.Contains(text, why) {
		text += ": " + why
	}
	_, _ = fmt.Fprintf(stderr, "bonded-keyholder: error: %s [%s]\n", text, e.Code)
	if e.Hint != "" {
		_, _ = fmt.Fprintf(stderr, "bonded-keyholder: hint: %s\n", e.Hint)
	}
	return exitOf(e.Code)
}

// cause returns why e came about, "" if it is not known. The operator stands
// before the machine, so it is shown to them; an error with a code says it in
// its message, once.
func cause(e *bonded.Error) string {
	if c, ok := errors.AsType[*bonded.Error](e.Err); ok {
		return c.Message
	}
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// short bounds what an operator's command waits for.
func (e *env) short() (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.ctx, time.Minute)
}
