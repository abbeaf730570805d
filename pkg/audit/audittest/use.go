package audittest

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// Key is a key that signs artifacts; sealtest.Key is one.
type Key interface {
	audit.Signer
	Name() string
}

// Start tells the log that a process began with these keys.
func Start(ctx context.Context, l *audit.Log, replica string, keys ...Key) error {
	start := audit.Start{Replica: replica, Version: "test", At: time.Now()}
	for _, k := range keys {
		spki, err := spkiOf(k.Public())
		if err != nil {
			return err
		}
		start.Keys = append(start.Keys, audit.OpenedKey{Name: k.Name(), SPKI: spki, Use: "artifact"})
	}
	_, err := add(ctx, l, start)
	return err
}

// Use uses a key for some bytes as the service does, and returns what the log has of it. The intent's number, and whatever
// else is given, is taken.
func Use(ctx context.Context, l *audit.Log, k Key, in audit.Intent, content []byte) (intent uint64, r audit.Rekord, err error) {
	hash := k.Hash().New()
	hash.Write(content)
	if in.SPKI, err = spkiOf(k.Public()); err != nil {
		return 0, r, err
	}
	in.Subject, in.Key, in.Purpose, in.At = sha256.Sum256(content), k.Name(), "sign", time.Now()
	in.Policy, in.Grant = cmp.Or(in.Policy, "release"), cmp.Or(in.Grant, fmt.Sprintf("grant-%d", in.ID))
	if in.PolicySet.IsZero() {
		in.PolicySet = sha256.Sum256([]byte("policies"))
	}
	if in.Replica == "" {
		in.Replica = "one"
	}
	if intent, err = add(ctx, l, in); err != nil {
		return 0, r, err
	}
	r = audit.Rekord{Digest: hash.Sum(nil), Hash: k.Hash(), Verifier: audit.Verifier{PublicKey: k.Public()}}
	if r.Signature, err = k.Sign(ctx, r.Digest); err != nil {
		return 0, r, err
	}
	body, err := r.Marshal()
	if err != nil {
		return 0, r, err
	}
	p, err := l.Append(ctx, body)
	if err != nil {
		return 0, r, err
	}
	_, err = add(ctx, l, audit.Outcome{
		Intent: intent, Result: audit.Sealed, At: time.Now(),
		Uses: []audit.Use{{Signature: sha256.Sum256(r.Signature), Entries: []uint64{p.Index}}},
	})
	return intent, r, err
}

func add(ctx context.Context, l *audit.Log, leaf audit.Leaf) (uint64, error) {
	body, err := leaf.Marshal()
	if err != nil {
		return 0, err
	}
	return l.Add(ctx, body)
}

func spkiOf(pub crypto.PublicKey) (artifact.Digest, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	return sha256.Sum256(der), err
}
