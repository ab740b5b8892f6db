//go:build unix

package node

import (
	"os"
	"slices"

	"bonded/internal/vault"
)

// SchemaWords returns the collections and purposes that the schema in a
// vault's folder knows, sorted.
func SchemaWords(dir string) (collections, purposes []string, err error) {
	conf, err := LoadVaultConfig(dir)
	if err != nil {
		return nil, nil, err
	}
	path := resolve(dir, conf.Schema)
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, nil, err
	}
	schema, err := vault.LoadSchema(path, text)
	if err != nil {
		return nil, nil, err
	}
	for name, c := range schema.Collections {
		collections = append(collections, name)
		for _, p := range c.Purposes {
			purposes = append(purposes, string(p))
		}
		for _, f := range c.Fields {
			for _, p := range f.Purposes {
				purposes = append(purposes, string(p))
			}
		}
	}
	slices.Sort(collections)
	slices.Sort(purposes)
	return collections, slices.Compact(purposes), nil
}
