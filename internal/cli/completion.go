package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints a script that completes commands and flags. It is
// made from the same grammar that parses the command line.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run implements the command.
func (c *completionCommand) Run(s *streams, k *kong.Context) error {
	var lines []string
	walk(k.Model.Node, "", func(path string, words []string) {
		lines = append(lines, fmt.Sprintf("    %q) words=%q ;;", path, strings.Join(words, " ")))
	})
	switch c.Shell {
	case "fish":
		walk(k.Model.Node, "", func(path string, words []string) {
			fmt.Fprintf(s.out, "complete -c bonded -n '__bonded_at %q' -a %q\n", path, strings.Join(words, " "))
		})
		_, err := fmt.Fprint(s.out, fishHelper)
		return err
	case "zsh":
		if _, err := fmt.Fprintln(s.out, "autoload -U +X bashcompinit && bashcompinit"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.out, bashScript, strings.Join(lines, "\n"))
	return err
}

// walk calls f for every command path with the words that may follow it.
func walk(n *kong.Node, path string, f func(path string, words []string)) {
	var words []string
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			words = append(words, child.Name)
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, flag := range group {
			words = append(words, "--"+flag.Name)
		}
	}
	for _, p := range n.Positional {
		words = append(words, p.EnumSlice()...)
	}
	slices.Sort(words)
	f(path, slices.Compact(slices.DeleteFunc(words, func(w string) bool { return w == "" })))
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			walk(child, strings.TrimSpace(path+" "+child.Name), f)
		}
	}
}

const bashScript = `_bonded() {
  local cur=${COMP_WORDS[COMP_CWORD]} path= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -* ]] || path="${path:+$path }${COMP_WORDS[i]}"
  done
  case "$path" in
%s
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ ${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _bonded bonded
`

const fishHelper = `function __bonded_at
  set -l words (commandline -opc)
  set -l path
  for w in $words[2..-1]
    string match -q -- '-*' $w; or set -a path $w
  end
  test "$path" = "$argv[1]"
end
`
