//go:build unix

package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bonded"
	"bonded/verify"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// An answer is what a witness says of its newest checkpoint of our log.
type answer struct {
	size int64
	cp   *verify.Checkpoint // nil if it has none, or told only the size
}

// askLatest asks one witness for the newest checkpoint it has cosigned, by the
// call that Bonded's own witness adds to C2SP tlog-witness (spec/witness.md).
// One that does not have the call is asked for the size alone.
func (l *Ledger) askLatest(ctx context.Context, w verify.PolicyWitness) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.LatestURL(l.cfg.Origin), http.NoBody)
	if err != nil {
		return answer{}, err
	}
	status, _, body, err := l.ask(req)
	switch {
	case err != nil:
		return answer{}, err
	case status == http.StatusNoContent:
		return answer{}, nil
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return l.askSize(ctx, w)
	case status != http.StatusOK:
		return answer{}, fmt.Errorf("status %d", status)
	}
	cp, err := w.OpenLatest(body, l.vkey)
	if err != nil {
		return answer{}, err
	}
	return answer{size: cp.Size, cp: cp}, nil
}

// askSize asks a witness by the way that C2SP tlog-witness allows: it submits
// a checkpoint from old size zero, and is told the size last cosigned in the
// refusal. The checkpoint is the one already published, so that nothing new is
// signed for a folder that may be an old copy. Contradictions at that size are
// refused by the witness itself when the writer submits.
func (l *Ledger) askSize(ctx context.Context, w verify.PolicyWitness) (answer, error) {
	raw, err := l.files.root.ReadFile(verify.CheckpointPath)
	if errors.Is(err, fs.ErrNotExist) {
		empty := fmt.Sprintf("%s\n0\n%s\n", l.cfg.Origin, verify.TreeRoot(nil))
		raw, err = note.Sign(&note.Note{Text: empty}, l.signer)
	}
	if err != nil {
		return answer{}, err
	}
	body := append([]byte("old 0\n\n"), raw...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(w.URL, "/")+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	status, contentType, reply, err := l.ask(req)
	switch {
	case err != nil:
		return answer{}, err
	case status == http.StatusOK: // it knew nothing, or had nothing but an empty tree
		return answer{}, nil
	case status == http.StatusConflict && contentType == "text/x.tlog.size":
		size, err := strconv.ParseInt(strings.TrimSuffix(string(reply), "\n"), 10, 64)
		if err != nil || size < 0 {
			return answer{}, errors.New("answered a size that is none")
		}
		return answer{size: size}, nil
	}
	return answer{}, fmt.Errorf("status %d", status)
}

func (l *Ledger) ask(req *http.Request) (status int, contentType string, body []byte, err error) {
	resp, err := l.cfg.HTTPClient.Do(req)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxWitnessAnswer))
	return resp.StatusCode, resp.Header.Get("Content-Type"), body, err
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
		for _, a := range l.askWitnesses(ctx, answered) {
			if err := l.extends(a, size, root); err != nil {
				return err
			}
		}
		if l.policy.Covered(slices.Collect(maps.Keys(answered))...) {
			return nil
		}
		select {
		case <-ctx.Done():
			e := bonded.Errorf(bonded.CodeStale, "%d of %d witnesses answered; too few to know whether this ledger is an old copy", len(answered), len(l.policy.Witnesses()))
			e.Hint = "start the witnesses first, and check their addresses and certificates"
			return e
		case <-time.After(l.cfg.CheckpointInterval):
		}
	}
}

// askWitnesses asks those who have not answered yet, all at once, and notes
// who did.
func (l *Ledger) askWitnesses(ctx context.Context, answered map[string]bool) []answer {
	var mu sync.Mutex
	var out []answer
	var wg sync.WaitGroup
	silent := slices.DeleteFunc(l.policy.Witnesses(), func(w verify.PolicyWitness) bool { return answered[w.Name] })
	for _, w := range silent {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, l.cfg.WitnessTimeout)
			defer cancel()
			a, err := l.askLatest(ctx, w)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "witness does not say what it cosigned last", slog.String("witness", w.Name), slog.Any("error", err))
				return
			}
			out = append(out, a)
			answered[w.Name] = true
		})
	}
	wg.Wait()
	return out
}

// extends checks that the folder's tree extends what a witness has cosigned.
func (l *Ledger) extends(a answer, size int64, root tlog.Hash) error {
	if a.size > size {
		e := bonded.Errorf(bonded.CodeRestored, "the ledger folder holds %d entries, but a witness has cosigned %d: it is an old copy", size, a.size)
		e.Hint = "restore the newest copy or mirror of the ledger"
		return e
	}
	if a.cp == nil || a.size == 0 {
		return nil
	}
	got, err := tlog.TreeHash(a.size, l.files.tree(size, root))
	if err != nil {
		return bonded.Wrap(bonded.CodeAltered, err, "the ledger's tiles do not make its own tree")
	}
	if got != a.cp.Root {
		return bonded.Errorf(bonded.CodeRestored, "the ledger folder contradicts the checkpoint of %d entries that a witness has cosigned", a.size)
	}
	return nil
}
