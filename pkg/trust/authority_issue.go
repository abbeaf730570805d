package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"
)

// Request asks for the certificate of a signing key.
type Request struct {
	Public   crypto.PublicKey
	Identity string // a URI below Issuer: KeyIdentity or ConfigurationIdentity

	// Announce is told what is about to be signed: the TBSCertificate in DER, linted, as it is before the log's promise is put
	// in. No key signs unless it returned nil. Required: a certificate that nobody heard of cannot be accounted for.
	Announce func(ctx context.Context, tbs []byte) error
}

// Issue makes a leaf: digitalSignature, code signing, one URI, the issuer's name, the log's promise. It was linted and
// announced before a key signed it, and verified afterwards; costs one signature of the authority's key and one of the SCT key.
// Errors wrap ErrCertificateUnavailable.
func (a *Authority) Issue(ctx context.Context, req Request) ([]byte, error) {
	made, err := a.issue(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("%w: for %s: %w", ErrCertificateUnavailable, req.Identity, err)
	}
	return made.Raw, nil
}

func (a *Authority) issue(ctx context.Context, req Request) (*x509.Certificate, error) {
	if req.Announce == nil {
		return nil, fmt.Errorf("%w: nobody is told of the certificate", ErrProfile)
	}
	t, draft, now, err := a.draft(req)
	if err != nil {
		return nil, err
	}
	if err := req.Announce(ctx, bytes.Clone(draft.RawTBSCertificate)); err != nil {
		return nil, fmt.Errorf("announcing it: %w", err)
	}
	if a.config.SCT != nil {
		if draft, err = a.promise(ctx, t, draft, now); err != nil {
			return nil, err
		}
		if err := Lint(draft, a.config.Chain[0], KindLeaf, a.config.Profile); err != nil {
			return nil, err
		}
	}
	made, err := a.maker.sign(ctx, draft)
	if err != nil {
		return nil, err
	}
	if err := a.check(made, now); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.After(a.seen) {
		a.seen = now
	}
	return made, nil
}

// draft is a leaf as it is to be but for the log's promise, linted, signed by a throw-away key, and the template of it.
func (a *Authority) draft(req Request) (t, draft *x509.Certificate, now time.Time, err error) {
	failed := func(err error) (*x509.Certificate, *x509.Certificate, time.Time, error) {
		return nil, nil, time.Time{}, err
	}
	identity, err := a.identity(req.Identity)
	if err != nil {
		return failed(err)
	}
	if now, err = a.tick(); err != nil {
		return failed(err)
	}
	from, to, err := within(now.Add(-backdateLeaf), now.Add(a.config.Validity), now, a.config.Chain)
	if err != nil {
		return failed(err)
	}
	if t, err = template(req.Public, a.config.Subject, from, to); err != nil {
		return failed(err)
	}
	if err := asLeaf(t, identity, a.config.Issuer); err != nil {
		return failed(err)
	}
	if a.config.Profile == ProfileCABF {
		if err := asCABF(t, KindLeaf, a.config.Addresses); err != nil {
			return failed(err)
		}
	}
	parent := a.config.Chain[0]
	if draft, err = a.maker.draftOf(t, parent, req.Public); err != nil {
		return failed(err)
	}
	if err := Lint(draft, parent, KindLeaf, a.config.Profile); err != nil {
		return failed(err)
	}
	return t, draft, now, nil
}

// Rehearse reports what would keep Issue from making a certificate, as far as can be told without using a key. Errors are
// those of Issue.
func (a *Authority) Rehearse() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a throw-away key: %w", err)
	}
	if _, _, _, err := a.draft(Request{Public: key.Public(), Identity: KeyIdentity(a.config.Issuer, "rehearsal")}); err != nil {
		return fmt.Errorf("%w: %w", ErrCertificateUnavailable, err)
	}
	return nil
}

// promise adds the log's promise to the template as its last extension, and drafts anew.
func (a *Authority) promise(ctx context.Context, t, draft *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	parent := a.config.Chain[0]
	sct, err := signSCT(ctx, a.config.SCT, parent, draft.RawTBSCertificate, now)
	if err != nil {
		return nil, err
	}
	t.ExtraExtensions = append(t.ExtraExtensions, sct)
	with, err := a.maker.draftOf(t, parent, draft.PublicKey)
	if err != nil {
		return nil, err
	}
	tbs, err := withoutSCTs(with.RawTBSCertificate)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(tbs, draft.RawTBSCertificate) {
		return nil, fmt.Errorf("%w: the log's promise is not the only difference between draft and certificate", ErrProfile)
	}
	return with, nil
}

// check judges what was made as a verifier will.
func (a *Authority) check(made *x509.Certificate, now time.Time) error {
	if err := verifyChain(append([]*x509.Certificate{made}, a.config.Chain...), x509.ExtKeyUsageCodeSigning, now); err != nil {
		return err
	}
	if a.config.SCT == nil {
		return nil
	}
	_, err := VerifySCT(made, a.config.Chain[0], a.config.SCT.Public())
	return err
}
