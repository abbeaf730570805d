// Package audit is the transparency log of one replica: what every use of a key stands in before and after it happened,
// in a Merkle tree that nobody, the operator included, can change without being seen. It is a C2SP tlog-tiles log with
// checkpoints signed by a key of the service, and the only user of Tessera.
//
// Each kind of leaf is one file: Intent and Outcome around the use of a key, Rekord for each signature (the entry of Rekor v2, so
// that stock Sigstore clients verify it), Draft and Certificate around the issue of
// one, Start for the keys a process opened.
package audit

import (
	"context"
	"crypto"
)

// Signer is the key that signs checkpoints; hsm.Signer is one. Safe for concurrent use.
type Signer interface {
	Public() crypto.PublicKey
	Hash() crypto.Hash                                               // the one digest that Sign accepts
	Sign(ctx context.Context, digest []byte) (sig []byte, err error) // ECDSA as ASN.1 DER, RSA as PKCS#1 v1.5
}

// Memory is what is known of the log apart from its directory: the last checkpoint that was signed. A log that was put
// back from a backup, or was changed on disk, does not match it. Safe for concurrent use.
type Memory interface {
	// LastCheckpoint returns the newest checkpoint of the log named origin that was remembered; size 0 and no root when
	// there is none.
	LastCheckpoint(ctx context.Context, origin string) (size uint64, root []byte, err error)
	// RememberCheckpoint is durable when it returns: the checkpoint is used only then. It refuses a size smaller than
	// the remembered one, and another root for the same size; the same size and root again is fine.
	RememberCheckpoint(ctx context.Context, origin string, size uint64, root []byte) error
}
