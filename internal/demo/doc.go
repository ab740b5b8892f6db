// Package demo is the main job told as a story: a deployment of two cells,
// people of eight countries, reads, refusals, an erasure, restored old
// copies, verification. Everything in it is done by the real programs over
// real sockets; the package only asks and prints.
//
// Start at [Run].
package demo
