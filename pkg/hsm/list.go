package hsm

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"math/big"

	"github.com/miekg/pkcs11"
)

// KeyInfo is one private key that a token holds, of whatever type.
type KeyInfo struct {
	Label      string     `json:"label"`
	Algorithm  string     `json:"algorithm"`           // as Algorithm, or the name of the key type
	SPKI       string     `json:"spki,omitempty"`      // as configuration pins it; empty when the public half is missing or not understood
	Problem    string     `json:"problem,omitempty"`   // why Hallmark cannot sign with it; empty when it can
	PublicPEM  string     `json:"publicPem,omitempty"` // PEM "PUBLIC KEY"
	Attributes Attributes `json:"attributes"`
}

// List logs in to the token and describes every private key on it, one by one: a key that Hallmark cannot use is listed
// with the reason. It opens and closes the module itself.
func List(ctx context.Context, cfg Config) ([]KeyInfo, error) {
	var infos []KeyInfo
	err := administer(ctx, cfg, func(c *conn) error {
		return c.read(func(r reader) error {
			objects, err := r.find(pkcs11.CKO_PRIVATE_KEY, "")
			if err != nil {
				return err
			}
			count := map[string]int{}
			for _, o := range objects {
				info, err := r.describe(o)
				if err != nil {
					return err
				}
				count[info.Label]++
				infos = append(infos, info)
			}
			for i, info := range infos {
				if count[info.Label] > 1 {
					infos[i].Problem = ErrKeyTwice.Error()
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return infos, nil
}

// administer runs f on a connection of its own, and returns when ctx ends even when the module does not.
func administer(ctx context.Context, cfg Config, f func(*conn) error) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configuration of tokens: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- connected(cfg, f) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %s: %w", ErrTimeout, cfg.Module, context.Cause(ctx))
	}
}

// connected connects, runs f and takes leave of the module. Whoever has a Keyring open in this process keeps it.
func connected(cfg Config, f func(*conn) error) error {
	tr := &trail{subject: "token " + cfg.Name}
	lib, err := loadLibrary(cfg.Module)
	if err != nil {
		return tr.fail(stepModule, err, "install the vendor's PKCS#11 library and set module to its path")
	}
	defer lib.unload()
	lifecycle.Lock()
	c, err := connect(lib, cfg, tr, slog.New(slog.DiscardHandler))
	lifecycle.Unlock()
	if err != nil {
		return err
	}
	defer func() {
		lifecycle.Lock()
		defer lifecycle.Unlock()
		c.close()
	}()
	return f(c)
}

// describe reads one private key and its public half. What it does not understand becomes the Problem; its error means
// that the token failed.
func (r reader) describe(o pkcs11.ObjectHandle) (KeyInfo, error) {
	attributes, err := r.attributes(o)
	if err != nil {
		return KeyInfo{}, err
	}
	kind, err := r.number(o, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return KeyInfo{}, err
	}
	info := KeyInfo{Label: attributes.Label, Algorithm: keyTypeName(kind), Attributes: attributes}
	if kind != pkcs11.CKK_EC && kind != pkcs11.CKK_RSA {
		info.Problem = ErrAlgorithm.Error()
		return info, nil
	}
	key, err := r.publicHalf(o, kind)
	if err != nil {
		info.Problem = err.Error()
		return info, nil
	}
	if der, err := x509.MarshalPKIXPublicKey(key); err == nil {
		p := Public{PublicKey: key, SPKI: sha256.Sum256(der)}
		info.SPKI = p.Pin()
		if pemBytes, err := p.PEM(); err == nil {
			info.PublicPEM = string(pemBytes)
		}
	}
	pub, err := NewPublic(info.Label, "", key)
	if err != nil {
		info.Algorithm, info.Problem = describe(key), err.Error()
		return info, nil
	}
	info.Algorithm = string(pub.Algorithm)
	switch {
	case isNot(attributes.Sign):
		info.Problem = "CKA_SIGN is false"
	case is(attributes.AlwaysAuthenticate):
		info.Problem = "CKA_ALWAYS_AUTHENTICATE is true"
	}
	return info, nil
}

// publicHalf finds the public key object with the same CKA_ID and label and reads the key.
func (r reader) publicHalf(private pkcs11.ObjectHandle, kind uint) (crypto.PublicKey, error) {
	id, err := r.bytes(private, pkcs11.CKA_ID)
	if err != nil {
		return nil, err
	}
	label, err := r.bytes(private, pkcs11.CKA_LABEL)
	if err != nil {
		return nil, err
	}
	candidates, err := r.find(pkcs11.CKO_PUBLIC_KEY, string(label))
	if err != nil {
		return nil, err
	}
	for _, o := range candidates {
		other, err := r.bytes(o, pkcs11.CKA_ID)
		if err != nil {
			return nil, err
		}
		if string(other) != string(id) {
			continue
		}
		if kind == pkcs11.CKK_RSA {
			return r.rsaKey(o)
		}
		return r.ecKey(o)
	}
	return nil, errors.New("no public key object with the same label and CKA_ID")
}

func (r reader) rsaKey(o pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	n, err := r.bytes(o, pkcs11.CKA_MODULUS)
	if err != nil {
		return nil, err
	}
	e, err := r.bytes(o, pkcs11.CKA_PUBLIC_EXPONENT)
	if err != nil {
		return nil, err
	}
	return decodeRSA(n, e)
}

func (r reader) ecKey(o pkcs11.ObjectHandle) (crypto.PublicKey, error) {
	params, err := r.bytes(o, pkcs11.CKA_EC_PARAMS)
	if err != nil {
		return nil, err
	}
	point, err := r.bytes(o, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	return decodeEC(params, point)
}

// decodeRSA makes a key of CKA_MODULUS and CKA_PUBLIC_EXPONENT (big-endian).
func decodeRSA(modulus, exponent []byte) (crypto.PublicKey, error) {
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	if n.BitLen() > 16384 || e.BitLen() > 31 || e.Sign() == 0 || n.Sign() == 0 {
		return nil, errors.New("RSA public key has impossible numbers")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// decodeEC makes a key of CKA_EC_PARAMS (a DER object identifier) and CKA_EC_POINT (PKCS#11 v2.40 section 2.3.3: the
// uncompressed point in a DER OCTET STRING; some tokens leave the OCTET STRING away).
func decodeEC(params, point []byte) (crypto.PublicKey, error) {
	var curve asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(params, &curve); err != nil || len(rest) != 0 {
		return nil, errors.New("EC public key without a named curve")
	}
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); err != nil || len(rest) != 0 {
		inner = point
	}
	der, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{
		// id-ecPublicKey, RFC 5480 section 2.1.1
		pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Parameters: asn1.RawValue{FullBytes: params}},
		asn1.BitString{Bytes: inner, BitLength: 8 * len(inner)},
	})
	if err != nil {
		return nil, fmt.Errorf("EC public key: %w", err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("EC public key on the curve %v: %w", curve, err)
	}
	return key, nil
}
