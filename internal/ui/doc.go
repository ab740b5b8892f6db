// Package ui is the parts that all pages are put together from: the frame with
// its menu, marks, times, digests, and charts. It knows words only through
// package locale, and nothing of what a page shows.
//
// Files named *_templ.go are written by templ from *.templ: make generate.
// Start at [Frame].
package ui
