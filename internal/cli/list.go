package cli

import (
	"context"
	"text/tabwriter"

	"bonded/client"
)

type listCommand struct {
	cellFlags
	Collection string `arg:"" help:"Collection, such as users."`
	Limit      int    `default:"100" help:"Records at most, 1 to 1000."`
	After      string `placeholder:"CURSOR" help:"Where the page before ended."`
}

type listView struct {
	Records []client.Found `json:"records"`
	Next    string         `json:"next,omitempty"`
}

// Run implements the command.
func (c *listCommand) Run(ctx context.Context, s *streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	res, err := cl.List(ctx, client.ListRequest{Why: c.why(), Collection: c.Collection, Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return s.print(listView{res.Records, res.Next}, func(w *tabwriter.Writer) {
		row(w, "SUBJECT", "RECORD")
		for _, f := range res.Records {
			row(w, f.Subject, f.Record)
		}
		if res.Next != "" {
			row(w)
			row(w, "more: --after "+res.Next)
		}
	})
}
