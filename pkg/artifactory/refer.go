package artifactory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// referTries is how often an index or tag that others write to at the same time is written anew.
const referTries = 3

// emptyConfig is what a manifest has for a configuration when there is none.
const (
	emptyConfig     = "{}"
	emptyConfigType = "application/vnd.oci.empty.v1+json"
)

// Refer stores one signature of a manifest and returns where it stands: the digest of the referrer (formats cosign,
// cosign-key and vsa) or the tag (format cosign-tag). It returns without an error only when the signature was read back, whole and listed. The
// same content gives the same referrer or layer, so a repetition changes nothing; signatures of others stay.
//
// A server without the referrers API gets the index at the tag sha256-<hex> instead. That index, like the tag of the
// older scheme, is overwritten by every signature after the first, which needs the right to delete. Somebody else who
// writes there at the same moment can undo it, for the API has no condition to write under; Signatures tells. A final no
// is *Refused; what was stored before it is found and used by the next call. ErrDamaged means that somebody has to delete
// what stands at one of these tags.
func (c *Client) Refer(ctx context.Context, image artifact.Subject, format string, content []byte) (string, error) {
	where, err := c.refer(ctx, image, format, content)
	if err != nil {
		return "", fmt.Errorf("storing a signature of %s: %w", image.Ref, refusal("storing", err))
	}
	return where, nil
}

func (c *Client) refer(ctx context.Context, image artifact.Subject, format string, content []byte) (string, error) {
	if len(content) == 0 || len(content) > maxSignature {
		return "", fmt.Errorf("%w: the signature has %d bytes, 1 to %d are", ErrTooLarge, len(content), maxSignature)
	}
	if image.Size <= 0 || image.Image.MediaType == "" {
		return "", errors.New("size or media type of the manifest is unknown")
	}
	r, err := c.registry(ctx, image)
	if err != nil {
		return "", err
	}
	turn := c.refers[int(image.SHA256[0])%len(c.refers)]
	select { // an index or tag is read and written back: two signatures of ours must not undo one another
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	switch format {
	case formatCosign, formatCosignKey, formatVSA:
		return r.refer(image, format, content)
	case formatCosignTag:
		return r.tag(content)
	}
	return "", fmt.Errorf("images carry no signatures of format %q", format)
}

// refer stores a bundle as referrer.
func (r *registry) refer(image artifact.Subject, format string, content []byte) (string, error) {
	config, layer := static.NewLayer([]byte(emptyConfig), emptyConfigType), static.NewLayer(content, bundleType+".v0.3+json")
	m, err := newReferrer(image, format, content)
	if err != nil {
		return "", err
	}
	for range referTries {
		stands, err := r.stands(m.digest, content)
		if err != nil {
			return "", err
		}
		if stands {
			return m.digest.String(), nil
		}
		if err := r.push(r.image.Digest(m.digest.String()), m, config, layer); err != nil {
			return "", fmt.Errorf("pushing the referrer: %w", err)
		}
	}
	if stands, err := r.stands(m.digest, content); stands || err != nil {
		return m.digest.String(), err
	}
	return "", fmt.Errorf("%w: referrer %s was taken but is not listed", ErrStored, m.digest)
}

// stands reports whether the referrer is listed and holds the content.
func (r *registry) stands(d v1.Hash, content []byte) (bool, error) {
	index, err := r.referrers()
	if err != nil {
		return false, err
	}
	if r.fallback && index.MediaType == "" { // which can be read, but not written back
		return false, fmt.Errorf("%w: the index at the tag of the image's digest does not tell its own media type", ErrDamaged)
	}
	listed := index.Manifests
	i := slices.IndexFunc(listed, func(l v1.Descriptor) bool { return l.Digest == d })
	if i < 0 {
		return false, nil
	}
	s, _, err := r.bundle(listed[i])
	if err != nil {
		return false, err
	}
	if !bytes.Equal(s.Content, content) {
		return false, fmt.Errorf("%w: referrer %s cannot be read back", ErrStored, d)
	}
	return true, nil
}

// push uploads blobs and puts the manifest that names them.
func (r *registry) push(ref name.Reference, m *ownManifest, blobs ...v1.Layer) error {
	for _, blob := range blobs {
		if err := remote.WriteLayer(r.image, blob, r.options...); err != nil {
			return fmt.Errorf("uploading: %w", plainError(err))
		}
	}
	return plainError(remote.Put(ref, m, r.options...))
}

// ownManifest is a manifest of ours, ready to be put. No time is in it: the same content gives the same.
type ownManifest struct {
	raw    []byte
	digest v1.Hash
}

func newManifest(m v1.Manifest) (*ownManifest, error) {
	m.SchemaVersion, m.MediaType = 2, types.OCIManifestSchema1
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	return &ownManifest{raw: raw, digest: describe("", raw).Digest}, nil
}

// newReferrer is the manifest that binds a bundle to its subject.
func newReferrer(image artifact.Subject, format string, content []byte) (*ownManifest, error) {
	annotations := map[string]string{
		"dev.sigstore.bundle.content": "dsse-envelope",
		predicateAnnotation:           signaturePredicate,
	}
	switch format {
	case formatCosignKey:
		annotations[formatAnnotation] = format
	case formatVSA:
		annotations[predicateAnnotation] = summaryPredicate
	}
	return newManifest(v1.Manifest{
		ArtifactType: bundleType + ".v0.3+json",
		Config:       describe(emptyConfigType, []byte(emptyConfig)),
		Layers:       []v1.Descriptor{describe(bundleType+".v0.3+json", content)},
		Subject: &v1.Descriptor{
			MediaType: types.MediaType(image.Image.MediaType), Size: image.Size, Digest: v1.Hash{Algorithm: "sha256", Hex: image.SHA256.String()},
		},
		Annotations: annotations,
	})
}

func describe(kind types.MediaType, b []byte) v1.Descriptor {
	d := artifact.Attachment{Content: b}.SHA256()
	return v1.Descriptor{MediaType: kind, Size: int64(len(b)), Digest: v1.Hash{Algorithm: "sha256", Hex: d.String()}}
}

// RawManifest implements remote.Taggable.
func (m *ownManifest) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType is what the manifest is put as.
func (m *ownManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
