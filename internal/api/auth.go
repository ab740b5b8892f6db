package api

import (
	"crypto/sha256"
	"strings"

	"bonded"
	"bonded/internal/grant"
	"bonded/verify"
)

// authenticate finds the grant of a call: by bearer key, by client
// certificate, or by both if they name the same one.
func (x *exchange) authenticate() error {
	if x.e.public {
		return nil
	}
	var byKey, byCert *grant.Grant
	var err error
	switch v := x.r.Header["Authorization"]; {
	case len(v) > 1:
		return unauthenticated("the Authorization header stands more than once")
	case len(v) == 1:
		scheme, key, _ := strings.Cut(v[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || key == "" || len(key) > 512 {
			return unauthenticated("the Authorization header does not hold a bearer key")
		}
		if byKey, err = x.a.service.Authenticate(key); err != nil {
			return err
		}
	}
	// The handshake proved that the caller has the key of the certificate;
	// the grant names that very key, so no authority has to vouch for it.
	if x.r.TLS != nil && len(x.r.TLS.PeerCertificates) > 0 {
		spki := sha256.Sum256(x.r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
		if byCert, err = x.a.service.AuthenticateCert(spki); err != nil {
			return err
		}
	}
	switch {
	case byKey == nil && byCert == nil:
		return unauthenticated("the call names no principal")
	case byKey != nil && byCert != nil && byKey.ID != byCert.ID:
		return unauthenticated("bearer key and certificate belong to two principals")
	case byKey != nil:
		x.call.Grant = byKey
	default:
		x.call.Grant = byCert
	}
	x.call.Assurance = verify.AssuranceVault
	return nil
}

func unauthenticated(message string) error {
	return &bonded.Error{Code: bonded.CodeUnauthenticated, Message: message, Hint: "send Authorization: Bearer <key>, or a client certificate"}
}
