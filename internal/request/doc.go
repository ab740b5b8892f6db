// Package request reads what an officer writes to ask for a case: one YAML
// file with the authorisation and its tasks, the members of
// [verify.CaseRequest] by the same names. It adds what a person should not
// have to write, such as hashes of documents, and refuses early what the front
// door would refuse: no target, a star, an open end.
//
// It decides nothing: which process opens what is in the rules of the front
// door. It reads documents through the folder it is given and does no other
// I/O.
//
// Start at [Parse], [File.Request] and [Template].
package request
