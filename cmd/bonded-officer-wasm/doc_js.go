// Command bonded-officer-wasm is what the pages of a requester compute with: it
// makes and opens an officer's key file, signs calls, requests and decisions,
// and checks and opens release packages, by the same packages as bonded
// request. It runs in a worker of the page; ending the worker forgets
// everything. It is built for GOOS=js GOARCH=wasm only.
//
// It fetches nothing and keeps nothing. The page calls one function,
// bondedOfficer(name, arguments in JSON, bytes), which returns an object with a
// member answer, or error, both JSON. Start at calls.
package main
