package artifactory

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

// challenge asks for a token of the registry's own, or for a password, as the quirk says.
func (s *Server) challenge(r *http.Request) string {
	if s.Quirks().RegistryAuth == "basic" {
		return `Basic realm="Artifactory Realm"`
	}
	return `Bearer realm="` + s.baseFor(r) + `/v2/token",service="` + r.Host + `"`
}

type issuedToken struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

// issueToken answers GET token: a password becomes a token with the same rights. The scope asked for does not matter.
func (s *Server) issueToken(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return unsupported("%s of a token is not implemented", r.Method)
	}
	by, err := s.authenticate(r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte("registry token of " + by.Value))
	token := hex.EncodeToString(sum[:])
	s.tokens.mu.Lock()
	if s.tokens.issued == nil {
		s.tokens.issued = map[string]string{}
	}
	s.tokens.issued[token] = by.Value
	s.tokens.mu.Unlock()
	respond(w, http.StatusOK, issuedToken{token, token, 3600})
	return nil
}
