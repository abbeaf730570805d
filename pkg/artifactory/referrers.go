package artifactory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// The formats that images carry, as pkg/seal names them.
const (
	formatCosign    = "cosign"
	formatCosignKey = "cosign-key"
	formatCosignTag = "cosign-tag"
	formatVSA       = "vsa"
)

// What a referrer tells of the statement in its bundle.
const (
	predicateAnnotation = "dev.sigstore.bundle.predicateType"
	signaturePredicate  = "https://sigstore.dev/cosign/sign/v1"
	summaryPredicate    = "https://slsa.dev/verification_summary/v1"
)

// formatAnnotation tells, in the manifest of a referrer of ours, the format where nothing else does. Like everything that
// stands there, it is a claim of whoever pushed it, to know by what rules to verify.
const formatAnnotation = "hallmark.format"

// bundleType begins the media type of a Sigstore bundle of any version.
const bundleType = "application/vnd.dev.sigstore.bundle"

// maxReferrers bounds how many referrers of a manifest, and how many layers at its signature tag, are read.
const maxReferrers = 64

// ErrTooMany means that more things refer to a manifest, or more evidence to a file, than are read.
var ErrTooMany = errors.New("too many")

// ErrReferrers means that the registry forbids the list of a manifest's referrers.
var ErrReferrers = errors.New("the list of referrers is forbidden")

// ErrDamaged means that what lists the signatures of an image, at a tag that anybody who may push to it can write, is no
// such list. Somebody has to delete it.
var ErrDamaged = errors.New("the list of the image's signatures is damaged")

// errMalformed means that a manifest cannot be understood.
var errMalformed = errors.New("malformed manifest")

// Signatures reads what stands as a signature of a manifest: the Sigstore bundles among its referrers (OCI 1.1; where
// that API is missing, those in the index at the tag sha256-<hex>), and what cosign's older scheme has at the tag
// sha256-<hex>.sig. They come in the order in which the server lists them, the older scheme's last. When the server
// forbids the list of referrers, what is at the tag comes together with ErrReferrers; when there are more than 64, of
// whatever kind, with ErrTooMany.
//
// Every manifest and blob has the digest that it is listed under. One that is damaged, larger than a signature is, or
// gone has no content, and so proves nothing. A list that is damaged itself is one such signature, under the name of the
// tag; so is what a tag has behind its first 64 layers.
func (c *Client) Signatures(ctx context.Context, image artifact.Subject) ([]StoredSignature, error) {
	found, err := c.signatures(ctx, image)
	if err != nil {
		return found, fmt.Errorf("reading the signatures of %s: %w", image.Ref, err)
	}
	return found, nil
}

func (c *Client) signatures(ctx context.Context, image artifact.Subject) ([]StoredSignature, error) {
	r, err := c.registry(ctx, image)
	if err != nil {
		return nil, err
	}
	index, err := r.referrers()
	var found []StoredSignature
	var unread error
	switch {
	case isStatus(err, http.StatusForbidden):
		unread = fmt.Errorf("%w: %w", ErrReferrers, err)
	case errors.Is(err, ErrTooMany):
		unread = err
	case errors.Is(err, ErrDamaged):
		found = []StoredSignature{{Name: strings.TrimSuffix(r.sigTag().TagStr(), ".sig"), Format: formatCosign}}
	case err != nil:
		return nil, err
	}
	for _, d := range index.Manifests {
		s, ok, err := r.bundle(d)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, s)
		}
	}
	tagged, _, err := r.tagged()
	switch {
	case errors.Is(err, ErrDamaged):
		tagged = append(tagged, StoredSignature{Name: r.sigTag().TagStr(), Format: formatCosignTag})
	case err != nil:
		return nil, err
	}
	return append(found, tagged...), unread
}

// referrers lists what refers to the manifest; nothing comes with an error.
func (r *registry) referrers() (v1.IndexManifest, error) {
	fail := func(err error) (v1.IndexManifest, error) {
		return v1.IndexManifest{}, fmt.Errorf("listing referrers: %w", err)
	}
	index, err := remote.Referrers(r.subject, r.options...)
	if err = plainError(err); damaged(err) {
		return fail(fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	if err != nil {
		return fail(err)
	}
	m, err := index.IndexManifest()
	switch {
	case err != nil:
		return fail(fmt.Errorf("%w: %w: %.200s", ErrDamaged, errMalformed, err.Error()))
	case r.fallback && (m.SchemaVersion != 2 || m.MediaType != "" && m.MediaType != types.OCIImageIndex):
		return fail(fmt.Errorf("%w: at the tag of the image's digest is no index", ErrDamaged))
	case len(m.Manifests) > maxReferrers:
		return v1.IndexManifest{}, fmt.Errorf("%w referrers: the manifest has %d, %d are read; delete those that nobody needs", ErrTooMany, len(m.Manifests), maxReferrers)
	}
	return *m, nil
}

// formatOf is the format that a referrer with a bundle says it has.
func formatOf(annotations map[string]string) string {
	switch {
	case annotations[predicateAnnotation] == summaryPredicate:
		return formatVSA
	case annotations[formatAnnotation] == formatCosignKey:
		return formatCosignKey
	}
	return formatCosign
}

// bundle reads the signature that a referrer holds; false when it is something else.
func (r *registry) bundle(d v1.Descriptor) (StoredSignature, bool, error) {
	s := StoredSignature{Name: d.Digest.String(), Format: formatCosign}
	m, err := r.manifest(r.image.Digest(d.Digest.String()))
	if damaged(err) {
		return s, strings.HasPrefix(d.ArtifactType, bundleType), nil
	}
	if err != nil {
		return s, false, fmt.Errorf("reading referrer %s: %w", d.Digest, err)
	}
	if len(m.Layers) != 1 || !strings.HasPrefix(string(m.Layers[0].MediaType), bundleType) {
		return s, false, nil
	}
	s.Format = formatOf(m.Annotations)
	if s.Content, err = r.blob(m.Layers[0].Digest); err != nil && !damaged(err) {
		return s, false, fmt.Errorf("reading referrer %s: %w", d.Digest, err)
	}
	return s, true, nil
}

// manifest reads an image manifest.
func (r *registry) manifest(ref name.Reference) (*v1.Manifest, error) {
	got, err := remote.Get(ref, r.options...)
	if err != nil {
		return nil, plainError(err)
	}
	m, err := v1.ParseManifest(bytes.NewReader(got.Manifest))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return m, nil
}

// blob reads a small blob whole.
func (r *registry) blob(d v1.Hash) ([]byte, error) {
	layer, err := remote.Layer(r.image.Digest(d.String()), r.options...)
	if err != nil {
		return nil, plainError(err)
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, plainError(err)
	}
	defer body.Close()
	return io.ReadAll(body)
}

// damaged reports whether an error is about the thing that was read, and reading it again will not help.
func damaged(err error) bool {
	return errors.Is(err, ErrDigest) || errors.Is(err, ErrTooLarge) || errors.Is(err, errMalformed) || isStatus(err, http.StatusNotFound)
}
