package belief

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// The kinds of statements, and what each is about.
const (
	kindRoot     = "root"     // a trusted root: its SHA-256
	kindKey      = "key"      // an artifact key: the SHA-256 of its public key
	kindIdentity = "identity" // whom certificates are for: the URI, and the lane of the keys
)

// statement is one thing that verifiers must believe.
type statement struct{ kind, subject, content string }

// signedAs begins what is signed, so that it is never a certificate, nor anything else that the key of an authority signs.
const signedAs = "hallmark belief v1\n"

func (s statement) text() []byte {
	return []byte(signedAs + s.kind + "\n" + s.subject + "\n" + s.content)
}

func (s statement) sign(ctx context.Context, key trust.Signer) ([]byte, error) {
	h := key.Hash().New()
	h.Write(s.text())
	made, err := key.Sign(ctx, h.Sum(nil))
	if err != nil {
		return nil, err
	}
	if !s.signedBy(key.Public(), made) {
		return nil, errors.New("the signature that was made does not verify")
	}
	return made, nil
}

func (s statement) signedBy(pub crypto.PublicKey, made []byte) bool {
	return !strings.Contains(s.subject, "\n") && trust.SignedBy(pub, s.text(), made)
}

// keyContent is an artifact key as a statement says it.
type keyContent struct {
	Name      string    `json:"name"`
	Lane      string    `json:"lane"`
	PublicKey []byte    `json:"publicKey"` // SubjectPublicKeyInfo in DER
	From      time.Time `json:"from,omitzero"`
	Retired   time.Time `json:"retired,omitzero"`
}

type identityContent struct {
	Issuer   string `json:"issuer"`
	Identity string `json:"identity"`
	Lane     string `json:"lane"` // of the keys that sign under it
}

// subject tells identities apart: keys of several lanes may have signed under one.
func (c identityContent) subject() string { return c.Identity + "#" + c.Lane }

func rootStatement(root []byte) statement {
	sum := sha256.Sum256(root)
	return statement{kindRoot, hex.EncodeToString(sum[:]), string(root)}
}

func keyStatement(k trust.ExportedKey) (statement, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return statement{}, fmt.Errorf("key %s: %w", k.Name, err)
	}
	content, err := json.Marshal(keyContent{Name: k.Name, Lane: k.Lane, PublicKey: der, From: k.From.UTC(), Retired: k.Retired.UTC()})
	if err != nil {
		return statement{}, fmt.Errorf("key %s: %w", k.Name, err)
	}
	return statement{kindKey, artifact.Digest(sha256.Sum256(der)).String(), string(content)}, nil
}

func identityStatement(issuer string, identity trust.ExportedIdentity) (statement, error) {
	c := identityContent{Issuer: issuer, Identity: identity.URI, Lane: identity.Lane}
	content, err := json.Marshal(c)
	return statement{kindIdentity, c.subject(), string(content)}, err
}

// key reads what a statement says of a key.
func (s statement) key() (trust.ExportedKey, error) {
	var c keyContent
	if err := json.Unmarshal([]byte(s.content), &c); err != nil {
		return trust.ExportedKey{}, err
	}
	if sum := artifact.Digest(sha256.Sum256(c.PublicKey)); sum.String() != s.subject {
		return trust.ExportedKey{}, fmt.Errorf("it is about sha256:%s, its key is sha256:%s", s.subject, sum)
	}
	public, err := x509.ParsePKIXPublicKey(c.PublicKey)
	if err != nil {
		return trust.ExportedKey{}, err
	}
	return trust.ExportedKey{Name: c.Name, Lane: c.Lane, Public: public, From: c.From, Retired: c.Retired}, nil
}

// identity reads whom certificates were issued for.
func (s statement) identity() (c identityContent, err error) {
	if err = json.Unmarshal([]byte(s.content), &c); err == nil && c.subject() != s.subject {
		err = fmt.Errorf("it is about %q, its identity is %q", s.subject, c.subject())
	}
	return c, err
}

// PinOf is a key's SPKI.
func PinOf(pub crypto.PublicKey) (artifact.Digest, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return artifact.Digest{}, fmt.Errorf("telling a key's pin: %w", err)
	}
	return sha256.Sum256(der), nil
}
