package verify

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// readToken reads a response of an RFC 3161 authority, in DER.
func readToken(response []byte) (token, error) {
	unreadable := func(what string) (token, error) {
		return token{}, fmt.Errorf("it cannot be read: %s", what)
	}
	in := cryptobyte.String(response)
	var answer, status, info, wrapped, signed cryptobyte.String
	var granted int
	var kind asn1.ObjectIdentifier
	if !in.ReadASN1(&answer, der.SEQUENCE) || !in.Empty() || !answer.ReadASN1(&status, der.SEQUENCE) || !status.ReadASN1Integer(&granted) {
		return unreadable("no response of a time-stamping authority")
	}
	if granted != 0 && granted != 1 {
		return token{}, fmt.Errorf("the authority refused, with the status %d", granted)
	}
	if !answer.ReadASN1(&info, der.SEQUENCE) || !answer.Empty() || !info.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidSignedData) ||
		!info.ReadASN1(&wrapped, explicit(0)) || !info.Empty() || !wrapped.ReadASN1(&signed, der.SEQUENCE) || !wrapped.Empty() {
		return unreadable("no signed data")
	}
	var t token
	var version int
	var hashes, content, octets, certificates, revoked, signers cryptobyte.String
	var any bool
	switch {
	case !signed.ReadASN1Integer(&version) || !signed.ReadASN1(&hashes, der.SET) || !signed.ReadASN1(&content, der.SEQUENCE):
		return unreadable("no content")
	case !content.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidStampInfo) || !content.ReadASN1(&wrapped, explicit(0)) || !content.Empty() ||
		!wrapped.ReadASN1(&octets, der.OCTET_STRING) || !wrapped.Empty():
		return unreadable("the content is no time-stamp")
	case !signed.ReadOptionalASN1(&certificates, &any, explicit(0)) || !signed.ReadOptionalASN1(&revoked, &any, explicit(1)) || !signed.ReadASN1(&signers, der.SET) || !signed.Empty():
		return unreadable("nobody signed it")
	}
	t.content = octets
	for _, read := range []func() error{
		func() error { return t.readInfo(octets) },
		func() error { return t.readCertificates(certificates) },
		func() error { return t.readSigner(signers) },
	} {
		if err := read(); err != nil {
			return unreadable(err.Error())
		}
	}
	return t, nil
}

func explicit(n uint8) der.Tag { return der.Tag(n).Constructed().ContextSpecific() }

// readInfo reads what the authority vouches for: TSTInfo of RFC 3161, section 2.4.2. What follows the time, such as a nonce,
// matters to those who asked for the time-stamp.
func (t *token) readInfo(in cryptobyte.String) error {
	var info, imprint, sum, clock cryptobyte.String
	var version int
	var policy asn1.ObjectIdentifier
	serial := new(big.Int)
	if !in.ReadASN1(&info, der.SEQUENCE) || !in.Empty() || !info.ReadASN1Integer(&version) || version != 1 || !info.ReadASN1ObjectIdentifier(&policy) ||
		!info.ReadASN1(&imprint, der.SEQUENCE) || !info.ReadASN1Integer(serial) || !info.ReadASN1(&clock, der.GeneralizedTime) {
		return errors.New("the content is no time-stamp")
	}
	hash, ok := readHash(&imprint)
	if !ok || !imprint.ReadASN1(&sum, der.OCTET_STRING) || !imprint.Empty() || len(sum) != hash.Size() {
		return errors.New("what it is of is hashed with none of SHA-256, SHA-384 and SHA-512")
	}
	at, err := time.Parse("20060102150405Z0700", string(clock)) // which takes fractions of seconds, too
	if err != nil || !strings.HasSuffix(string(clock), "Z") {
		return fmt.Errorf("its time is %.40q", string(clock))
	}
	t.at, t.imprintHash, t.imprint = at.UTC(), hash, sum
	return nil
}

func (t *token) readCertificates(in cryptobyte.String) error {
	for !in.Empty() {
		var one cryptobyte.String
		if !in.ReadASN1Element(&one, der.SEQUENCE) || len(t.certificates) == maxTokenCertificates {
			return errors.New("its certificates cannot be read, or are too many")
		}
		c, err := x509.ParseCertificate(one)
		if err != nil {
			return fmt.Errorf("a certificate in it cannot be read: %.200s", err.Error())
		}
		t.certificates = append(t.certificates, c)
	}
	return nil
}

