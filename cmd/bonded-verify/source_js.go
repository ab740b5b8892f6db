package main

import "errors"

// overHTTP is not there in a browser: the page fetches, and net/http would
// more than double the program.
func overHTTP(_, _ string) (fetch func(string) ([]byte, error), closer func(), err error) {
	return nil, nil, &usageError{errors.New("this build reads ledgers from folders only"), "fetch the ledger first"}
}
