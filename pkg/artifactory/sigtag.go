package artifactory

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
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

// tagged reads the signatures at the tag, and the list of layers that holds them; nil when there is none. What cannot be
// understood there is ErrDamaged, which comes with the signatures that were read.
func (r *registry) tagged() ([]StoredSignature, []v1.Descriptor, error) {
	tag := r.sigTag()
	fail := func(err error) ([]StoredSignature, []v1.Descriptor, error) {
		return nil, nil, fmt.Errorf("reading tag %s: %w", tag.TagStr(), err)
	}
	got, err := remote.Get(tag, r.options...)
	if err = plainError(err); isStatus(err, http.StatusNotFound) {
		return nil, nil, nil
	}
	if damaged(err) {
		return fail(fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	if err != nil {
		return fail(err)
	}
	if !got.MediaType.IsImage() {
		return fail(fmt.Errorf("%w: it is of type %.100q, no image", ErrDamaged, got.MediaType))
	}
	m, err := v1.ParseManifest(bytes.NewReader(got.Manifest))
	if err != nil {
		return fail(fmt.Errorf("%w: %w: %.200s", ErrDamaged, errMalformed, err.Error()))
	}
	var found []StoredSignature
	for _, l := range m.Layers[:min(maxReferrers, len(m.Layers))] {
		if l.MediaType != simpleSigning {
			continue
		}
		s := StoredSignature{Name: tag.TagStr(), Format: formatCosignTag}
		payload, err := r.blob(l.Digest)
		if err != nil && !damaged(err) {
			return fail(err)
		}
		if sig, bad := base64.StdEncoding.DecodeString(l.Annotations[signatureAnnotation]); err == nil && bad == nil {
			if s.Content, err = json.Marshal(taggedSignature{Payload: payload, Signature: sig}); err != nil {
				return fail(err)
			}
		}
		found = append(found, s)
	}
	if len(m.Layers) > maxReferrers {
		_, _, err := fail(fmt.Errorf("%w: it has %d layers, %d are read", ErrDamaged, len(m.Layers), maxReferrers))
		return found, nil, err
	}
	return found, m.Layers, nil
}

// tag stores a signature in the image at the tag of the older scheme, behind those that are there.
func (r *registry) tag(content []byte) (string, error) {
	tag := r.sigTag()
	for try := 0; ; try++ {
		found, layers, err := r.tagged()
		same := func(s StoredSignature) bool { return bytes.Equal(s.Content, content) }
		switch {
		case err != nil:
			return "", err
		case slices.ContainsFunc(found, same):
			return tag.TagStr(), nil
		case try == referTries:
			return "", fmt.Errorf("%w: tag %s was taken but does not hold the signature", ErrStored, tag.TagStr())
		case len(layers) == maxReferrers:
			return "", fmt.Errorf("%w layers at tag %s: no more than %d are read; delete those that nobody needs", ErrTooMany, tag.TagStr(), maxReferrers)
		}
		m, blobs, err := withSignature(layers, content)
		if err != nil {
			return "", err
		}
		if err := r.push(tag, m, blobs...); isStatus(err, http.StatusNotFound) {
			return "", fmt.Errorf("pushing tag %s: %w: layers that it has are not in the registry: %.300s", tag.TagStr(), ErrDamaged, err.Error())
		} else if err != nil {
			return "", fmt.Errorf("pushing tag %s: %w", tag.TagStr(), err)
		}
	}
}

// withSignature is an image with the layers and one signature behind them, and the blobs of it that are new. The layers
// are only referred to: nothing of theirs is fetched, from wherever they say that it is, and what they say of that is
// not passed on.
func withSignature(layers []v1.Descriptor, content []byte) (*ownManifest, []v1.Layer, error) {
	var s taggedSignature
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, nil, fmt.Errorf("reading the signature to store: %w", err)
	}
	if len(s.Payload) == 0 || len(s.Signature) == 0 {
		return nil, nil, errors.New("the signature to store has no payload or no signature")
	}
	ours := describe(simpleSigning, s.Payload)
	ours.Annotations = map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(s.Signature)}
	layers = append(slices.Clone(layers), ours)
	config := v1.ConfigFile{RootFS: v1.RootFS{Type: "layers"}}
	for i := range layers {
		layers[i].URLs = nil
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layers[i].Digest) // signatures are stored as they are
		config.History = append(config.History, v1.History{})
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	m, err := newManifest(v1.Manifest{Config: describe(types.OCIConfigJSON, raw), Layers: layers})
	return m, []v1.Layer{static.NewLayer(raw, types.OCIConfigJSON), static.NewLayer(s.Payload, simpleSigning)}, err
}
