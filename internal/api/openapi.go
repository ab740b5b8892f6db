package api

import _ "embed"

// openAPI is the OpenAPI 3.1 document of the API. A test makes it from
// [apitype.Routes], the types and comments of package apitype and
// [apitype.Codes], and fails when it is not current; UPDATE=1 writes it.
//
//go:embed openapi.json
var openAPI []byte
