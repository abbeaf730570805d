package artifact

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxManifest bounds a manifest in bytes, as registries do.
	maxManifest = 4 << 20
	// maxChildren bounds the manifests of one index, with those of the indexes in it.
	maxChildren = 1000
	// maxDepth bounds indexes within indexes: an index of indexes of indexes of images.
	maxDepth = 3
)

// The media types of manifests that can be signed (OCI image specification 1.1; Docker image manifest version 2).
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// The media types of the configurations that tell an image's platform.
const (
	ociConfig    = "application/vnd.oci.image.config.v1+json"
	dockerConfig = "application/vnd.docker.container.image.v1+json"
)

func isIndexType(t string) bool { return t == ociIndex || t == dockerList }

// manifest is what has to be known of a manifest or an index.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        *descriptor  `json:"config"`
	Subject       *descriptor  `json:"subject"`
	Manifests     []descriptor `json:"manifests"`
	Layers        []descriptor `json:"layers"`
}

type descriptor struct {
	MediaType string   `json:"mediaType"`
	Digest    string   `json:"digest"`
	Platform  platform `json:"platform"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// String is os/architecture[/variant], as on command lines.
func (p platform) String() string {
	if p == (platform{}) {
		return ""
	}
	return strings.TrimSuffix(strings.Join([]string{p.OS, p.Architecture, p.Variant}, "/"), "/")
}

// parseManifest reads an image manifest or an index. The media type may be left out of OCI's.
func parseManifest(content []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return manifest{}, fmt.Errorf("%w: not a manifest: %w", ErrForm, err)
	}
	index := m.Manifests != nil
	switch {
	case m.SchemaVersion != 2:
		return manifest{}, fmt.Errorf("%w: manifest of schema version %d; 2 is what can be signed", ErrForm, m.SchemaVersion)
	case index == (m.Config != nil):
		return manifest{}, fmt.Errorf("%w: neither an image manifest nor an index", ErrForm)
	case m.MediaType == "" && index:
		m.MediaType = ociIndex
	case m.MediaType == "":
		m.MediaType = ociManifest
	case index != isIndexType(m.MediaType), !index && m.MediaType != ociManifest && m.MediaType != dockerManifest:
		return manifest{}, fmt.Errorf("%w: the media type %.100q does not go with the content", ErrForm, m.MediaType)
	}
	if len(m.Manifests) > maxChildren {
		return manifest{}, fmt.Errorf("%w: the index lists %d manifests, the limit is %d", ErrForm, len(m.Manifests), maxChildren)
	}
	seen := make(map[string]bool, len(m.Manifests))
	for _, d := range m.Manifests {
		if hexDigest, ok := strings.CutPrefix(d.Digest, digestPrefix); !ok {
			return manifest{}, fmt.Errorf("%w: the index lists the digest %.100q; only sha256 can be followed", ErrForm, d.Digest)
		} else if _, err := ParseDigest(hexDigest); err != nil {
			return manifest{}, fmt.Errorf("%w: the index lists the digest %.100q: %w", ErrForm, d.Digest, err)
		}
		seen[d.Digest] = true
	}
	// One manifest may be listed for several platforms; it is signed once.
	m.Manifests = slices.DeleteFunc(m.Manifests, func(d descriptor) bool {
		first := seen[d.Digest]
		seen[d.Digest] = false
		return !first
	})
	return m, nil
}

// Blobs are the digests of what a manifest consists of besides itself, its configuration and its layers, each once; an
// index has none, and is told. Artifactory keeps them beside the manifest's file. Those that are not named by SHA-256 are left out.
func Blobs(content []byte) (found []Digest, index bool, err error) {
	m, err := parseManifest(content)
	if err != nil {
		return nil, false, err
	}
	seen := map[Digest]bool{}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, l := range m.Layers {
		sum, ok := strings.CutPrefix(l.Digest, digestPrefix)
		if d, err := ParseDigest(sum); ok && err == nil && !seen[d] {
			seen[d] = true
			found = append(found, d)
		}
	}
	return found, isIndexType(m.MediaType), nil
}
