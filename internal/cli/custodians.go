package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"bonded"
	"bonded/internal/apitype"
	"bonded/internal/operator"
	"bonded/internal/quorum"
	"bonded/verify"
)

// custodiansCommands order ceremonies of the custodians, and look at them. The
// custodians themselves use bonded-custodian.
type custodiansCommands struct {
	Ceremony  ceremonyCommands           `cmd:"" help:"Order a ceremony of the custodians, or look at one."`
	Show      custodiansShow             `cmd:"" help:"Verify and show the custodians of a cell, epoch by epoch."`
	Directory directoryApprovalsCommands `cmd:"" help:"Put together the custodians' approvals of a newer directory."`
}

type ceremonyCommands struct {
	Start  ceremonyStart  `cmd:"" help:"Order a ceremony: the first one, or one that hands the release key on."`
	Status ceremonyStatus `cmd:"" help:"Show how a ceremony stands, and whom it waits for."`
}

type ceremonyStart struct {
	actorFlags
	cellFlag
	Kind      string   `enum:"dkg,reshare,dealer" default:"dkg" help:"dkg: the first, and nobody ever has the key. reshare: hands the key on. dealer: one party makes all shares and knows the key, which is marked for ever."`
	Member    []string `required:"" sep:"none" placeholder:"ROLE=FILE" help:"Public file of a custodian and the role it gets, such as firm=public.json; once for each."`
	Threshold []string `required:"" placeholder:"ROLE=M" help:"How many of a role have to agree, such as firm=2; once for each role."`
	Handover  []string `sep:"none" placeholder:"ROLE=ID" help:"Resharing: an old member who hands on. Without it: those who stay."`
	Dealer    string   `placeholder:"FILE" help:"Kind dealer: public file of whoever deals."`
}

type ceremonyView struct {
	Ceremony string         `json:"ceremony"`
	Digest   string         `json:"params_digest"`
	Kind     string         `json:"kind"`
	Epoch    uint64         `json:"epoch"`
	Cell     string         `json:"cell"`
	State    string         `json:"state"`
	Reason   string         `json:"reason,omitempty"`
	Messages int            `json:"messages"`
	Missing  []string       `json:"missing,omitempty"`
	Roles    []ceremonyRole `json:"roles"`
}

type ceremonyRole struct {
	Name      string           `json:"name"`
	Threshold int              `json:"threshold"`
	Members   []ceremonyMember `json:"members"`
}

type ceremonyMember struct {
	ID       string `json:"id"`
	Approval string `json:"approval_key"`
}

// Run implements the command.
func (c *ceremonyStart) Run(ctx context.Context, s *streams) error {
	// 1. Who is to take part.
	plan, err := c.plan()
	if err != nil {
		return err
	}
	a, err := c.connect(s, c.Cell)
	if err != nil {
		return err
	}
	plan.Cell = a.Cell()

	// 2. What is in force, verified: a resharing hands it on.
	chain, err := a.Custody(ctx)
	if err != nil {
		return err
	}
	h, err := operator.CheckHistory(a.dir, a.Cell(), chain)
	if err != nil {
		return err
	}
	p, err := plan.Params(h.Current())
	if err != nil {
		return err
	}

	// 3. The order, signed.
	order, err := verify.NewCeremonyOrder(a.Cell(), p.Digest())
	if err != nil {
		return err
	}
	order.Sign(verify.LabelCeremony, a.Person(), a.key)
	board, err := a.StartCeremony(ctx, &apitype.CeremonyStart{Params: p.Bytes(), Statement: order})
	if err != nil {
		return err
	}
	v := viewCeremony(p, board)
	return s.print(v, func(w *tabwriter.Writer) {
		printCeremony(w, v)
		row(w)
		row(w, "Each custodian compares the digest with what you tell them by another way, then:")
		row(w, "bonded-custodian ceremony join DIR "+v.Ceremony+" --digest "+v.Digest)
	})
}

