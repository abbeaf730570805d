package hsm

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/miekg/pkcs11"
)

// held is one key of the configuration, found on a connected token.
type held struct {
	signer     crypto.Signer // crypto11's
	public     Public
	attributes Attributes
}

// hold finds the key, compares its public half with the pin and proves the private half with a probe. The steps go to tr.
func (c *conn) hold(k KeyConfig, tr *trail) (*held, error) {
	label := k.objectLabel()
	h, err := c.find(label)
	if err != nil {
		fix := "create the key with 'hallmark keys generate', or set label to the key's CKA_LABEL"
		switch {
		case errors.Is(err, ErrKeyTwice):
			fix = "rename or remove the object that is not wanted; nobody can tell which of them signs"
		case errors.Is(err, ErrKeyUnfit):
			fix = "make a new key with 'hallmark keys generate'"
		case !errors.Is(err, ErrKeyMissing):
			fix = "see the vendor's log for this return value"
		}
		return nil, tr.fail(stepKey, err, "%s", fix)
	}
	pub, err := NewPublic(k.Name, k.Lane, h.signer.Public())
	if err != nil {
		return nil, tr.fail(stepKey, fmt.Errorf("label %q: %w", label, err), "make a new key with 'hallmark keys generate'")
	}
	pub.Use, pub.From, pub.Retired = k.UseOrDefault(), k.From.Time, k.Retired.Time
	h.public = pub
	tr.pass(stepKey, "label %q, %s, CKA_ID %s", label, pub.Algorithm, h.attributes.ID)
	if err := checkPin(k, pub, tr); err != nil {
		return nil, err
	}
	if err := probe(pub, h.signer); err != nil {
		return nil, tr.fail(stepProbe, err, "see the vendor's log; the key pair on the token may be two halves of different pairs")
	}
	tr.pass(stepProbe, "%s over a random digest", pub.Algorithm)
	return h, nil
}

// checkPin compares the SPKI with the configured one. Without a pin a label alone would choose the key, and anyone with
// the user PIN can write labels.
func checkPin(k KeyConfig, pub Public, tr *trail) error {
	if k.SPKI == "" {
		return tr.fail(stepSPKI, fmt.Errorf("%w: the configuration pins none", ErrSPKI),
			"check that %s is the key you made, then write  spki: %s", pub.Pin(), pub.Pin())
	}
	want, err := parseSPKI(k.SPKI)
	if err != nil {
		return tr.fail(stepSPKI, err, "write the pin as 'hallmark keys show' prints it")
	}
	if pub.SPKI != want {
		return tr.fail(stepSPKI, fmt.Errorf("%w: found %s, pinned %s%s", ErrSPKI, pub.Pin(), spkiPrefix, want),
			"somebody put another key under this label, or the configuration is for another token; find out which before changing the pin")
	}
	tr.pass(stepSPKI, "%s", pub.Pin())
	return nil
}

// probe signs a random digest and verifies the signature, which nobody else gets to see.
func probe(pub Public, signer crypto.Signer) error {
	digest := make([]byte, pub.Hash.Size())
	if _, err := rand.Read(digest); err != nil {
		return fmt.Errorf("drawing a random digest: %w", err)
	}
	sig, err := signer.Sign(rand.Reader, digest, pub.Hash)
	if err != nil {
		return fmt.Errorf("signing a random digest: %w", err)
	}
	if err := pub.Verify(digest, sig); err != nil {
		return fmt.Errorf("%w: %w", ErrSelfCheck, err)
	}
	return nil
}

