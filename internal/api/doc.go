// Package api is the HTTP face of a cell: it reads requests under /v1
// strictly, says who asks, limits how much, hands the request to the vault
// and turns the answer or the error into HTTP. Only here do error codes
// become statuses.
//
// It decides nothing about data: package vault does, and enters every call.
// What this package refuses itself for a known principal it has entered too;
// unauthenticated calls it has counted. It logs no body, no value and no id
// of a person.
//
// Start at [New]; the way of one call is in (*API).serve, the table of
// endpoints in endpoints.go, the strict decoder in shape.go and scan.go.
package api
