package ui

import (
	"net/url"

	"github.com/a-h/templ"

	"bonded/internal/locale"
)

// A Page is what the frame shows around the content.
type Page struct {
	*locale.Printer

	Title   string // of this page
	Site    string // of all pages of this program, such as "Console"
	Where   string // which cell, or whose page
	Home    string // address of the first page
	Menu    []Item // empty: no menu
	Asset   func(name string) string
	Scripts []string        // plain names of module scripts
	Tongues []Tongue        // languages to choose from; empty: none
	End     templ.Component // at the end of the bar: who is signed in, sign out
	Foot    templ.Component // nil: none
	Narrow  bool            // text, not tables
	Live    string          // address of the stream of changes; empty: the page stands still
	Meta    []MetaTag       // for scripts

	// Of pages that are files, where no server sends headers.
	Policy    string                   // Content Security Policy; empty: the server's
	Integrity func(name string) string // of assets; nil: none
}

// A MetaTag tells the page's script something.
type MetaTag struct{ Name, Content string }

// An Item is one line of the menu.
type Item struct {
	Key     string // of the words
	Href    string
	Count   int // 0: none shown
	Current bool
}

// A Tongue is a language that the page can be read in.
type Tongue struct {
	Tag, Name, Href string
	Current         bool
}

// TonguesOf returns the languages of the catalogue as addresses of this page.
func TonguesOf(p *locale.Printer, here *url.URL) []Tongue {
	var out []Tongue
	for _, tag := range p.Languages() {
		q := here.Query()
		q.Set("lang", tag)
		out = append(out, Tongue{Tag: tag, Name: p.Name(tag), Href: here.Path + "?" + q.Encode(), Current: tag == p.Lang})
	}
	return out
}

// Kinds of marks and notices.
const (
	Plain = ""
	Good  = "good"
	Bad   = "bad"
	Warn  = "warn"
	Info  = "info"
)

// Short returns the beginning of a long id or digest.
func Short(s string) string {
	if len(s) <= 20 {
		return s
	}
	return s[:12] + "…" + s[len(s)-4:]
}