// find demands exactly one private and one public object with the label, and that they belong together.
func (c *conn) find(label string) (*held, error) {
	h := &held{}
	err := c.read(func(r reader) error {
		private, err := r.find(pkcs11.CKO_PRIVATE_KEY, label)
		if err != nil {
			return err
		}
		public, err := r.find(pkcs11.CKO_PUBLIC_KEY, label)
		if err != nil {
			return err
		}
		switch {
		case len(private) == 0:
			return fmt.Errorf("%w: no private key with the label %q; the token holds %s", ErrKeyMissing, label, r.labels())
		case len(public) == 0:
			return fmt.Errorf("%w: the private key %q has no public key object with the same label", ErrKeyMissing, label)
		case len(private) > 1 || len(public) > 1:
			return fmt.Errorf("%w: %d private and %d public key objects are labelled %q", ErrKeyTwice, len(private), len(public), label)
		}
		return r.fit(private[0], public[0], h)
	})
	if err != nil {
		return nil, err
	}
	pairs, err := c.ctx.FindKeyPairs(nil, []byte(label))
	switch {
	case err != nil:
		return nil, fmt.Errorf("finding key pair %q: %w", label, err)
	case len(pairs) == 0:
		return nil, fmt.Errorf("%w: crypto11 finds no pair labelled %q", ErrKeyMissing, label)
	case len(pairs) > 1:
		return nil, fmt.Errorf("%w: crypto11 finds %d pairs labelled %q", ErrKeyTwice, len(pairs), label)
	}
	h.signer = pairs[0]
	return h, nil
}

// fit refuses what crypto11 would misjudge or fail on later.
func (r reader) fit(private, public pkcs11.ObjectHandle, h *held) error {
	var err error
	if h.attributes, err = r.attributes(private); err != nil {
		return err
	}
	kind, err := r.number(private, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return err
	}
	a, err := r.bytes(private, pkcs11.CKA_ID)
	if err != nil {
		return err
	}
	b, err := r.bytes(public, pkcs11.CKA_ID)
	if err != nil {
		return err
	}
	switch {
	case kind != pkcs11.CKK_EC && kind != pkcs11.CKK_RSA:
		return fmt.Errorf("%w: %w: %s", ErrKeyUnfit, ErrAlgorithm, keyTypeName(kind))
	case !bytes.Equal(a, b):
		return fmt.Errorf("%w: private and public key have different CKA_ID (%x and %x)", ErrKeyUnfit, a, b)
	case isNot(h.attributes.Sign):
		return fmt.Errorf("%w: CKA_SIGN is false", ErrKeyUnfit)
	case is(h.attributes.AlwaysAuthenticate):
		return fmt.Errorf("%w: CKA_ALWAYS_AUTHENTICATE is true, the token wants the PIN for every signature", ErrKeyUnfit)
	}
	return nil
}

// labels lists what private keys there are, for error messages.
func (r reader) labels() string {
	const most = 20
	objects, err := r.find(pkcs11.CKO_PRIVATE_KEY, "")
	if err != nil || len(objects) == 0 {
		return "no private key"
	}
	var names []string
	for _, o := range objects[:min(most, len(objects))] {
		label, err := r.bytes(o, pkcs11.CKA_LABEL)
		if err != nil {
			continue
		}
		names = append(names, fmt.Sprintf("%q", label))
	}
	sort.Strings(names)
	if len(objects) > most {
		names = append(names, fmt.Sprintf("and %d more", len(objects)-most))
	}
	return strings.Join(names, ", ")
}

// keyTypeNames are the key types (PKCS#11 v3.2) that a signing token may hold but that do not sign here.
var keyTypeNames = map[uint]string{
	pkcs11.CKK_RSA: "RSA", pkcs11.CKK_EC: "EC", pkcs11.CKK_DSA: "DSA", 0x40: "Ed25519 or Ed448", 0x41: "X25519 or X448",
	0x46: "HSS", 0x47: "XMSS", 0x48: "XMSS-MT", 0x4a: "ML-DSA", 0x4b: "SLH-DSA",
}

func keyTypeName(kind uint) string {
	if n, ok := keyTypeNames[kind]; ok {
		return n
	}
	return fmt.Sprintf("key type 0x%X", kind)
}
