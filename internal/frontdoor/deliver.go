package frontdoor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bonded"
	"bonded/internal/frontdoor/frontdoorsql"
	"bonded/internal/quorum"
	"bonded/internal/release"
	"bonded/verify"
)

// Outcomes of a delivery.
const (
	outcomeFull = "full"
	outcomePart = "part"
	outcomeNone = "none"
)

// receiptsAtOnce is how many receipts the vault is asked for at the same time.
const receiptsAtOnce = 32

// made is a package that stands in its folder.
type made struct {
	pack    pack
	digest  [32]byte
	outcome string
}

// packagePath is where the package of a case stands, sealed for rest.
func (s *Service) packagePath(id bonded.CaseID) string {
	return filepath.Join(s.cfg.Packages, id.String()+".sealed")
}

// writePackage writes the package of a case from what was released, item by
// item, sealed for rest, into a file beside it, and moves it into place once it
// is whole and on disk. Memory does not grow with the case. Where shut is not
// empty, items with quorum fields are refused with that code.
func (s *Service) writePackage(ctx context.Context, q frontdoorsql.Q, c *kase, ev *evidence, shut bonded.Code) (_ *made, err error) {
	path := s.packagePath(c.id)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, bonded.Wrap(bonded.CodeNotWritable, err, "the release package cannot be written")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(path+".tmp"))
		}
	}()

	// 1. What stands before the items.
	head, err := s.packageHead(ctx, q, c, ev)
	if err != nil {
		return nil, err
	}
	sealer := &packageSealer{w: f, key: s.cfg.Key, id: c.id.ID}
	size := &counter{w: sealer}
	p, err := release.NewWriter(size, head)
	if err != nil {
		return nil, err
	}

	// 2. The items, each with what the quorum made of its envelope.
	var o *quorum.Opening
	if c.Scope.Sealed > 0 && shut == "" {
		if o, err = s.opening(ctx, q, c); err != nil {
			return nil, err
		}
	}
	released := 0
	for page := 0; page*scopePage < c.Scope.Items; page++ {
		n, err := s.packagePage(q, c, o, shut, page, p)
		if err != nil {
			return nil, err
		}
		released += n
	}

	// 3. The receipts of the rows that released them.
	if err := s.packageReceipts(ctx, q, c, p, shut); err != nil {
		return nil, err
	}
	digest, err := p.Finish(s.cfg.Sign)
	if err != nil {
		return nil, err
	}

	// 4. On disk, then in place.
	if err := errors.Join(sealer.Close(), f.Sync()); err != nil {
		return nil, bonded.Wrap(bonded.CodeNotWritable, err, "the release package cannot be written")
	}
	if err := errors.Join(f.Close(), os.Rename(path+".tmp", path), syncDir(s.cfg.Packages)); err != nil {
		return nil, bonded.Wrap(bonded.CodeNotWritable, err, "the release package cannot be moved into place")
	}
	return &made{
		pack:    pack{SHA256: hexOf(digest), Size: size.n, Expires: time.Unix(c.Scope.Expires, 0).UTC()},
		digest:  digest,
		outcome: c.outcome(released),
	}, nil
}

// A counter counts what is written to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// outcome says how much of what was asked is in the package.
func (c *kase) outcome(released int) string {
	whole := true
	existence := false
	for i := range c.Tasks {
		whole = whole && c.Tasks[i].Code == ""
		existence = existence || c.Tasks[i].Code == "" && c.Tasks[i].Kind == "confirm_existence" && c.Tasks[i].Matched > 0
	}
	switch {
	case released == 0 && !existence:
		return outcomeNone
	case whole && released == c.Scope.Items:
		return outcomeFull
	}
	return outcomePart
}

