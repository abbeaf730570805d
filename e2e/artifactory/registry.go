package artifactory

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// registryCall is one request to the registry API, decoded: /v2/{repo}/{image}/{verb}/{ref}, or the same below
// /artifactory/api/docker/{repo}/v2/.
type registryCall struct {
	by     *Token
	prefix string // of the addresses told in answers, up to the image
	repo   string
	image  string // may have slashes
	verb   string // blobs, uploads, manifests, tags, referrers, _catalog, promote; "" is the ping
	ref    string // tag, digest or upload
	query  []pair
}

func (c registryCall) param(key string) string { return call{query: c.query}.param(key) }

// registryError is a refusal in the registry's words.
type registryError struct {
	status        int
	code, message string
}

func (e *registryError) Error() string { return e.message }

func deny(status int, code, message string) error { return &registryError{status, code, message} }

type registryErrors struct {
	Errors []registryErrorEntry `json:"errors"`
}

type registryErrorEntry struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  any    `json:"detail"`
}

var (
	imageName  = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestName = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// registryTypes are the package types that have a registry API; the value is image_type in events.
var registryTypes = map[string]string{"docker": "docker", "oci": "oci", "helmoci": "oci"}

// registry answers everything below /v2/ and /artifactory/api/docker/{repo}/v2/.
func (s *Server) registry(w http.ResponseWriter, r *http.Request, outer call) error {
	h := w.Header()
	h.Set("Docker-Distribution-Api-Version", "registry/2.0")
	err := s.registryServe(w, r, outer)
	var denied *registryError
	var refused *refusal
	switch {
	case errors.As(err, &denied):
	case errors.As(err, &refused):
		code := map[int]string{http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "DENIED", http.StatusNotFound: "NAME_UNKNOWN"}[refused.status]
		if code == "" {
			code = "UNSUPPORTED"
		}
		denied = &registryError{refused.status, code, refused.message}
	default:
		return err
	}
	if denied.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", s.challenge(r))
	}
	respond(w, denied.status, registryErrors{[]registryErrorEntry{{denied.code, denied.message, nil}}})
	return nil
}

func (s *Server) registryServe(w http.ResponseWriter, r *http.Request, outer call) error {
	c, err := s.registryCall(outer)
	if err != nil {
		return err
	}
	if c.verb == "token" {
		return s.issueToken(w, r)
	}
	if c.by, err = s.authenticate(r); err != nil {
		return err
	}
	if c.repo != "" {
		s.mu.RLock()
		repo := s.repos[c.repo]
		s.mu.RUnlock()
		if repo == nil || registryTypes[repo.PackageType] == "" {
			return deny(http.StatusNotFound, "NAME_UNKNOWN", "The repository '"+c.repo+"' holds no images")
		}
	}
	handle := map[string]func(http.ResponseWriter, *http.Request, registryCall) error{
		"GET ": s.registryPing, "HEAD ": s.registryPing, "GET _catalog": s.catalog, "GET tags": s.listTags, "GET referrers": s.referrers,
		"GET blobs": s.getLayer, "HEAD blobs": s.getLayer, "POST uploads": s.startUpload, "PATCH uploads": s.continueUpload,
		"PUT uploads": s.finishUpload, "GET uploads": s.uploadStatus, "DELETE uploads": s.cancelUpload,
		"GET manifests": s.getManifest, "HEAD manifests": s.getManifest, "PUT manifests": s.putManifest, "DELETE manifests": s.deleteManifest,
		"POST promote": s.promoteImage,
	}[r.Method+" "+c.verb]
	if handle == nil {
		return unsupported("%s %s of the registry API is not implemented", r.Method, r.URL.Path)
	}
	return handle(w, r, c)
}

// registryCall decodes the path. The image is what stands between the repository and the verb.
func (s *Server) registryCall(outer call) (registryCall, error) {
	c := registryCall{query: outer.query, prefix: "/v2/"}
	segments := strings.Split(outer.rest, "/")
	for i, seg := range segments {
		var err error
		if segments[i], err = url.PathUnescape(seg); err != nil {
			return c, deny(http.StatusBadRequest, "NAME_INVALID", "The path is badly encoded")
		}
	}
	if outer.at.repo != "" {
		c.repo, c.prefix = outer.at.repo, "/artifactory/api/docker/"+outer.at.repo+"/v2/"
		if len(segments) == 1 && segments[0] == "promote" {
			c.verb = "promote"
			return c, nil
		}
	}
	if len(segments) == 1 {
		c.verb = segments[0]
		if c.verb != "" && c.verb != "token" && c.verb != "_catalog" {
			return c, unsupported("/v2/%s is not implemented", c.verb)
		}
		return c, nil
	}
	last := len(segments) - 1
	end := last - 1 // where the name ends
	switch {
	case last >= 2 && segments[last-2] == "blobs" && segments[last-1] == "uploads":
		c.verb, c.ref, end = "uploads", segments[last], last-2
	case segments[last-1] == "blobs" && segments[last] == "uploads":
		c.verb = "uploads"
	case segments[last-1] == "tags" && segments[last] == "list":
		c.verb = "tags"
	case segments[last-1] == "blobs" || segments[last-1] == "manifests" || segments[last-1] == "referrers":
		c.verb, c.ref = segments[last-1], segments[last]
	default:
		return c, unsupported("the registry has no %q", outer.rest)
	}
	name := segments[:end]
	if c.repo == "" {
		if len(name) < 2 {
			return c, deny(http.StatusNotFound, "NAME_UNKNOWN", "A name is a repository and an image")
		}
		c.repo, name = name[0], name[1:]
		c.prefix += c.repo + "/"
	}
	c.image = strings.Join(name, "/")
	if !imageName.MatchString(c.image) {
		return c, deny(http.StatusBadRequest, "NAME_INVALID", "'"+c.image+"' is no image name")
	}
	c.prefix += c.image
	return c, nil
}

func (s *Server) registryPing(w http.ResponseWriter, _ *http.Request, _ registryCall) error {
	respond(w, http.StatusOK, struct{}{})
	return nil
}
