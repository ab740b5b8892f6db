// Package policy decides. Given a request and the policies in force,
// [Set.Decide] returns allow or deny with rule ids and reasons, and nothing
// else happens: no clock, no network, no database. Vault and keyholder each
// evaluate the same set and write its digest into their books.
//
// Policies are Cedar (https://www.cedarpolicy.com). A set has three sources:
// what this package forbids always (builtin.cedar), what law forbids
// (package regulation), and what the operator permits. Any forbid beats any
// permit, and a policy that cannot be evaluated refuses.
//
// It does not authenticate, keep budgets, or know which fields a schema has.
//
// Start at [Compile] and [Request]. The vocabulary of policies is in
// spec/policy.md.
package policy
