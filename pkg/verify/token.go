package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
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

// maxTokenCertificates bounds those in one time-stamp.
const maxTokenCertificates = 16

var (
	oidExtendedUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidStampInfo     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSignedBy      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
)

// hashOIDs are the hashes that time-stamps may use, algorithms those that they may be signed with.
var (
	hashOIDs = map[string]crypto.Hash{
		"2.16.840.1.101.3.4.2.1": crypto.SHA256, "2.16.840.1.101.3.4.2.2": crypto.SHA384, "2.16.840.1.101.3.4.2.3": crypto.SHA512,
	}
	algorithms = map[string]algorithm{
		"1.2.840.10045.4.3.2": {"ECDSA", crypto.SHA256}, "1.2.840.10045.4.3.3": {"ECDSA", crypto.SHA384}, "1.2.840.10045.4.3.4": {"ECDSA", crypto.SHA512},
		"1.2.840.113549.1.1.11": {"RSA", crypto.SHA256}, "1.2.840.113549.1.1.12": {"RSA", crypto.SHA384}, "1.2.840.113549.1.1.13": {"RSA", crypto.SHA512},
		"1.2.840.113549.1.1.1": {"RSA", 0}, // with the hash that the content goes by
		"1.3.101.112":          {"Ed25519", 0},
	}
)

type algorithm struct {
	key  string
	hash crypto.Hash
}

// token is an RFC 3161 time-stamp, taken apart. Nothing in it is believed before verify.
type token struct {
	at           time.Time
	imprintHash  crypto.Hash
	imprint      []byte
	certificates []*x509.Certificate

	content    []byte // that the time and the imprint were read from
	attributes []byte // that are signed, as a SET
	hash       crypto.Hash
	algorithm  algorithm
	signature  []byte
	issuer     []byte // of the signer's certificate, with
	serial     *big.Int
	signedBy   []byte // SHA-256 of the signer's certificate; nil when it is not said
}

// signer is the certificate that the token says it was signed with: one of its own, or the given one.
func (t token) signer(known *x509.Certificate) *x509.Certificate {
	for _, c := range append([]*x509.Certificate{known}, t.certificates...) {
		if c != nil && bytes.Equal(c.RawIssuer, t.issuer) && c.SerialNumber.Cmp(t.serial) == 0 {
			return c
		}
	}
	return nil
}

// verify checks the signature, which is over attributes of which one is the hash of the content.
func (t token) verify(signer *x509.Certificate) error {
	if t.signedBy != nil {
		if sum := sha256.Sum256(signer.Raw); !bytes.Equal(sum[:], t.signedBy) {
			return errors.New("it names another certificate than the one it is signed with")
		}
	}
	sum := func(h crypto.Hash, text []byte) []byte {
		d := h.New()
		d.Write(text) // a hash never returns an error
		return d.Sum(nil)
	}
	said, err := attribute(t.attributes, oidMessageDigest)
	var digest cryptobyte.String
	if err != nil || !said.ReadASN1(&digest, der.OCTET_STRING) || !said.Empty() || !bytes.Equal(digest, sum(t.hash, t.content)) {
		return errors.New("its signature is over another content")
	}
	hash := t.algorithm.hash
	if hash == 0 {
		hash = t.hash
	}
	ok := false
	switch public := signer.PublicKey.(type) {
	case *ecdsa.PublicKey:
		ok = t.algorithm.key == "ECDSA" && ecdsa.VerifyASN1(public, sum(hash, t.attributes), t.signature)
	case *rsa.PublicKey:
		ok = t.algorithm.key == "RSA" && rsa.VerifyPKCS1v15(public, hash, sum(hash, t.attributes), t.signature) == nil
	case ed25519.PublicKey:
		ok = t.algorithm.key == "Ed25519" && ed25519.Verify(public, t.attributes, t.signature)
	}
	if !ok {
		return errors.New("its signature does not verify")
	}
	return nil
}

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
