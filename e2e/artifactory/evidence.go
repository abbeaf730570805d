package artifactory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxEvidence bounds an evidence file.
const maxEvidence = 16 << 20

// evidence is one statement about an item, as a search finds it. Never changed; guarded by Server.mu.
type evidence struct {
	subject     address
	digest      string // of the subject, as the statement says
	stored      *node
	statement   statement
	createdAt   string
	createdBy   string
	provider    string
	verified    bool
	alias       string // of the key, also when it does not verify
	publicKey   string
	attachments []map[string]string
}

// evidenceAnswer is the answer to an upload. Verified false is a success.
type evidenceAnswer struct {
	Repository        string              `json:"repository"`
	Path              string              `json:"path"`
	Name              string              `json:"name"`
	URI               string              `json:"uri"`
	SHA256            string              `json:"sha256"`
	PredicateCategory string              `json:"predicate_category"`
	PredicateType     string              `json:"predicate_type"`
	PredicateSlug     string              `json:"predicate_slug"`
	CreatedAt         string              `json:"created_at"`
	CreatedBy         string              `json:"created_by"`
	Verified          bool                `json:"verified"`
	ProviderID        string              `json:"provider_id"`
	Attachments       []map[string]string `json:"attachments"`
}

// bearerOnly refuses passwords and API keys: the evidence service takes tokens alone.
func bearerOnly(r *http.Request) error {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		return refuse(http.StatusUnauthorized, "The evidence service needs a bearer token")
	}
	return nil
}

// addEvidence answers POST subject/{repo}/{path}. Checks come in JFrog's order: envelope, payload, signature, then the
// repository and the subject.
func (s *Server) addEvidence(w http.ResponseWriter, r *http.Request, c call) error {
	if err := bearerOnly(r); err != nil {
		return err
	}
	if err := onlyQueries(c, "providerId"); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEvidence+1))
	if err != nil || len(body) > maxEvidence {
		return refuse(http.StatusBadRequest, "The evidence could not be read or has over %d bytes", maxEvidence)
	}
	env, err := decodeEnvelope(body)
	if err != nil {
		return err
	}
	content, err := s.blobs.receive(bytes.NewReader(body))
	if err != nil {
		return err
	}
	e, err := s.keepEvidence(c, env, content)
	if err != nil {
		s.blobs.release(content)
		return err
	}
	at := e.stored.address()
	s.emitService(artifactEvent("deployed", at.repo, at.path, content, c.by))
	respond(w, http.StatusCreated, evidenceAnswer{
		Repository: at.repo, Path: e.stored.dir(), Name: e.stored.name, URI: at.String(), SHA256: content.sha256, PredicateType: e.statement.PredicateType,
		PredicateSlug: slug(e.statement.PredicateType), CreatedAt: e.createdAt, CreatedBy: e.createdBy, Verified: e.verified, ProviderID: e.provider,
		Attachments: append([]map[string]string{}, e.attachments...),
	})
	return nil
}

// keepEvidence stores the file below .evidence of the subject's repository. The reference to the content passes.
func (s *Server) keepEvidence(c call, env signed, content *blob) (*evidence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.evidenceSubject(c.by, c.at)
	if err != nil {
		return nil, err
	}
	digest := env.statement.Subject[0].Digest["sha256"]
	for _, sub := range env.statement.Subject {
		if sub.Digest["sha256"] == n.blob.sha256 {
			digest = n.blob.sha256
		}
	}
	if digest != n.blob.sha256 {
		return nil, refuse(http.StatusBadRequest, "The statement is about sha256 '%s', '%s' has '%s'", digest, c.at, n.blob.sha256)
	}
	now := s.now()
	e := &evidence{
		subject: c.at, digest: digest, statement: env.statement, createdAt: stamp(now), createdBy: c.by.User, provider: c.param("providerId"),
		alias: env.Signatures[0].KeyID, attachments: env.statement.Attachments,
	}
	key, ok := s.judge(env)
	e.verified = ok
	if key != nil {
		e.alias, e.publicKey = key.Alias, key.Key
	}
	sum := sha256.Sum256([]byte(content.sha256 + e.createdAt))
	file := slug(env.statement.PredicateType) + "-" + strconv.FormatInt(now.UnixMilli(), 10) + ".json"
	at := address{repo: c.at.repo, path: []string{".evidence", digest, hex.EncodeToString(sum[:]), file}}
	if _, _, err := s.placeLocked(call{by: &Token{User: c.by.User, Admin: true}, at: at}, content, nil, now); err != nil {
		return nil, err
	}
	e.stored = s.repos[at.repo].root.at(at.path)
	s.evidence[c.at.String()] = append(s.evidence[c.at.String()], e)
	return e, nil
}

// evidenceSubject is the file that evidence may be attached to. Callers hold s.mu.
func (s *Server) evidenceSubject(by *Token, a address) (*node, error) {
	for _, right := range []byte("ra") {
		if err := permission(by, a.repo, right); err != nil {
			return nil, err
		}
	}
	r, err := s.repository(a.repo)
	if err != nil {
		return nil, err
	}
	if r.Class != Local && r.Class != Federated {
		return nil, refuse(http.StatusBadRequest, "The repository '%s' is neither local nor federated", a.repo)
	}
	n, err := s.find(a)
	if err == nil && !n.isFile() {
		err = refuse(http.StatusBadRequest, "'%s' is a folder", a)
	}
	return n, err
}

// slug is the speaking part of a predicate type: https://x/evidence/hsm-signature/v1 is hsm-signature.
func slug(predicateType string) string {
	parts := strings.Split(strings.TrimRight(predicateType, "/"), "/")
	last := len(parts) - 1
	if last > 0 && len(parts[last]) > 1 && parts[last][0] == 'v' && strings.Trim(parts[last][1:], "0123456789.") == "" {
		last--
	}
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') {
			return c
		}
		return '-'
	}, parts[last])
}

// evidenceFollows gives a copied or moved file what was said about it, where the quirk says so. Callers hold s.mu for
// writing.
func (s *Server) evidenceFollows(from, to address, by *Token) {
	if s.Quirks().CopiedEvidence != "follow" {
		return
	}
	for _, old := range s.evidence[from.String()] {
		if old.stored.gone {
			continue
		}
		e := *old
		e.subject = to
		at := old.stored.address()
		at.repo = to.repo
		s.blobs.hold(old.stored.blob)
		if _, _, err := s.placeLocked(call{by: &Token{User: by.User, Admin: true}, at: at}, old.stored.blob, nil, s.now()); err != nil {
			s.blobs.release(old.stored.blob)
			continue // a file in the way: then it does not follow
		}
		e.stored = s.repos[at.repo].root.at(at.path)
		s.evidence[to.String()] = append(s.evidence[to.String()], &e)
	}
}