// plan reads the members' files.
func (c *ceremonyStart) plan() (*operator.Ceremony, error) {
	kinds := map[string]quorum.Kind{"dkg": quorum.KindDKG, "reshare": quorum.KindReshare, "dealer": quorum.KindDealer}
	p := &operator.Ceremony{Kind: kinds[c.Kind], ID: bonded.NewID()}
	role := func(name string) *operator.RoleOf {
		for i := range p.Roles {
			if p.Roles[i].Name == name {
				return &p.Roles[i]
			}
		}
		return nil
	}
	for _, m := range c.Member {
		name, path, ok := strings.Cut(m, "=")
		if !ok || !bonded.ValidName(name) {
			return nil, badPair("--member", "ROLE=FILE", "firm=public.json")
		}
		member, err := readMember(path)
		if err != nil {
			return nil, err
		}
		if role(name) == nil {
			p.Roles = append(p.Roles, operator.RoleOf{Name: name})
		}
		r := role(name)
		r.Members = append(r.Members, member)
	}
	for _, t := range c.Threshold {
		name, number, _ := strings.Cut(t, "=")
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, badPair("--threshold", "ROLE=M", "firm=2")
		}
		r := role(name)
		if r == nil {
			return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "--threshold", Message: "no --member has the role " + name}
		}
		r.Threshold = n
	}
	for _, h := range c.Handover {
		name, id, ok := strings.Cut(h, "=")
		r := role(name)
		if !ok || r == nil {
			return nil, badPair("--handover", "ROLE=ID", "firm=firm-1")
		}
		r.Handover = append(r.Handover, id)
	}
	if (c.Dealer != "") != (p.Kind == quorum.KindDealer) {
		return nil, &bonded.Error{Code: bonded.CodeInvalid, Field: "--dealer", Message: "a dealer and --kind dealer go together"}
	}
	if c.Dealer != "" {
		var err error
		if p.Dealer, err = readMember(c.Dealer); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func readMember(path string) (*operator.Member, error) {
	b, err := readInput(path, "the custodian's public file")
	if err != nil {
		return nil, err
	}
	m, err := operator.ParseMember(b)
	return m, at(path, err)
}

func badPair(flag, form, example string) error {
	return &bonded.Error{Code: bonded.CodeInvalid, Field: flag, Message: "not " + form, Hint: "write for example " + flag + " " + example}
}

func viewCeremony(p *quorum.Params, board *apitype.CeremonyMessages) *ceremonyView {
	d := p.Digest()
	return &ceremonyView{
		Ceremony: p.Ceremony.Hex(), Digest: hex.EncodeToString(d[:]), Kind: p.Kind.String(), Epoch: p.Epoch, Cell: string(p.Cell),
		State: board.State, Reason: board.Reason, Messages: len(board.Messages), Roles: viewRoles(p.Roles),
	}
}

func viewRoles(roles []quorum.Role) []ceremonyRole {
	var out []ceremonyRole
	for _, r := range roles {
		v := ceremonyRole{Name: r.Name, Threshold: r.Threshold}
		for _, m := range r.Members {
			v.Members = append(v.Members, ceremonyMember{m.ID, hex.EncodeToString(m.Approval)})
		}
		out = append(out, v)
	}
	return out
}

func printCeremony(w *tabwriter.Writer, v *ceremonyView) {
	row(w, "ceremony", v.Ceremony)
	row(w, "parameters", v.Digest)
	row(w, "kind", v.Kind)
	row(w, "epoch", v.Epoch)
	row(w, "state", v.State)
	if v.Reason != "" {
		row(w, "because", v.Reason)
	}
	printRoles(w, v.Roles)
}

func printRoles(w *tabwriter.Writer, roles []ceremonyRole) {
	for _, r := range roles {
		row(w, "role "+r.Name, fmt.Sprintf("%d of %d", r.Threshold, len(r.Members)))
		for _, m := range r.Members {
			row(w, "  "+m.ID, m.Approval)
		}
	}
}

type ceremonyStatus struct {
	actorFlags
	cellFlag
	Ceremony string `arg:"" help:"Id of the ceremony, 32 hexadecimal digits."`
}

// Run implements the command. It judges the messages itself.
func (c *ceremonyStatus) Run(ctx context.Context, s *streams) error {
	a, err := c.connect(s, c.Cell)
	if err != nil {
		return err
	}
	board, err := a.Ceremony(ctx, c.Ceremony, 0)
	if err != nil {
		return err
	}
	for next := board.Next; ; {
		more, err := a.Ceremony(ctx, c.Ceremony, next)
		if err != nil {
			return err
		}
		board.State, board.Reason = more.State, more.Reason
		if len(more.Messages) == 0 || more.Next <= next {
			break
		}
		board.Messages, next = append(board.Messages, more.Messages...), more.Next
	}
	p, err := quorum.ParseParams(board.Params)
	if err != nil {
		return err
	}
	v := viewCeremony(p, board)
	if v.Missing, err = a.missing(ctx, p, board); err != nil {
		return err
	}
	return s.print(v, func(w *tabwriter.Writer) {
		printCeremony(w, v)
		row(w, "messages", v.Messages)
		for _, m := range v.Missing {
			row(w, "waits for", m)
		}
	})
}

// missing says whose messages a running ceremony waits for.
func (a *actor) missing(ctx context.Context, p *quorum.Params, board *apitype.CeremonyMessages) ([]string, error) {
	if board.State != "running" {
		return nil, nil
	}
	var previous *quorum.KeySet
	if p.Kind == quorum.KindReshare {
		chain, err := a.Custody(ctx)
		if err != nil {
			return nil, err
		}
		h, err := operator.CheckHistory(a.dir, a.Cell(), chain)
		if err != nil {
			return nil, err
		}
		previous = h.Current()
	}
	o, err := quorum.Judge(p, previous, board.Messages)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range o.Missing {
		out = append(out, m.Party.String())
	}
	return out, nil
}

type custodiansShow struct {
	directoryFlags
	cellFlag
}

type epochView struct {
	Epoch      uint64         `json:"epoch"`
	Kind       string         `json:"kind"`
	KeySet     string         `json:"key_set"`
	ReleaseKey string         `json:"release_key"`
	Dealt      bool           `json:"dealt"`
	Entry      int64          `json:"entry"`
	Roles      []ceremonyRole `json:"roles"`
}

// Run implements the command. It needs no key.
func (c *custodiansShow) Run(ctx context.Context, s *streams) error {
	p, d, err := c.public(c.Cell)
	if err != nil {
		return err
	}
	chain, err := p.Custody(ctx)
	if err != nil {
		return err
	}
	h, err := operator.CheckHistory(d, p.Cell(), chain)
	if err != nil {
		return err
	}
	views := []epochView{}
	for i, set := range h.Sets {
		digest, key := set.Digest(), set.ReleaseKey()
		views = append(views, epochView{
			set.Epoch(), set.Kind().String(), hex.EncodeToString(digest[:]), hex.EncodeToString(key[:]), set.Dealt(), h.Entries[i], viewRoles(set.Roles()),
		})
	}
	return s.print(views, func(w *tabwriter.Writer) {
		if len(views) == 0 {
			row(w, "cell "+string(p.Cell())+" has no custodians yet")
			return
		}
		for i := range views {
			v := &views[i]
			row(w, "epoch", fmt.Sprintf("%d, by %s, entry %d of the ledger", v.Epoch, v.Kind, v.Entry))
			row(w, "key set", v.KeySet)
			row(w, "release key", v.ReleaseKey)
			if v.Dealt {
				row(w, "dealer", "one dealer once knew the release key: the mark stays")
			}
			printRoles(w, v.Roles)
			row(w)
		}
		row(w, "verified here: the administrator's order, every certificate, every entry of the ledger")
	})
}
