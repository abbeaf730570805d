package artifactory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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

// Refer stores one signature of a manifest and returns where it stands: the digest of the referrer (format cosign) or
// the tag (format cosign-tag). It returns without an error only when the signature was read back, whole and listed. The
// same content gives the same referrer or layer, so a repetition changes nothing; signatures of others stay.
//
// A server without the referrers API gets the index at the tag sha256-<hex> instead. That index, like the tag of the
// older scheme, is overwritten by every signature after the first, which needs the right to delete. Somebody else who
// writes there at the same moment can undo it, for the API has no condition to write under; Signatures tells. A final no
// is *Refused; what was stored before it is found and used by the next call.
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
	turn := &c.refers[int(image.SHA256[0])%len(c.refers)]
	turn.Lock() // an index or tag is read and written back: two signatures of ours must not undo one another
	defer turn.Unlock()
	switch format {
	case formatCosign:
		return r.refer(image, content)
	case formatCosignTag:
		return r.tag(content)
	}
	return "", fmt.Errorf("images carry no signatures of format %q", format)
}

// refer stores a bundle as referrer.
func (r *registry) refer(image artifact.Subject, content []byte) (string, error) {
	config, layer := static.NewLayer([]byte(emptyConfig), emptyConfigType), static.NewLayer(content, bundleType+".v0.3+json")
	m, err := newReferrer(image, content)
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
		for _, blob := range []v1.Layer{config, layer} {
			if err := remote.WriteLayer(r.image, blob, r.options...); err != nil {
				return "", fmt.Errorf("uploading: %w", plainError(err))
			}
		}
		if err := remote.Put(r.image.Digest(m.digest.String()), m, r.options...); err != nil {
			return "", fmt.Errorf("pushing the referrer: %w", plainError(err))
		}
	}
	if stands, err := r.stands(m.digest, content); stands || err != nil {
		return m.digest.String(), err
	}
	return "", fmt.Errorf("%w: referrer %s was taken but is not listed", ErrStored, m.digest)
}

// stands reports whether the referrer is listed and holds the content.
func (r *registry) stands(d v1.Hash, content []byte) (bool, error) {
	listed, err := r.referrers()
	if err != nil {
		return false, err
	}
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

// referrer is a manifest of ours, ready to be put.
type referrer struct {
	raw    []byte
	digest v1.Hash
}

// newReferrer is the manifest that binds a bundle to its subject. No time is in it: the same bundle gives the same.
func newReferrer(image artifact.Subject, content []byte) (*referrer, error) {
	describe := func(kind types.MediaType, b []byte) v1.Descriptor {
		d := artifact.Attachment{Content: b}.SHA256()
		return v1.Descriptor{MediaType: kind, Size: int64(len(b)), Digest: v1.Hash{Algorithm: "sha256", Hex: d.String()}}
	}
	raw, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: bundleType + ".v0.3+json",
		Config: describe(emptyConfigType, []byte(emptyConfig)),
		Layers: []v1.Descriptor{describe(bundleType+".v0.3+json", content)},
		Subject: &v1.Descriptor{
			MediaType: types.MediaType(image.Image.MediaType), Size: image.Size, Digest: v1.Hash{Algorithm: "sha256", Hex: image.SHA256.String()},
		},
		Annotations: map[string]string{
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the referrer: %w", err)
	}
	return &referrer{raw: raw, digest: describe("", raw).Digest}, nil
}

// RawManifest implements remote.Taggable.
func (m *referrer) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType is what the manifest is put as.
func (m *referrer) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// tag stores a signature in the image at the tag of the older scheme, behind those that are there.
func (r *registry) tag(content []byte) (string, error) {
	tag := r.sigTag()
	for try := 0; ; try++ {
		found, image, err := r.tagged()
		if err != nil {
			return "", err
		}
		same := func(s StoredSignature) bool { return bytes.Equal(s.Content, content) }
		switch {
		case slices.ContainsFunc(found, same):
			return tag.TagStr(), nil
		case try == referTries:
			return "", fmt.Errorf("%w: tag %s was taken but does not hold the signature", ErrStored, tag.TagStr())
		}
		image, err = withSignature(image, content)
		if err != nil {
			return "", plainError(err)
		}
		if err := remote.Write(tag, image, r.options...); err != nil {
			return "", fmt.Errorf("pushing tag %s: %w", tag.TagStr(), plainError(err))
		}
	}
}
