package cli

import (
	"context"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"bonded"
	"bonded/internal/operator"
	"bonded/verify"
)

// approvalsSuffix is what the file of approvals has after the directory's name.
const approvalsSuffix = ".approvals"

type directoryApprovalsCommands struct {
	Assemble directoryAssemble `cmd:"" help:"Check that approvals are a quorum, and write cells.json.approvals."`
}

type directoryAssemble struct {
	directoryFlags
	Approvals []string `arg:"" type:"existingfile" help:"Files that bonded-custodian directory approve wrote."`
	Out       string   `short:"f" name:"out" required:"" placeholder:"OUT" help:"File to write, named after the new directory beside it: cells.json.approvals."`
}

type assembledView struct {
	Version uint64          `json:"version"`
	Digest  string          `json:"digest"`
	Cells   []assembledCell `json:"cells"`
	File    string          `json:"file"`
}

type assembledCell struct {
	Cell       bonded.CellID `json:"cell"`
	Epoch      uint64        `json:"epoch"` // 0: no custodians yet
	Custodians []string      `json:"custodians"`
}

// Run implements the command. It needs no key: whoever has the files can do it.
func (c *directoryAssemble) Run(ctx context.Context, s *streams) error {
	// 1. What is approved.
	path, ok := strings.CutSuffix(c.Out, approvalsSuffix)
	if !ok {
		return &bonded.Error{Code: bonded.CodeInvalid, Field: "--out", Message: "the file is named after the directory, with " + approvalsSuffix + " at the end", Hint: "such as cells.json.approvals, beside the new cells.json"}
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return &bonded.Error{Code: bonded.CodeConfig, Field: path, Message: "the new directory cannot be read", Err: err, Hint: "it stands beside the file of approvals"}
	}
	next, err := verify.ParseDirectory(raw)
	if err != nil {
		return err
	}
	digest := verify.DirectoryDigest(raw)
	var all []*verify.DirectoryApproval
	for _, name := range c.Approvals {
		b, err := os.ReadFile(name) //nolint:gosec // as above
		if err != nil {
			return &bonded.Error{Code: bonded.CodeConfig, Field: name, Message: "the approvals cannot be read", Err: err}
		}
		list, err := verify.ParseDirectoryApprovals(b)
		if err != nil {
			return &bonded.Error{Code: bonded.CodeInvalid, Field: name, Message: verify.FailureOf(err).Message, Err: err, Hint: "bonded-custodian directory approve writes it"}
		}
		all = append(all, list...)
	}
	file := verify.EncodeDirectoryApprovals(all)
	if all, err = verify.ParseDirectoryApprovals(file); err != nil { // each once
		return err
	}
	// 2. A quorum in each cell that has custodians.
	v := assembledView{Version: next.Version, Digest: hex.EncodeToString(digest[:]), File: c.Out, Cells: []assembledCell{}}
	now, err := c.readDirectory()
	if err != nil {
		return err
	}
	for i := range now.Cells {
		cell, err := c.cell(ctx, now.Cells[i].ID, next.Version, digest, all)
		if err != nil {
			return err
		}
		v.Cells = append(v.Cells, *cell)
	}
	// 3. Written.
	if err := os.WriteFile(c.Out, file, 0o600); err != nil { //nolint:gosec // the operator names the file
		return err
	}
	return s.print(v, func(w *tabwriter.Writer) {
		row(w, "directory", v.Version)
		row(w, "digest", v.Digest)
		for _, x := range v.Cells {
			if x.Epoch == 0 {
				row(w, "cell "+string(x.Cell), "no custodians yet: nobody has to approve")
				continue
			}
			row(w, "cell "+string(x.Cell), "approved by "+strings.Join(x.Custodians, ", "))
		}
		row(w, "written", v.File)
	})
}

// cell checks the approvals of one cell against its custodians in force.
func (c *directoryAssemble) cell(ctx context.Context, id bonded.CellID, version uint64, digest [32]byte, all []*verify.DirectoryApproval) (*assembledCell, error) {
	v := &assembledCell{Cell: id, Custodians: []string{}}
	p, d, err := c.public(id)
	if err != nil {
		return nil, err
	}
	chain, err := p.Custody(ctx)
	if bonded.CodeOf(err) == bonded.CodeUnsupported {
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	h, err := operator.CheckHistory(d, id, chain)
	if err != nil {
		return nil, err
	}
	set := h.Current()
	if set == nil {
		return v, nil
	}
	if err := verify.CheckDirectoryApprovals(set.Custodians(), version, digest, all); err != nil {
		return nil, &bonded.Error{
			Code: bonded.CodeForbidden, Field: "cell " + string(id), Message: "the approvals are no quorum: " + verify.FailureOf(err).Message, Err: err,
			Rules: []string{"directory-quorum"}, Hint: "ask the custodians who have not approved yet: bonded custodians show lists them",
		}
	}
	v.Epoch = set.Epoch()
	for _, a := range all {
		if a.Cell == id {
			v.Custodians = append(v.Custodians, a.Custodian)
		}
	}
	slices.Sort(v.Custodians)
	return v, nil
}
