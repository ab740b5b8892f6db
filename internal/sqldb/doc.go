// Package sqldb opens a party's SQLite database, runs its migrations and
// commits for it. It knows no tables, and takes nobody's word that a commit
// is durable: every connection is asked for its settings before it is used.
//
// All changes go through one writer goroutine, which gathers the jobs that
// wait and commits them together: one disk flush for many callers. A job that
// fails is rolled back alone. When [DB.Do] returns nil the change survives a
// crash of the machine.
//
// Start at [Open], then [DB.Do] for changes and [DB.Read] for reading.
package sqldb
