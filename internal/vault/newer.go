package vault

import (
	"context"
	"encoding/binary"
	"fmt"

	"bonded"
	"bonded/internal/grant"
)

// Names of values kept by [Tx.SetValue]: the highest numbers seen, as 8 bytes.
const (
	valueGrants    = "grants_number"
	valueDirectory = "directory_version"
)

// SetGrants puts a grant set in force. Calls under way keep the grant they
// were authenticated with. A set with a lower number than one seen before has
// code restored_old: an old file, whoever brought it, gives nobody back what
// was taken from them.
func (v *Vault) SetGrants(ctx context.Context, set *grant.Set) error {
	v.granting.Lock()
	defer v.granting.Unlock()
	if err := v.notOlder(ctx, valueGrants, "grant set", set.Number); err != nil {
		return err
	}
	v.principals.Store(newPrincipals(set))
	return nil
}

// notOlder refuses a number below the highest seen, and keeps a higher one.
func (v *Vault) notOlder(ctx context.Context, name, what string, n uint64) error {
	b, err := v.store.Value(ctx, name)
	if err != nil {
		return fmt.Errorf("read number of the %s: %w", what, err)
	}
	var seen uint64
	if b != nil {
		if len(b) != 8 {
			return altered(nil)
		}
		seen = binary.BigEndian.Uint64(b)
	}
	switch {
	case n < seen:
		return &bonded.Error{
			Code: bonded.CodeRestored, Message: fmt.Sprintf("%s %d is older than %d, which this vault has seen", what, n, seen),
			Hint: "put the newest file back, with its signature",
		}
	case n == seen:
		return nil
	}
	if _, err := v.store.Commit(ctx, nil, func(tx Tx) error { return tx.SetValue(name, binary.BigEndian.AppendUint64(nil, n)) }); err != nil {
		return notWritable(err)
	}
	return nil
}
