//go:build unix

package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"bonded"
	"bonded/verify"

	"golang.org/x/mod/sumdb/tlog"
)

// errNothingYet says that a witness knows the log and has cosigned nothing.
var errNothingYet = errors.New("witness has cosigned nothing yet")

// LatestOf asks one witness for the newest checkpoint of origin that it has
// cosigned, and checks the log's and that witness's signatures. It returns nil
// and no error if the witness has cosigned none yet.
//
// The call, GET /latest below the witness's URL, is Bonded's addition to C2SP
// tlog-witness (spec/witness.md).
func LatestOf(ctx context.Context, client *http.Client, w verify.PolicyWitness, origin, logVkey string) (*verify.Checkpoint, error) {
	cp, err := latestOf(ctx, client, w, origin, logVkey)
	if errors.Is(err, errNothingYet) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask witness %s: %w", w.Name, err)
	}
	return cp, nil
}

func latestOf(ctx context.Context, client *http.Client, w verify.PolicyWitness, origin, logVkey string) (*verify.Checkpoint, error) {
	u := strings.TrimSuffix(w.URL, "/") + "/latest?origin=" + url.QueryEscape(origin)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req) //nolint:gosec // the address is the operator's own, from the witness policy
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNoContent {
		return nil, errNothingYet
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxWitnessAnswer))
	if err != nil {
		return nil, err
	}
	alone, err := verify.ParseWitnessPolicy(fmt.Appendf(nil, "witness w %s\nquorum w\n", w.Vkey))
	if err != nil {
		return nil, err
	}
	return verify.OpenCheckpoint(raw, logVkey, alone)
}

// refuseRestored asks the witnesses what they have last cosigned and refuses
// with [bonded.CodeRestored] if the folder's tree is smaller than, or
// contradicts, any of their answers. It asks until those that have not
// answered could not by themselves have been a quorum: then every checkpoint
// that was ever published is covered by an answer. Without that in time it
// refuses with [bonded.CodeStale].
func (l *Ledger) refuseRestored(ctx context.Context) error {
	size, root, err := l.files.treeState()
	if err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "the ledger's tree state cannot be read")
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.StartTimeout)
	defer cancel()

	answered := map[string]bool{}
	for {
		for _, cp := range l.askWitnesses(ctx, answered) {
			if err := l.extends(cp, size, root); err != nil {
				return err
			}
		}
		var have, silent []string
		for _, w := range l.policy.Witnesses() {
			if answered[w.Name] {
				have = append(have, w.Name)
			} else {
				silent = append(silent, w.Name)
			}
		}
		if l.policy.Satisfied(have...) && !l.policy.Satisfied(silent...) {
			return nil
		}
		select {
		case <-ctx.Done():
			e := bonded.Errorf(bonded.CodeStale, "%d of %d witnesses answered; too few to know whether this ledger is an old copy", len(have), len(have)+len(silent))
			e.Hint = "start the witnesses first, and check their addresses and certificates"
			return e
		case <-time.After(l.cfg.CheckpointInterval):
		}
	}
}

// askWitnesses asks those who have not answered yet, all at once, and notes
// who did.
func (l *Ledger) askWitnesses(ctx context.Context, answered map[string]bool) []*verify.Checkpoint {
	var mu sync.Mutex
	var out []*verify.Checkpoint
	var wg sync.WaitGroup
	for _, w := range l.policy.Witnesses() {
		if answered[w.Name] {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, l.cfg.WitnessTimeout)
			defer cancel()
			cp, err := latestOf(ctx, l.cfg.HTTPClient, w, l.cfg.Origin, l.vkey)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				out = append(out, cp)
				answered[w.Name] = true
			case errors.Is(err, errNothingYet):
				answered[w.Name] = true
			default:
				l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "witness does not say what it cosigned last", slog.String("witness", w.Name), slog.Any("error", err))
			}
		})
	}
	wg.Wait()
	return out
}

// extends checks that the folder's tree extends what a witness has cosigned.
func (l *Ledger) extends(cp *verify.Checkpoint, size int64, root tlog.Hash) error {
	if cp.Size > size {
		e := bonded.Errorf(bonded.CodeRestored, "the ledger folder holds %d entries, but a witness has cosigned %d: it is an old copy", size, cp.Size)
		e.Hint = "restore the newest copy or mirror of the ledger"
		return e
	}
	if cp.Size == 0 {
		return nil
	}
	got, err := tlog.TreeHash(cp.Size, l.files.tree(size, root))
	if err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "the ledger's tiles do not make its own tree")
	}
	if got != cp.Root {
		return bonded.Errorf(bonded.CodeRestored, "the ledger folder contradicts the checkpoint of %d entries that a witness has cosigned", cp.Size)
	}
	return nil
}
