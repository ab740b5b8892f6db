// Package yamlstrict reads YAML files that people write: configuration,
// collection schemas, import maps, regulation packs and policy tables. One
// document per file; an unknown, repeated or missing key is an error that
// names file, line, column and the nearest right key.
//
// It reads a plain part of YAML: no anchors, aliases, merge keys or tags, and
// no nesting beyond [MaxDepth]. It never echoes a value into an error, since
// a file may hold a secret by mistake. It writes no YAML.
//
// Start at [Decode].
package yamlstrict
