// Package keyholderd is the keyholder's process: its folder and configuration,
// the line to the vault over mutual TLS, the operator's socket in the folder,
// and taking up new certificates, grants, directories and policies without a
// restart. It decides nothing: package keyholder does.
//
// A keyholder's folder, for its owner only:
//
//	keyholder.yaml    configuration
//	keyholder.db      the key-use book, wrapped subject keys, tombstones
//	keyring.json      the keyholder's own secrets, sealed by the driver key
//	driver.key        the driver key, sealed by a passphrase, or a mark that it is in shares
//	tls/              its certificate authority and certificate
//	public.json       what goes into the directory
//	cells.json(.sig)  the directory, put here by the administrator
//	policy.cedar      the operator's policy
//	grants.json       the grant set, signed by the administrator
//	keyholder.sock    the operator's socket while it runs
//
// Never keep copies of keyring.json with copies of keyholder.db: an erased
// person is gone from a copy of the database only while no copy of the cell
// key of that time is left.
//
// Start at [Init] and [Serve], and at [DialLocal] for what an operator asks of
// a running one.
package keyholderd
