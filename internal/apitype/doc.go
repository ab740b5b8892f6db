// Package apitype is the bodies of the HTTP API under /v1: what the server
// reads and writes, the client sends and the vault understands. It has types
// and tables and no behaviour of its own; package client re-exports what
// users need.
//
// Start at [Routes], and at [Codes] for how errors are shown.
package apitype
