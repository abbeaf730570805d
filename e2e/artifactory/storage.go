package artifactory

import (
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// timeLayout is how Artifactory writes points in time: milliseconds and a zone with a colon.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// fileInfo is the answer about a file. Size is a string and Path has a leading slash, unlike in events.
type fileInfo struct {
	Repo              string   `json:"repo"`
	Path              string   `json:"path"`
	Created           string   `json:"created"`
	CreatedBy         string   `json:"createdBy"`
	LastModified      string   `json:"lastModified,omitempty"`
	ModifiedBy        string   `json:"modifiedBy,omitempty"`
	LastUpdated       string   `json:"lastUpdated,omitempty"`
	DownloadURI       string   `json:"downloadUri"`
	MimeType          string   `json:"mimeType"`
	Size              string   `json:"size"`
	Checksums         sumsInfo `json:"checksums"`
	OriginalChecksums sumsInfo `json:"originalChecksums"`
	URI               string   `json:"uri"`
}

type sumsInfo struct {
	SHA1   string `json:"sha1"`
	MD5    string `json:"md5"`
	SHA256 string `json:"sha256"`
}

type folderInfo struct {
	Repo         string      `json:"repo"`
	Path         string      `json:"path"`
	Created      string      `json:"created"`
	CreatedBy    string      `json:"createdBy"`
	LastModified string      `json:"lastModified"`
	ModifiedBy   string      `json:"modifiedBy"`
	LastUpdated  string      `json:"lastUpdated"`
	Children     []childInfo `json:"children"`
	URI          string      `json:"uri"`
}

type childInfo struct {
	URI    string `json:"uri"`
	Folder bool   `json:"folder"`
}

// storageInfo answers GET api/storage: facts of an item, or its properties.
func (s *Server) storageInfo(w http.ResponseWriter, r *http.Request, c call) error {
	if len(c.query) > 1 || (len(c.query) == 1 && c.query[0].key != "properties") {
		return unsupported("the query %q is not implemented on GET api/storage", r.URL.RawQuery)
	}
	answer, err := s.storageAnswer(r, c)
	if err == nil {
		respond(w, http.StatusOK, answer) // without the lock: clients may be slow
	}
	return err
}

func (s *Server) storageAnswer(r *http.Request, c call) (any, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, real, err := s.reading(c.by, c.at)
	if s.Quirks().VirtualInfo != "virtual" {
		c.at = real
	}
	switch {
	case err != nil:
		return nil, err
	case len(c.query) == 1:
		return s.readProperties(r, c, n)
	case n.isFile():
		return s.fileInfo(r, c.at, *n), nil
	}
	return s.folderInfo(r, c.at, n), nil
}

func (s *Server) fileInfo(r *http.Request, a address, n node) fileInfo {
	path := escaped(a)
	base := s.baseFor(r)
	sums := sumsInfo{SHA1: n.blob.sha1, MD5: n.blob.md5, SHA256: n.blob.sha256}
	return fileInfo{
		Repo: a.repo, Path: "/" + a.below(), Created: stamp(n.created), CreatedBy: n.createdBy,
		LastModified: stamp(n.modified), ModifiedBy: n.modifiedBy, LastUpdated: stamp(n.modified),
		DownloadURI: base + "/artifactory/" + path, MimeType: mediaType(a.name()), Size: strconv.FormatInt(n.blob.size, 10),
		Checksums: sums, OriginalChecksums: sums, URI: base + "/artifactory/api/storage/" + path,
	}
}

func (s *Server) folderInfo(r *http.Request, a address, n *node) folderInfo {
	info := folderInfo{
		Repo: a.repo, Path: "/" + a.below(), Created: stamp(n.created), CreatedBy: n.createdBy, LastModified: stamp(n.modified),
		ModifiedBy: n.modifiedBy, LastUpdated: stamp(n.modified), Children: []childInfo{}, URI: s.baseFor(r) + "/artifactory/api/storage/" + escaped(a),
	}
	for name, child := range n.children {
		info.Children = append(info.Children, childInfo{URI: "/" + name, Folder: !child.isFile()})
	}
	sort.Slice(info.Children, func(i, j int) bool { return info.Children[i].URI < info.Children[j].URI })
	return info
}

// baseFor is the configured address, or the one the client used.
func (s *Server) baseFor(r *http.Request) string {
	if base := s.URL(); base != "" || r == nil {
		return base
	}
	return "http://" + r.Host
}

// escaped is the item as a request line names it; a semicolon in a name is encoded.
func escaped(a address) string {
	var b strings.Builder
	b.WriteString(url.PathEscape(a.repo))
	for _, seg := range a.path {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(seg))
	}
	return b.String()
}
