package artifactory

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Token is a credential and what it may do. It is accepted as Bearer token, as X-JFrog-Art-Api key and as the password
// of its user in Basic authentication.
type Token struct {
	Value string
	User  string
	Admin bool // may do everything, and manage webhook subscriptions
	// Identities lets a token that is no administrator's read users: the scope system:identities:r.
	Identities bool
	// Rights maps a repository key, or "*" for all, to letters: r read, w deploy, d delete and overwrite, a annotate.
	Rights map[string]string
}

// allows reports whether the token holds the right (one letter) on the repository.
func (t *Token) allows(repo string, right byte) bool {
	return t.Admin || strings.IndexByte(t.Rights[repo], right) >= 0 || strings.IndexByte(t.Rights["*"], right) >= 0
}

type tokens struct {
	mu      sync.RWMutex
	byValue map[string]*Token
	issued  map[string]string // tokens of the registry to the value they stand for
}

// AddToken adds or replaces a token.
func (s *Server) AddToken(t Token) error {
	if t.Value == "" || t.User == "" {
		return errors.New("stand-in: a token needs a value and a user")
	}
	for repo, letters := range t.Rights {
		if strings.Trim(letters, "rwda") != "" {
			return fmt.Errorf("stand-in: rights %q on %s: letters are r, w, d and a", letters, repo)
		}
	}
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	if s.tokens.byValue == nil {
		s.tokens.byValue = map[string]*Token{}
	}
	s.tokens.byValue[t.Value] = &t
	return nil
}

// RemoveToken revokes a token: requests with it get 401.
func (s *Server) RemoveToken(value string) {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	delete(s.tokens.byValue, value)
}

// authenticate finds the caller. There is no anonymous access.
func (s *Server) authenticate(r *http.Request) (*Token, error) {
	value, user := "", ""
	if v, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		value = v
	} else if u, p, ok := r.BasicAuth(); ok {
		user, value = u, p
	} else {
		value = r.Header.Get("X-Jfrog-Art-Api")
	}
	if value == "" {
		return nil, refuse(http.StatusUnauthorized, "Authentication is required")
	}
	s.tokens.mu.RLock()
	if real := s.tokens.issued[value]; real != "" && user == "" {
		value = real
	}
	t := s.tokens.byValue[value]
	s.tokens.mu.RUnlock()
	if t == nil || (user != "" && user != t.User) {
		return nil, refuse(http.StatusUnauthorized, "Bad credentials")
	}
	return t, nil
}

// permission answers 403 unless the caller holds the right on the repository.
func permission(t *Token, repo string, right byte) error {
	if t.allows(repo, right) {
		return nil
	}
	name := map[byte]string{'r': "read", 'w': "deploy", 'd': "delete/overwrite", 'a': "annotate"}[right]
	return refuse(http.StatusForbidden, "Not enough permissions: user '%s' needs '%s' on repository '%s'", t.User, name, repo)
}
