// Package packs holds the rules that ship with Bonded, as data, one file per
// pack and version, <id>/<version>.yaml: the regulation packs, and the rules
// of the front door.
//
// A pack is data for an engine, not legal advice. Every rule says where it
// comes from and how sure we are of it; what nobody has yet checked against a
// source is marked unverified and shows so in every decision. The formats are
// described in spec/policy.md and spec/frontdoor-rules.md; packages regulation
// and rules read them.
//
// Start at [Files].
package packs

import "embed"

// Files holds <id>/<version>.yaml for every regulation pack that ships.
//
//go:embed br/*.yaml cn-data/*.yaml eu/*.yaml gb/*.yaml in/*.yaml ru/*.yaml us/*.yaml
var Files embed.FS

// FrontDoor holds frontdoor/<version>.yaml: what the front door lets through,
// by which steps and in what time.
//
//go:embed frontdoor/*.yaml
var FrontDoor embed.FS
