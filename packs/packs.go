// Package packs holds the regulation packs that ship with Bonded, as data:
// one file per pack and version, packs/<id>/<version>.yaml.
//
// A pack is data for an engine, not legal advice. Every rule says where it
// comes from and how sure we are of it; what nobody has yet checked against a
// source is marked unverified and shows so in every decision. The format is
// described in spec/policy.md; package regulation reads it.
//
// Start at [Files].
package packs

import "embed"

// Files holds <id>/<version>.yaml for every pack that ships.
//
//go:embed */*.yaml
var Files embed.FS
