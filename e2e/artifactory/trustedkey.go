package artifactory

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// trustedKey is a public key that evidence is verified with, found by its alias.
type trustedKey struct {
	KID         string `json:"kid"`
	Fingerprint string `json:"fingerprint"`
	Alias       string `json:"alias"`
	Type        string `json:"type"`
	Key         string `json:"key"`
	IssuedOn    string `json:"issued_on"`
	IssuedBy    string `json:"issued_by"`
	public      crypto.PublicKey
}

// addTrustedKey answers POST api/security/keys/trusted.
func (s *Server) addTrustedKey(w http.ResponseWriter, r *http.Request, c call) error {
	if !c.by.Admin {
		return refuse(http.StatusForbidden, "Managing trusted keys needs an administrator, user '%s' is none", c.by.User)
	}
	var body struct {
		Alias string `json:"alias"`
		Key   string `json:"key"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err != nil || body.Alias == "" {
		return refuse(http.StatusBadRequest, "The body is not a key with an alias")
	}
	k, err := parseTrustedKey(body.Alias, body.Key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.trusted, func(old *trustedKey) bool { return old.Alias == k.Alias || old.Fingerprint == k.Fingerprint }) {
		return refuse(http.StatusConflict, "The key or its alias '%s' exists", k.Alias)
	}
	k.IssuedOn, k.IssuedBy = stamp(s.now()), c.by.User
	s.trusted = append(s.trusted, k)
	respond(w, http.StatusCreated, k)
	return nil
}

func parseTrustedKey(alias, text string) (*trustedKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, refuse(http.StatusBadRequest, "The key is not PEM")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "The key is not a public key: %v", err)
	}
	sum := sha256.Sum256(block.Bytes)
	k := &trustedKey{KID: hex.EncodeToString(sum[:3]), Fingerprint: hex.EncodeToString(sum[:]), Alias: alias, Key: text, public: public}
	switch public := public.(type) {
	case *rsa.PublicKey:
		k.Type = "RSA " + strconv.Itoa(public.N.BitLen())
	case *ecdsa.PublicKey:
		k.Type = "EC " + public.Params().Name
	case ed25519.PublicKey:
		k.Type = "ED25519"
	default:
		return nil, refuse(http.StatusBadRequest, "Keys of type %T are not supported", public)
	}
	return k, nil
}

// documented reports whether JFrog's documents list the kind of key.
func (k *trustedKey) documented() bool {
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() == 2048
	case *ecdsa.PublicKey:
		return public.Curve == elliptic.P256()
	}
	return true
}

func (s *Server) listTrustedKeys(w http.ResponseWriter, _ *http.Request, _ call) error {
	s.mu.RLock()
	keys := slices.Clone(s.trusted)
	s.mu.RUnlock()
	slices.SortFunc(keys, func(a, b *trustedKey) int { return cmp.Compare(a.Alias, b.Alias) })
	respond(w, http.StatusOK, struct {
		Keys []*trustedKey `json:"keys"`
	}{append([]*trustedKey{}, keys...)})
	return nil
}

func (s *Server) getTrustedKey(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.RLock()
	i := slices.IndexFunc(s.trusted, func(k *trustedKey) bool { return k.KID == c.rest })
	var k *trustedKey
	if i >= 0 {
		k = s.trusted[i]
	}
	s.mu.RUnlock()
	if k == nil {
		return refuse(http.StatusNotFound, "The key '%s' was not found", c.rest)
	}
	respond(w, http.StatusOK, k)
	return nil
}

func (s *Server) deleteTrustedKey(w http.ResponseWriter, _ *http.Request, c call) error {
	if !c.by.Admin {
		return refuse(http.StatusForbidden, "Managing trusted keys needs an administrator, user '%s' is none", c.by.User)
	}
	s.mu.Lock()
	before := len(s.trusted)
	s.trusted = slices.DeleteFunc(s.trusted, func(k *trustedKey) bool { return k.KID == c.rest })
	gone := len(s.trusted) < before
	s.mu.Unlock()
	if !gone {
		return refuse(http.StatusNotFound, "The key '%s' was not found", c.rest)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// judge finds the key of an envelope and whether it verifies: by the alias in keyid, or for a Sigstore bundle, where the
// quirk says so, by any key. Callers hold s.mu.
func (s *Server) judge(e signed) (*trustedKey, bool) {
	for _, k := range s.trusted {
		if !k.documented() && s.Quirks().EvidenceKeys != "all" {
			continue
		}
		if e.sigstore {
			if s.Quirks().SigstoreEvidence == "verified" && e.verifies(k.public) {
				return k, true
			}
		} else if k.Alias == e.Signatures[0].KeyID {
			return k, e.verifies(k.public)
		}
	}
	return nil, false
}
