package artifactory

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// address is an item as a request line names it, decoded. Its path has no empty or dot segments.
type address struct {
	repo   string
	path   []string // empty: the repository's root
	folder bool     // written with a trailing slash
	matrix []pair   // parameters behind ';', decoded, in order
}

// pair is one key and its value, as in a matrix parameter or a query.
type pair struct{ key, value string }

// name is the last segment, "" at the root.
func (a address) name() string {
	if len(a.path) == 0 {
		return ""
	}
	return a.path[len(a.path)-1]
}

// below is the path inside the repository, without a leading slash.
func (a address) below() string { return strings.Join(a.path, "/") }

func (a address) String() string {
	if len(a.path) == 0 {
		return a.repo
	}
	return a.repo + "/" + a.below()
}

// parseAddress reads "repo/path;k=v" as it stood in the request line. The order is what decides who can set a
// property: first the segments between raw slashes, then the parameters behind a raw ';', and only then the
// percent-encoding.
func parseAddress(raw, encodedSemicolon string) (address, error) {
	var a address
	if bare, ok := strings.CutSuffix(raw, "/"); ok {
		a.folder, raw = true, bare
	}
	for i, seg := range strings.Split(raw, "/") {
		if encodedSemicolon == "matrix" {
			seg = strings.NewReplacer("%3B", ";", "%3b", ";").Replace(seg)
		}
		seg, params, _ := strings.Cut(seg, ";")
		name, err := url.PathUnescape(seg)
		if err != nil {
			return address{}, refuse(http.StatusBadRequest, "The path segment %q is badly encoded", seg)
		}
		if err := checkSegment(name); err != nil {
			return address{}, err
		}
		if a.matrix, err = appendMatrix(a.matrix, params); err != nil {
			return address{}, err
		}
		if i == 0 {
			a.repo = name
		} else {
			a.path = append(a.path, name)
		}
	}
	return a, nil
}

func checkSegment(name string) error {
	if name == "" || name == "." || name == ".." {
		return refuse(http.StatusBadRequest, "The path has the segment %q", name)
	}
	if !utf8.ValidString(name) {
		return refuse(http.StatusBadRequest, "The path segment %q is not UTF-8", name)
	}
	for _, c := range name {
		if c == '/' || c == '\\' || unicode.IsControl(c) {
			return refuse(http.StatusBadRequest, "The path segment %q has the character %q", name, c)
		}
	}
	return nil
}

// appendMatrix reads "k=v;k2=v2". A '+' is a space here, as JFrog's own client writes it.
func appendMatrix(to []pair, params string) ([]pair, error) {
	if params == "" {
		return to, nil
	}
	for param := range strings.SplitSeq(params, ";") {
		if param == "" {
			continue
		}
		k, v, _ := strings.Cut(param, "=")
		if strings.HasSuffix(k, "+") {
			return nil, unsupported("mandatory properties (%s=) are not implemented", k)
		}
		key, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return nil, refuse(http.StatusBadRequest, "The matrix parameter %q is badly encoded", param)
		}
		to = append(to, pair{key, value})
	}
	return to, nil
}

// rawTarget splits the request line as it was sent. Like Artifactory's Tomcat it refuses characters that must be
// encoded.
func rawTarget(r *http.Request) (path, query string, err error) {
	raw := r.RequestURI
	if raw == "" { // a request made by hand, not read from a connection
		raw = r.URL.RequestURI()
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}#", c) >= 0 {
			return "", "", refuse(http.StatusBadRequest, "Invalid character %q found in the request target", c)
		}
	}
	if i := strings.Index(raw, "://"); i >= 0 && !strings.HasPrefix(raw, "/") {
		if j := strings.IndexByte(raw[i+3:], '/'); j >= 0 {
			raw = raw[i+3+j:]
		}
	}
	path, query, _ = strings.Cut(raw, "?")
	return path, query, nil
}

// parseQuery splits at '&' only: ';' belongs to property lists.
func parseQuery(raw string) ([]pair, error) {
	if raw == "" {
		return nil, nil
	}
	var out []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		key, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return nil, refuse(http.StatusBadRequest, "The query parameter %q is badly encoded", part)
		}
		out = append(out, pair{key, value})
	}
	return out, nil
}
