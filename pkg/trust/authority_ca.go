package trust

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Parent is who signs the certificate of an authority: its key and its chain, its own certificate first, root last.
type Parent struct {
	Key   Signer
	Chain []*x509.Certificate
}

// NewRoot makes the certificate of a root, signed by itself. One signature of the key.
func NewRoot(ctx context.Context, key Signer, o Order) ([]byte, error) {
	return newCA(ctx, KindRoot, key, nil, key.Public(), o)
}

// NewIssuing makes the certificate of an issuing authority: it may sign leaves for code signing, and no authority below
// itself. One signature of the parent's key.
func NewIssuing(ctx context.Context, parent Parent, public crypto.PublicKey, o Order) ([]byte, error) {
	return newBelow(ctx, KindIssuing, parent, public, o)
}

// NewTimestamping makes the certificate of a time-stamping key, which is good for nothing else. One signature of the
// parent's key.
func NewTimestamping(ctx context.Context, parent Parent, public crypto.PublicKey, o Order) ([]byte, error) {
	return newBelow(ctx, KindTimestamping, parent, public, o)
}

func newBelow(ctx context.Context, kind Kind, parent Parent, public crypto.PublicKey, o Order) ([]byte, error) {
	if err := CheckChain(parent.Chain, KindRoot, parent.Key.Public(), o.now()); err != nil {
		return nil, fmt.Errorf("making a certificate (%s): parent: %w", kind, err)
	}
	for _, c := range parent.Chain {
		if sameKey(c.PublicKey, public) {
			return nil, fmt.Errorf("making a certificate (%s): %w: it would be of the same key as %s above it", kind, ErrProfile, nameOf(c))
		}
	}
	return newCA(ctx, kind, parent.Key, parent.Chain, public, o)
}

// newCA makes the certificate of an authority. above is empty for a root.
func newCA(ctx context.Context, kind Kind, key Signer, above []*x509.Certificate, public crypto.PublicKey, o Order) ([]byte, error) {
	failed := func(err error) ([]byte, error) { return nil, fmt.Errorf("making a certificate (%s): %w", kind, err) }
	now := o.now()
	from, to, err := within(now.Add(-backdateCA), now.Add(o.life(kind)), now, above)
	if err != nil {
		return failed(err)
	}
	t, err := template(public, o.Subject, from, to)
	if err != nil {
		return failed(err)
	}
	switch kind {
	case KindRoot:
		asCA(t, 1)
		t.AuthorityKeyId = t.SubjectKeyId // who judges the draft cannot see yet that it signs itself
	case KindIssuing:
		asCA(t, 0)
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	default:
		if err := asTimestamping(t); err != nil {
			return failed(err)
		}
	}
	if o.Profile == ProfileCABF {
		if err := asCABF(t, kind, o.Addresses); err != nil {
			return failed(err)
		}
	}
	m, err := newMaker(key)
	if err != nil {
		return failed(err)
	}
	var parent *x509.Certificate
	if len(above) > 0 {
		parent = above[0]
	}
	draft, err := m.draftOf(t, parent, public)
	if err != nil {
		return failed(err)
	}
	if err := Lint(draft, parent, kind, o.Profile); err != nil {
		return failed(err)
	}
	made, err := m.sign(ctx, draft)
	if err != nil {
		return failed(err)
	}
	if err := Lint(made, parent, kind, o.Profile); err != nil { // again: some rules are for what signs itself
		return failed(err)
	}
	if err := CheckChain(slices.Concat([]*x509.Certificate{made}, above), kind, public, now); err != nil {
		return failed(err)
	}
	return made.Raw, nil
}

func (o Order) now() time.Time {
	if o.Now.IsZero() {
		return time.Now()
	}
	return o.Now
}

func (o Order) life(kind Kind) time.Duration {
	switch {
	case o.Life != 0:
		return o.Life
	case kind == KindRoot:
		return defaultRootLife
	}
	return defaultCALife
}