// packageHead collects who asked, who approved, and the proofs of both.
func (s *Service) packageHead(ctx context.Context, q frontdoorsql.Q, c *kase, ev *evidence) (*release.Head, error) {
	var copyID [16]byte
	_, _ = rand.Read(copyID[:]) // never fails since Go 1.24
	h := &release.Head{
		Manifest: verify.PackageManifest{
			Made: s.now(), Expires: time.Unix(c.Scope.Expires, 0).UTC(), Copy: verify.NewCopyID(copyID), Suite: s.cfg.Suite, Directory: hexOf(s.cfg.Directory),
		},
		Request: ev.file.statement, ScopeHead: c.Scope.Head, Items: ev.hashes, Approvals: ev.approvals,
		Quorum:  verify.PackageEntry{Opening: ev.quorum.Opening, Proof: ev.quorum.Proof},
		Opening: verify.PackageEntry{Opening: ev.opening.Opening, Proof: ev.opening.Proof},
	}
	chain, err := s.Custody(ctx)
	if err != nil {
		return nil, err
	}
	for i, link := range chain.Certificates {
		if i == 0 {
			h.Ceremony = link.Order
		}
		if uint64(i) >= c.Scope.Epoch { //nolint:gosec // epochs count from 1, and so do certificates
			break
		}
		h.Custody = append(h.Custody, verify.PackageCustody{Certificate: link.Certificate, Entry: verify.PackageEntry{Opening: link.Opening, Proof: []byte(link.Proof)}})
	}
	h.Registry, err = s.registryOf(ctx, q, []registryRef{{verify.RegistryAgency, c.row.Agency, c.AgencyV}, {verify.RegistryPerson, c.row.Officer, c.OfficerV}})
	return h, err
}

// packagePage writes the items of one page and returns how many were released.
func (s *Service) packagePage(q frontdoorsql.Q, c *kase, o *quorum.Opening, shut bonded.Code, page int, p *release.Writer) (released int, err error) {
	items, err := s.scopeItems(q, c.row.ID, c.Round, page)
	if err != nil {
		return 0, err
	}
	var partials [][]*quorum.Partial
	if o != nil {
		if partials, err = s.partialsOf(q, c, page*scopePage, len(items)); err != nil {
			return 0, err
		}
	}
	all := make([]*verify.PackageItem, 0, len(items))
	err = s.releasedPage(q, c, page, func(it *verify.PackageItem) error {
		all = append(all, it)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if len(all) != len(items) {
		return 0, altered("release", nil)
	}
	err = each(len(all), func(i int) error {
		if all[i].Code != "" || items[i].Envelope == [32]byte{} {
			return nil
		}
		if shut != "" {
			all[i] = &verify.PackageItem{Index: all[i].Index, Item: all[i].Item, Code: shut, Row: all[i].Row}
			return nil
		}
		return s.combine(o, &items[i], all[i], partials, i)
	})
	if err != nil {
		return 0, err
	}
	for _, it := range all {
		if it.Code == "" {
			released++
		}
		if err := p.Add(it); err != nil {
			return 0, err
		}
	}
	return released, nil
}

// combine puts the quorum's answer to an item.
func (s *Service) combine(o *quorum.Opening, item *verify.ScopeItem, it *verify.PackageItem, partials [][]*quorum.Partial, at int) error {
	e, label, err := s.envelope(item, it.Envelope)
	if err != nil {
		return err
	}
	combined, err := o.Combine(e, label, partials[at])
	if err != nil {
		return fmt.Errorf("combine item %d: %w", it.Index, err)
	}
	it.Combined = combined.Bytes()
	return nil
}

// packageReceipts writes the receipts of all rows that released something,
// each for the people it is about.
func (s *Service) packageReceipts(ctx context.Context, q frontdoorsql.Q, c *kase, p *release.Writer, shut bonded.Code) error {
	for page := 0; page*scopePage < c.Scope.Items; page++ {
		items, err := s.scopeItems(q, c.row.ID, c.Round, page)
		if err != nil {
			return err
		}
		type key struct {
			row     string
			subject bonded.ID
		}
		var all []key
		err = s.releasedPage(q, c, page, func(it *verify.PackageItem) error {
			item := &items[it.Index-page*scopePage]
			k := key{it.Row, item.Subject}
			if it.Code != "" || shut != "" && item.Envelope != [32]byte{} || slices.Contains(all, k) {
				return nil
			}
			all = append(all, k)
			return nil
		})
		if err != nil {
			return err
		}
		// Each is a row of its own: many at once share a commit.
		receipts := make([]json.RawMessage, len(all))
		err = eachOf(len(all), receiptsAtOnce, func(i int) (err error) {
			receipts[i], err = s.cfg.Records.Receipt(ctx, all[i].row, all[i].subject)
			return err
		})
		if err != nil {
			return err
		}
		for _, r := range receipts {
			if err := p.AddReceipt(r); err != nil {
				return err
			}
		}
	}
	return nil
}
