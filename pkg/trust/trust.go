// Package trust makes what lets others believe a signature without asking us, and judges it: certificates of signing keys,
// time-stamps, and the trusted root, one file that names every authority that a verifier must believe.
//
// It is an edge room. It reaches no key by itself: whoever composes it hands it Signers. Nothing here opens a connection
// but Authorities, which asks time-stamping authorities that configuration names.
package trust

import (
	"context"
	"crypto"
	"errors"
	"time"
)

// Signer is the use of one key; *hsm.Signer is one. It is safe for concurrent use.
type Signer interface {
	Public() crypto.PublicKey
	// Hash is the one digest that Sign accepts.
	Hash() crypto.Hash
	// Sign signs a digest made with Hash: ECDSA as ASN.1 DER, RSA as PKCS#1 v1.5.
	Sign(ctx context.Context, digest []byte) ([]byte, error)
}

// Clock gives a signature a time that others believe. It is safe for concurrent use.
type Clock interface {
	// Stamp returns a whole RFC 3161 TimeStampResp over the bytes of a signature, as bundles carry it, and the time that
	// it states. It was checked as a verifier checks it. Errors wrap ErrTimeUnavailable and may pass.
	Stamp(ctx context.Context, signature []byte) (token []byte, at time.Time, err error)
}

// ErrTimeUnavailable says that nobody gave a time that can be trusted. Nothing may be published without one; another try may succeed.
var ErrTimeUnavailable = errors.New("no trusted time to be had")
