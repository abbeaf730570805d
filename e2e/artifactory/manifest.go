package artifactory

import (
	"encoding/json"
	"io"
	"strings"
)

// maxManifest bounds a manifest or index.
const maxManifest = 4 << 20

// manifest is what the registry needs to know of an image manifest or index.
type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *descriptor       `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// descriptor points to a content.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	URLs         []string          `json:"urls,omitempty"`
	Platform     *Platform         `json:"platform,omitempty"`
}

// Media types of manifests.
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

func (m *manifest) isIndex() bool { return m.MediaType == ociIndex || m.MediaType == dockerList }

// file is the manifest's name in the repository.
func (m *manifest) file() string {
	if m.isIndex() {
		return listFile
	}
	return manifestFile
}

const (
	manifestFile = "manifest.json"
	listFile     = "list.manifest.json"
)

// layerFile is the name of a layer or config beside its manifest.
func layerFile(digest string) string { return strings.Replace(digest, ":", "__", 1) }

// blobs are the contents that must be there: not those that lie elsewhere by URL.
func (m *manifest) blobs() []descriptor {
	var out []descriptor
	if m.Config != nil {
		out = append(out, *m.Config)
	}
	for _, l := range m.Layers {
		if len(l.URLs) == 0 {
			out = append(out, l)
		}
	}
	return out
}

// parseManifest takes the media type from the body, else from the caller.
func parseManifest(content []byte, mediaType string) (*manifest, bool) {
	m := &manifest{}
	if json.Unmarshal(content, m) != nil || m.SchemaVersion != 2 {
		return nil, false
	}
	if m.MediaType == "" {
		m.MediaType = mediaType
	}
	switch m.MediaType {
	case ociManifest, dockerManifest:
		return m, m.Config != nil && len(m.Manifests) == 0
	case ociIndex, dockerList:
		return m, m.Config == nil && len(m.Layers) == 0
	}
	return nil, false
}

// manifestOf reads a stored manifest, once; nil when it is none.
func (s *Server) manifestOf(n *node) *manifest {
	if known := n.blob.parsed.Load(); known != nil {
		return known
	}
	if n.blob.size > maxManifest {
		return nil
	}
	content, err := s.contentBytes(n.blob)
	if err != nil {
		return nil
	}
	mediaType := ociManifest
	if n.name == listFile {
		mediaType = ociIndex
	}
	m, ok := parseManifest(content, mediaType)
	if !ok {
		return nil
	}
	n.blob.parsed.Store(m)
	return m
}

// contentBytes reads a small content whole.
func (s *Server) contentBytes(b *blob) ([]byte, error) {
	f, err := s.blobs.open(b)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
