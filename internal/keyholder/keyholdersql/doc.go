// Package keyholdersql keeps a keyholder's book, wrapped subject keys and
// tombstones in SQLite. It decides nothing: package keyholder does.
//
// Start at [Open]; the tables are in migrations/.
package keyholdersql
