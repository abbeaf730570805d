package artifactory

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What cosign's older scheme calls a signature: a layer of this type, annotated with its signature in base64.
const (
	simpleSigning       = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureAnnotation = "dev.cosignproject.cosign/signature"
)

// taggedSignature is the content of the format cosign-tag, see pkg/seal.
type taggedSignature struct {
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature"`
}

// sigTag is where cosign's older scheme keeps the signatures of the manifest.
func (r *registry) sigTag() name.Tag {
	return r.image.Tag(strings.Replace(r.subject.DigestStr(), ":", "-", 1) + ".sig")
}

// tagged reads the signatures at the tag, and the image that holds them; nil when there is none.
func (r *registry) tagged() ([]StoredSignature, v1.Image, error) {
	tag := r.sigTag()
	got, err := remote.Get(tag, r.options...)
	if err = plainError(err); isStatus(err, http.StatusNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading tag %s: %w", tag.TagStr(), err)
	}
	if !got.MediaType.IsImage() {
		return nil, nil, fmt.Errorf("reading tag %s: %w: it is of type %.100q, no image", tag.TagStr(), errMalformed, got.MediaType)
	}
	image, err := got.Image()
	if err != nil {
		return nil, nil, fmt.Errorf("reading tag %s: %w", tag.TagStr(), plainError(err))
	}
	m, err := image.Manifest()
	if err != nil {
		return nil, nil, fmt.Errorf("reading tag %s: %w: %w", tag.TagStr(), errMalformed, err)
	}
	if len(m.Layers) > maxReferrers {
		return nil, nil, fmt.Errorf("%w layers at tag %s: it has %d, %d are read", ErrTooMany, tag.TagStr(), len(m.Layers), maxReferrers)
	}
	var found []StoredSignature
	for _, l := range m.Layers {
		if l.MediaType != simpleSigning {
			continue
		}
		s := StoredSignature{Name: tag.TagStr(), Format: formatCosignTag}
		payload, err := r.blob(l.Digest)
		if err != nil && !damaged(err) {
			return nil, nil, fmt.Errorf("reading tag %s: %w", tag.TagStr(), err)
		}
		if sig, bad := base64.StdEncoding.DecodeString(l.Annotations[signatureAnnotation]); err == nil && bad == nil {
			if s.Content, err = json.Marshal(taggedSignature{Payload: payload, Signature: sig}); err != nil {
				return nil, nil, err
			}
		}
		found = append(found, s)
	}
	return found, image, nil
}

// withSignature is the image at the tag with one signature more.
func withSignature(image v1.Image, content []byte) (v1.Image, error) {
	var s taggedSignature
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("reading the signature to store: %w", err)
	}
	if len(s.Payload) == 0 || len(s.Signature) == 0 {
		return nil, errors.New("the signature to store has no payload or no signature")
	}
	if image == nil {
		image = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	return mutate.Append(image, mutate.Addendum{
		Layer:       static.NewLayer(s.Payload, simpleSigning),
		Annotations: map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(s.Signature)},
	})
}
