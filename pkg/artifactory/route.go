package artifactory

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// route says which call a request is, of what, and where it goes: "" for the greeting. Requests of go-containerregistry
// name the registry's own host, all but one sort: where an upload goes on is the server's to say. That is believed only
// for an upload, and only of an address on the same host where uploads into this image go on. Every other URL was made by
// somebody else, as the urls of a layer are, and is not asked for: the request would bear our token.
func (r *registry) route(method string, u *url.URL) (call callName, identifier, target string, err error) {
	if u.Host != registryHost {
		switch {
		case method != http.MethodPatch && method != http.MethodPut:
			return 0, "", "", fmt.Errorf("%s request refused: it leads out of the registry API", method)
		case !r.c.wire.home(u):
			return 0, "", "", errors.New("the server wants the upload to go on at another host")
		case !r.isUpload(u):
			return 0, "", "", fmt.Errorf("the server wants the upload to go on at %.200q, where no uploads into the image are", u.EscapedPath())
		}
		return callUpload, "", u.String(), nil
	}
	rest := strings.TrimPrefix(u.EscapedPath(), "/v2/")
	if rest == "" {
		return 0, "", "", nil
	}
	verb, identifier, _ := strings.Cut(strings.TrimPrefix(rest, r.image.RepositoryStr()+"/"), "/")
	if u.RawQuery != "" {
		rest += "?" + u.RawQuery
	}
	switch {
	case verb == "manifests":
		return callManifest, identifier, r.base + rest, nil
	case verb == "referrers":
		return callReferrers, "", r.base + rest, nil
	case verb == "blobs" && strings.HasPrefix(identifier, "uploads/"):
		return callUpload, "", r.base + rest, nil
	case verb == "blobs":
		return callBlob, identifier, r.base + rest, nil
	}
	return 0, "", "", fmt.Errorf("the registry API has no %q here", verb)
}

// isUpload reports whether an address on our host is one of an upload into the image: as we write it, or as a server does
// that is told to give each repository the first part of a path, or a host of its own.
func (r *registry) isUpload(u *url.URL) bool {
	own, err := url.Parse(r.base)
	if err != nil || u.Path != u.EscapedPath() || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return false
	}
	for _, api := range [...]string{own.Path, "/v2/" + r.repo + "/", "/v2/"} {
		if id, ok := strings.CutPrefix(u.Path, api+r.image.RepositoryStr()+"/blobs/uploads/"); ok && id != "" {
			return true
		}
	}
	return false
}
