package artifactory

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// preparation is the body of POST evidence/prepare. Which field names an artifact is a quirk.
type preparation struct {
	Subject struct {
		Type          string `json:"subject_type"`
		RepoPath      string `json:"repo_path"`
		Path          string `json:"path"`
		SHA256        string `json:"sha256"`
		BuildName     string `json:"build_name"`
		BuildNumber   string `json:"build_number"`
		BundleName    string `json:"release_bundle_name"`
		BundleVersion string `json:"release_bundle_version"`
	} `json:"subject"`
	Predicate     json.RawMessage `json:"predicate"`
	PredicateType string          `json:"predicate_type"`
	Markdown      string          `json:"markdown"`
	ProviderID    string          `json:"provider_id"`
	ProjectKey    string          `json:"project_key"`
}

type prepared struct {
	Payload     string `json:"dsse_payload"`
	PayloadType string `json:"dsse_payload_type"`
	PAE         string `json:"pre_authentication_encoding,omitempty"`
	PostURL     string `json:"post_url"`
}

// prepareEvidence makes the payload for a signer elsewhere.
func (s *Server) prepareEvidence(w http.ResponseWriter, r *http.Request, c call) error {
	if err := bearerOnly(r); err != nil {
		return err
	}
	if err := onlyQueries(c, "include_pae"); err != nil {
		return err
	}
	var p preparation
	d := json.NewDecoder(io.LimitReader(r.Body, maxEvidence))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return refuse(http.StatusBadRequest, "The body is not a preparation: %v", err)
	}
	if p.PredicateType == "" || len(p.Predicate) == 0 {
		return refuse(http.StatusBadRequest, "A predicate and its type are required")
	}
	s.mu.RLock()
	at, err := s.preparedSubject(p)
	var n *node
	if err == nil {
		n, err = s.evidenceSubject(c.by, at)
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	if p.Subject.SHA256 != "" && p.Subject.SHA256 != n.blob.sha256 {
		return refuse(http.StatusBadRequest, "'%s' has sha256 '%s', not '%s'", at, n.blob.sha256, p.Subject.SHA256)
	}
	payload, err := json.Marshal(statement{
		Type: "https://in-toto.io/Statement/v1", Subject: []statementSubject{{Digest: map[string]string{"sha256": n.blob.sha256}}},
		PredicateType: p.PredicateType, Predicate: p.Predicate, CreatedAt: stamp(s.now()), CreatedBy: c.by.User, Markdown: p.Markdown,
	})
	if err != nil {
		return refuse(http.StatusBadRequest, "The predicate is not JSON: %v", err)
	}
	answer := prepared{Payload: base64.StdEncoding.EncodeToString(payload), PayloadType: inTotoType, PostURL: "/evidence/api/v1/subject/" + escaped(at)}
	if p.ProviderID != "" {
		answer.PostURL += "?providerId=" + p.ProviderID
	}
	if c.param("include_pae") == "true" {
		answer.PAE = string(preAuthentication(inTotoType, payload))
	}
	respond(w, http.StatusOK, answer)
	return nil
}

// preparedSubject is the file that a subject means. Callers hold s.mu.
func (s *Server) preparedSubject(p preparation) (address, error) {
	switch p.Subject.Type {
	case "artifact":
		given, other := p.Subject.RepoPath, p.Subject.Path
		if s.Quirks().PrepareField == "path" {
			given, other = other, given
		}
		segments := strings.Split(given, "/")
		if given == "" || other != "" || len(segments) < 2 {
			return address{}, refuse(http.StatusBadRequest, "The subject names no artifact")
		}
		return address{repo: segments[0], path: segments[1:]}, nil
	case "build":
		b, err := s.run(buildKey{p.ProjectKey, p.Subject.BuildName, p.Subject.BuildNumber}, "")
		if err != nil {
			return address{}, err
		}
		return b.stored, nil
	case "release_bundle":
		key := bundleKey{p.ProjectKey, p.Subject.BundleName, p.Subject.BundleVersion}
		return address{repo: bundleRepository(key.project), path: append(key.folder(), specificationFile)}, nil
	}
	return address{}, unsupported("subjects of type %s are not implemented", strconv.Quote(p.Subject.Type))
}

// evidenceVersion answers GET system/version of the evidence service.
func (s *Server) evidenceVersion(w http.ResponseWriter, _ *http.Request, _ call) error {
	respond(w, http.StatusOK, struct {
		Version string `json:"version"`
	}{"7.650.0"})
	return nil
}
