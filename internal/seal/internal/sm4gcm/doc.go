// Package sm4gcm implements the SM4-GCM AEAD of RFC 8998 with random nonces.
//
// It gives SM4 the contract that [crypto/cipher.NewGCMWithRandomNonce] gives
// AES and to AES only: the caller has no nonce to get wrong. The block cipher
// is github.com/emmansun/gmsm/sm4, the mode is the standard library's or
// gmsm's fused one, whichever the machine has. Start at [New].
package sm4gcm