// readSigner reads SignerInfo of RFC 5652, section 5.3. There is one, and it signs attributes.
func (t *token) readSigner(in cryptobyte.String) error {
	var signer, named, issuer, attributes, how, signature cryptobyte.String
	var version int
	t.serial = new(big.Int)
	if !in.ReadASN1(&signer, der.SEQUENCE) || !in.Empty() {
		return errors.New("it has none, or more than one, who signed it")
	}
	if !signer.ReadASN1Integer(&version) || !signer.ReadASN1(&named, der.SEQUENCE) || !named.ReadASN1Element(&issuer, der.SEQUENCE) ||
		!named.ReadASN1Integer(t.serial) || !named.Empty() {
		return errors.New("it does not name who signed it by issuer and serial number")
	}
	hash, ok := readHash(&signer)
	if !ok {
		return errors.New("it is hashed with none of SHA-256, SHA-384 and SHA-512")
	}
	var id asn1.ObjectIdentifier
	if !signer.ReadASN1Element(&attributes, explicit(0)) || !signer.ReadASN1(&how, der.SEQUENCE) || !how.ReadASN1ObjectIdentifier(&id) ||
		!signer.ReadASN1(&signature, der.OCTET_STRING) {
		return errors.New("its signature cannot be read")
	}
	t.issuer, t.hash, t.signature = issuer, hash, signature
	if t.algorithm, ok = algorithms[id.String()]; !ok {
		return fmt.Errorf("it is signed with the algorithm %s, which is not known here", id)
	}
	t.attributes = bytes.Clone(attributes)
	t.attributes[0] = byte(der.SET) // RFC 5652, section 5.4: the signature is over the attributes as a set
	said, err := attribute(t.attributes, oidContentType)
	if err != nil || !said.ReadASN1ObjectIdentifier(&id) || !said.Empty() || !id.Equal(oidStampInfo) {
		return errors.New("what is signed is not said to be a time-stamp")
	}
	return t.readSignedBy()
}

// readSignedBy reads which certificate the signer says it uses (RFC 5816), when it is said with SHA-256.
func (t *token) readSignedBy() error {
	said, err := attribute(t.attributes, oidSignedBy)
	if err != nil {
		return nil //nolint:nilerr // it need not be said: older authorities say it with SHA-1, and nothing rests on it alone
	}
	var outer, list, first, how, sum cryptobyte.String
	var withHash bool
	if !said.ReadASN1(&outer, der.SEQUENCE) || !said.Empty() || !outer.ReadASN1(&list, der.SEQUENCE) || !list.ReadASN1(&first, der.SEQUENCE) ||
		!first.ReadOptionalASN1(&how, &withHash, der.SEQUENCE) || !first.ReadASN1(&sum, der.OCTET_STRING) {
		return errors.New("the name of its certificate cannot be read")
	}
	if !withHash { // which means SHA-256
		t.signedBy = sum
		return nil
	}
	var id asn1.ObjectIdentifier
	if !how.ReadASN1ObjectIdentifier(&id) {
		return errors.New("the name of its certificate cannot be read")
	}
	if hashOIDs[id.String()] == crypto.SHA256 {
		t.signedBy = sum
	}
	return nil
}

// attribute returns the only value of the only attribute of a kind.
func attribute(set []byte, kind asn1.ObjectIdentifier) (cryptobyte.String, error) {
	in := cryptobyte.String(set)
	var all, value cryptobyte.String
	if !in.ReadASN1(&all, der.SET) || !in.Empty() {
		return nil, errors.New("the attributes cannot be read")
	}
	found := 0
	for !all.Empty() {
		var one, values cryptobyte.String
		var id asn1.ObjectIdentifier
		var tag der.Tag
		if !all.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&id) || !one.ReadASN1(&values, der.SET) || !one.Empty() {
			return nil, errors.New("the attributes cannot be read")
		}
		if !id.Equal(kind) {
			continue
		}
		if found++; !values.ReadAnyASN1Element(&value, &tag) || !values.Empty() {
			return nil, errors.New("an attribute has not one value")
		}
	}
	if found != 1 {
		return nil, fmt.Errorf("an attribute is there %d times", found)
	}
	return value, nil
}

// readHash reads the name of a hash.
func readHash(in *cryptobyte.String) (crypto.Hash, bool) {
	var how cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&how, der.SEQUENCE) || !how.ReadASN1ObjectIdentifier(&id) {
		return 0, false
	}
	h, ok := hashOIDs[id.String()]
	return h, ok
}
