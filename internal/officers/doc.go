// Package officers is the pages for registered officers of agencies: to make
// keys, file requests, follow cases, and open release packages. The pages are
// static. They call the API of the front door as bonded request does, each call
// signed in the browser; the key file never leaves it.
//
// What they compute with is WebAssembly built from cmd/bonded-officer-wasm, in
// files beside the program. Without them the pages say which commands do the
// same. This package decides nothing and knows nobody. Start at [New].
package officers
