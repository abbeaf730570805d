package verify

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// ErrTime says that the time-stamp is not one of the signature, or by nobody who is believed about time.
var ErrTime = errors.New("time-stamp does not hold")

// stamped is a time that an authority vouches for.
type stamped struct {
	by *authority
	at time.Time
}

// stamp proves when a signature existed, by an RFC 3161 response over the raw signature. The authority's certificates have to
// hold at the time that it tells: a time-stamp outlives them.
func (r *Root) stamp(signature, response []byte) (stamped, error) {
	t, err := readToken(response)
	if err != nil {
		return stamped{}, fmt.Errorf("%w: %w", ErrTime, err)
	}
	d := t.imprintHash.New()
	d.Write(signature) // a hash never returns an error
	if !bytes.Equal(d.Sum(nil), t.imprint) {
		return stamped{}, fmt.Errorf("%w: it is of another signature", ErrTime)
	}
	failed := errors.New("the trusted root lists no time-stamping authority")
	for _, a := range r.stampers {
		err := a.vouches(t)
		if err == nil {
			return stamped{by: a, at: t.at}, nil
		}
		failed = fmt.Errorf("%s: %w", a.name, err)
	}
	return stamped{}, fmt.Errorf("%w: no authority in the trusted root made it: %w", ErrTime, failed)
}

// vouches checks that the token is by this authority, in its time.
func (a *authority) vouches(t token) error {
	signer := t.signer(a.leaf)
	if signer == nil {
		return errors.New("the certificate of whoever signed it is neither in the time-stamp nor in the trusted root")
	}
	if a.leaf != nil && !a.leaf.Equal(signer) {
		return errors.New("another certificate signed it")
	}
	if err := stamps(signer); err != nil {
		return err
	}
	if !a.holds(t.at) {
		return fmt.Errorf("it is of %s, the authority counts from %s", moment(t.at), a.window)
	}
	middle := a.middle.Clone()
	for _, c := range t.certificates {
		middle.AddCert(c)
	}
	_, err := signer.Verify(x509.VerifyOptions{
		CurrentTime: t.at, Roots: a.roots, Intermediates: middle, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	if err != nil {
		return fmt.Errorf("at %s its certificate does not hold: %.200s", moment(t.at), err.Error())
	}
	return t.verify(signer)
}

// stamps holds RFC 3161, section 2.3: the certificate is for time-stamps and for nothing else, and says so critically.
func stamps(signer *x509.Certificate) error {
	critical := false
	for _, e := range signer.Extensions {
		critical = critical || e.Id.Equal(oidExtendedUsage) && e.Critical
	}
	alone := len(signer.ExtKeyUsage) == 1 && len(signer.UnknownExtKeyUsage) == 0 && signer.ExtKeyUsage[0] == x509.ExtKeyUsageTimeStamping
	if signer.IsCA || !critical || !alone {
		return errors.New("its certificate is not one for time-stamps alone")
	}
	return nil
}
