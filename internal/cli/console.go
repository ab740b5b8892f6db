package cli

import (
	"context"
	"text/tabwriter"
)

// consoleCommands are about the pages of a cell.
type consoleCommands struct {
	Invite consoleInvite `cmd:"" help:"Make a link by which a person enrols a passkey at the console. It works once, for an hour."`
}

type consoleInvite struct {
	actorFlags
	cellFlag
	PersonID string `required:"" placeholder:"ID" help:"Id of the person in the register, now or to be, such as legal-1."`
}

// Run implements the command.
func (c *consoleInvite) Run(ctx context.Context, s *streams) error {
	a, err := c.connect(s, c.Cell)
	if err != nil {
		return err
	}
	v, err := a.InviteToConsole(ctx, c.PersonID)
	if err != nil {
		return err
	}
	return s.print(v, func(w *tabwriter.Writer) {
		row(w, "person", v.Person)
		row(w, "link", v.Link)
		row(w, "until", stamp(v.Expires))
		row(w, "left to do", "hand the link to that person alone, by a way that others cannot read")
	})
}
