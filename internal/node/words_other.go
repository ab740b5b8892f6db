//go:build !unix

package node

import "errors"

// SchemaWords is not there where vaults do not run.
func SchemaWords(string) (collections, purposes []string, err error) {
	return nil, nil, errors.New("vaults do not run on this system")
}
