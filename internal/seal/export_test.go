package seal

// SealWithCheapPassphrase is [SealWithPassphrase] at the least cost that opens,
// so that tests can try many altered files.
func SealWithCheapPassphrase(passphrase []byte, label string, plaintext []byte) ([]byte, error) {
	return sealWithPassphrase(passphrase, label, plaintext, argonParams{passes: 1, memory: 8, lanes: 1})
}

// ShareWithValue returns s with another value at its point, and a right
// checksum: a share that was altered on purpose.
func ShareWithValue(s UnsealShare, value [32]byte) UnsealShare {
	b := *s.body()
	b.value = value
	return holdShare(&b)
}

// ShareWithCommitment returns s with another commitment.
func ShareWithCommitment(s UnsealShare, commitment [16]byte) UnsealShare {
	b := *s.body()
	b.commitment = commitment
	return holdShare(&b)
}
