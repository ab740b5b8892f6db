//go:build !js

package request

import "bonded/internal/yamlstrict"

// Parse reads a request strictly. Errors have code bad_config and name file,
// line and column; they never show a value.
func Parse(name string, b []byte) (*File, error) {
	f := new(File)
	if err := yamlstrict.Decode(name, b, f); err != nil {
		return nil, err
	}
	return f, nil
}
