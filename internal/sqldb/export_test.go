package sqldb

import (
	"context"
	"errors"
)

// ProveWriter opens a writer's connection with one more setting than usual,
// which comes last.
func ProveWriter(ctx context.Context, path, pragma string) error {
	pragmas := writerPragmas(1024)
	var kept []string
	name := func(p string) string {
		for i := range p {
			if p[i] == '(' {
				return p[:i]
			}
		}
		return p
	}
	for _, p := range pragmas {
		if name(p) != name(pragma) {
			kept = append(kept, p)
		}
	}
	conn, err := newConnector(path, append(kept, pragma), writerProofs).Connect(ctx)
	if err != nil {
		return err
	}
	return errors.Join(conn.Close())
}
