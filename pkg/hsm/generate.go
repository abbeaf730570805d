package hsm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"
)

// GenerateRequest asks for a new signing key.
type GenerateRequest struct {
	Label     string
	Algorithm Algorithm // P-256 when empty
}

// Generated is a new key: its public half, and its attributes as the token reports them afterwards. Public.Name is the
// label and Public.Lane is empty, because both are for the configuration to give.
type Generated struct {
	Public     Public
	Attributes Attributes
}

// idBytes is the length of the random CKA_ID that ties the two halves together.
const idBytes = 16

// Generate makes a key pair on the token that can sign and nothing else, sensitive and not extractable, unmodifiable and
// uncopyable where the token knows that. It reads the attributes back and destroys a key that could leave the token
// (ErrExtractable). A label that any object bears already is refused (ErrLabelTaken). When ctx ends first, the key may
// exist all the same: List tells. Make one key at a time on a token: not every token bears two generations at once.
func Generate(ctx context.Context, cfg Config, req GenerateRequest) (Generated, error) {
	if req.Label == "" || len(req.Label) > 128 {
		return Generated{}, errors.New("generating a key: the label must have 1 to 128 bytes")
	}
	if req.Algorithm == "" {
		req.Algorithm = P256
	}
	var g Generated
	err := administer(ctx, cfg, func(c *conn) error {
		if err := c.labelFree(req.Label); err != nil {
			return err
		}
		signer, err := c.generate(req)
		if err != nil {
			return err
		}
		if err := c.inspect(req, signer, &g); err != nil {
			if derr := signer.Delete(); derr != nil {
				return fmt.Errorf("%w; it could not be destroyed, remove it by hand: %w", err, derr)
			}
			return fmt.Errorf("%w; it was destroyed", err)
		}
		return nil
	})
	if err != nil {
		return Generated{}, fmt.Errorf("generating key %q: %w", req.Label, err)
	}
	return g, nil
}

// labelFree refuses a label that a private, public or secret key, or a certificate, bears.
func (c *conn) labelFree(label string) error {
	return c.read(func(r reader) error {
		for _, objectClass := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_SECRET_KEY, pkcs11.CKO_CERTIFICATE} {
			found, err := r.find(objectClass, label)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return fmt.Errorf("%w: an object labelled %q exists; choose another label", ErrLabelTaken, label)
			}
		}
		return nil
	})
}

// generate tries the strictest template first and leaves away what the token does not know.
func (c *conn) generate(req GenerateRequest) (crypto11.Signer, error) {
	var err error
	for _, strict := range []bool{true, false} {
		id := make([]byte, idBytes)
		if _, err := rand.Read(id); err != nil {
			return nil, fmt.Errorf("drawing CKA_ID: %w", err)
		}
		var public, private crypto11.AttributeSet
		if public, private, err = templates(id, req.Label, strict); err != nil {
			return nil, err
		}
		var signer crypto11.Signer
		if signer, err = c.make(req.Algorithm, public, private); err == nil {
			return signer, nil
		}
		if !templateRefused(err) {
			return nil, err
		}
	}
	return nil, err
}

func (c *conn) make(algorithm Algorithm, public, private crypto11.AttributeSet) (crypto11.Signer, error) {
	for _, a := range algorithms {
		switch {
		case a.name != algorithm:
		case a.curve != nil:
			return c.ctx.GenerateECDSAKeyPairWithAttributes(public, private, a.curve)
		default:
			return c.ctx.GenerateRSAKeyPairWithAttributes(public, private, a.bits)
		}
	}
	return nil, fmt.Errorf("%w: %q; use one of %v", ErrAlgorithm, algorithm, Algorithms())
}

// templates are the attributes of the two halves. crypto11 would let an RSA key decrypt; here every use but signing is
// switched off.
func templates(id []byte, label string, strict bool) (public, private crypto11.AttributeSet, err error) {
	if public, err = crypto11.NewAttributeSetWithIDAndLabel(id, []byte(label)); err != nil {
		return nil, nil, fmt.Errorf("key template: %w", err)
	}
	private = public.Copy()
	set := func(s crypto11.AttributeSet, attribute crypto11.AttributeType, value bool) {
		if err == nil {
			err = s.Set(attribute, value)
		}
	}
	set(public, crypto11.CkaToken, true)
	set(public, crypto11.CkaVerify, true)
	set(public, crypto11.CkaEncrypt, false)
	set(public, crypto11.CkaWrap, false)
	set(private, crypto11.CkaToken, true)
	set(private, crypto11.CkaPrivate, true)
	set(private, crypto11.CkaSensitive, true)
	set(private, crypto11.CkaExtractable, false)
	set(private, crypto11.CkaSign, true)
	set(private, crypto11.CkaDecrypt, false)
	set(private, crypto11.CkaUnwrap, false)
	set(private, crypto11.CkaDerive, false)
	if strict {
		set(private, crypto11.CkaModifiable, false)
		set(private, pkcs11.CKA_COPYABLE, false)
		set(public, crypto11.CkaModifiable, false)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("key template: %w", err)
	}
	return public, private, nil
}

// templateRefused tells a token that does not know an attribute from one that cannot make the key.
func templateRefused(err error) bool {
	for _, ckr := range []uint{
		pkcs11.CKR_ATTRIBUTE_TYPE_INVALID, pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_ATTRIBUTE_READ_ONLY,
		pkcs11.CKR_TEMPLATE_INCONSISTENT,
	} {
		if errors.Is(err, pkcs11.Error(ckr)) {
			return true
		}
	}
	return false
}

// inspect reads the new key back, as Open will find it, and proves that it signs.
func (c *conn) inspect(req GenerateRequest, signer crypto11.Signer, g *Generated) error {
	h, err := c.find(req.Label)
	if err != nil {
		return err
	}
	if !h.attributes.confined() {
		return fmt.Errorf("%w: sensitive %s, extractable %s", ErrExtractable, say(h.attributes.Sensitive), say(h.attributes.Extractable))
	}
	if is(h.attributes.Decrypt) || is(h.attributes.Unwrap) || is(h.attributes.Derive) {
		return fmt.Errorf("%w: the token gave it more uses than signing", ErrKeyUnfit)
	}
	pub, err := NewPublic(req.Label, "", h.signer.Public())
	if err != nil {
		return err
	}
	if err := probe(pub, signer); err != nil {
		return err
	}
	g.Public, g.Attributes = pub, h.attributes
	return nil
}

// say renders what a token says about itself.
func say(b *bool) string {
	if b == nil {
		return "unknown"
	}
	return fmt.Sprint(*b)
}
