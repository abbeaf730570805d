package artifactory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// registryHost stands for the instance in the names and URLs that go-containerregistry makes. No request ever goes there.
const registryHost = "registry.invalid"

// maxSignature bounds what holds one signature of an image: nothing larger is written, or read.
const maxSignature = 1 << 20

// errUpload marks an upload of a blob that broke off between its requests, which cannot be repeated one by one.
var errUpload = errors.New("upload broke off")

// registry is one image in the registry API, for one operation. go-containerregistry speaks the protocol; each of its
// requests becomes a call of the client, with the client's identity, limits, pauses, repetitions and metrics, and with
// an answer of bounded size. The API is addressed as /api/docker/<repository>/v2/<image>, which works however the
// server's administrator maps repositories to host names and ports.
type registry struct {
	c       *Client
	ctx     context.Context // of the one operation; go-containerregistry does not always hand it on
	repo    string
	image   name.Repository
	subject name.Digest
	base    string // URL, ends in /v2/
	options []remote.Option

	fallback bool // the list of referrers that was read last is that at the tag sha256-<hex>
}

// registry prepares an operation on a manifest; it sends nothing.
func (c *Client) registry(ctx context.Context, s artifact.Subject) (*registry, error) {
	switch {
	case s.Kind != artifact.KindImage:
		return nil, fmt.Errorf("it is of kind %q, not an image", s.Kind)
	case s.SHA256.IsZero():
		return nil, errors.New("the digest of the manifest is unknown")
	case s.Ref.Instance != "" && s.Ref.Instance != c.name:
		return nil, fmt.Errorf("it is on instance %q, this is %q", s.Ref.Instance, c.name)
	}
	if _, err := artifact.NewRef("", s.Ref.Repo, s.Image.Name); err != nil { // go-containerregistry takes dot segments
		return nil, fmt.Errorf("%w: %w", ErrPath, err)
	}
	image, err := name.NewRepository(registryHost+"/"+s.Image.Name, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("%w: image %q: %w", ErrPath, s.Image.Name, err)
	}
	r := &registry{
		c: c, ctx: ctx, repo: s.Ref.Repo, image: image, subject: image.Digest("sha256:" + s.SHA256.String()),
		base: c.base + "api/docker/" + s.Ref.Repo + "/v2/",
	}
	// Having greeted the registry, a transport is used as it is: no repetitions beside ours, no log, no tokens.
	wire, err := ggcr.NewWithContext(ctx, image.Registry, authn.Anonymous, r, nil)
	if err != nil {
		return nil, err
	}
	r.options = []remote.Option{
		remote.WithContext(ctx), remote.WithTransport(wire), remote.WithAuth(authn.Anonymous), remote.WithJobs(1),
		remote.WithRetryPredicate(func(err error) bool { return errors.Is(err, errUpload) }),
		remote.WithRetryBackoff(remote.Backoff{Duration: firstPause, Factor: 2, Jitter: 0.5, Steps: c.retries + 1}),
	}
	return r, nil
}

// RoundTrip implements http.RoundTripper for go-containerregistry. What it reads by digest has that digest.
func (r *registry) RoundTrip(req *http.Request) (*http.Response, error) {
	defer closeBody(req)
	call, identifier, target, err := r.route(req.Method, req.URL)
	if err != nil {
		return nil, err
	}
	if target == "" { // the greeting: who the client is, every call of its own settles
		return (&reply{status: http.StatusOK, url: req.URL}).response(req), nil
	}
	out := request{call: call, method: req.Method, url: target, headers: map[string]string{}}
	for _, h := range [...]string{"Accept", "Content-Type"} {
		if v := req.Header.Get(h); v != "" {
			out.headers[h] = v
		}
	}
	if req.Body != nil {
		if out.body, err = io.ReadAll(io.LimitReader(req.Body, maxAnswer)); err != nil {
			return nil, err
		}
	}
	out.single = call == callUpload && req.Method != http.MethodPost
	got, err := r.ask(out)
	if call == callReferrers {
		r.fallback = err != nil || got.mediaType() != string(types.OCIImageIndex)
	}
	switch {
	case err == nil:
	case out.single && Temporary(err):
		return nil, fmt.Errorf("%w: %w", errUpload, err)
	case isStatus(err, http.StatusForbidden) && call == callManifest && req.Method == http.MethodPut && r.holds(out):
		// Without the right to overwrite, a repetition of what has been done is forbidden too.
		got = &reply{status: http.StatusCreated, url: req.URL}
	case isStatus(err, http.StatusNotFound), call == callReferrers && (isStatus(err, http.StatusBadRequest) || isStatus(err, http.StatusNotAcceptable)):
		st, _ := errors.AsType[*StatusError](err)
		got = &reply{status: st.Status, url: req.URL}
	default:
		return nil, err
	}
	if got.status == http.StatusOK && req.Method == http.MethodGet {
		if call == callReferrers {
			err = r.followPages(got, out)
		} else {
			err = hasDigest(got.body, identifier)
		}
		if err != nil {
			return nil, err
		}
	}
	return got.response(req), nil
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
	size   int64    // of the body, which a HEAD has none of; -1 when the server does not tell
	url    *url.URL // that answered, after redirects
}

// mediaType is the answer's, without parameters; "" when it cannot be read.
func (a *reply) mediaType() string {
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// ask makes one call and reads its answer whole.
func (r *registry) ask(out request) (*reply, error) {
	limit := int64(maxAnswer)
	if out.call == callBlob {
		limit = maxSignature
	}
	var got *reply
	err := r.c.do(r.ctx, out, func(resp *http.Response) (err error) {
		got = &reply{status: resp.StatusCode, header: resp.Header.Clone(), size: resp.ContentLength, url: resp.Request.URL}
		if out.method != http.MethodHead {
			got.body, err = readAll(resp, limit)
			got.size = int64(len(got.body))
		}
		return err
	})
	return got, err
}

// holds reports whether the server has the very manifest that it will not take again.
func (r *registry) holds(put request) bool {
	got, err := r.ask(request{call: callManifest, method: http.MethodGet, url: put.url, headers: map[string]string{"Accept": put.headers["Content-Type"]}})
	return err == nil && bytes.Equal(got.body, put.body)
}

// response is the answer as net/http gives it.
func (a *reply) response(req *http.Request) *http.Response {
	from := req.Clone(req.Context())
	from.URL = a.url // relative addresses in the answer start here
	h := a.header
	if h == nil {
		h = http.Header{}
	}
	if kind := a.mediaType(); kind != "" {
		h.Set("Content-Type", kind) // go-containerregistry takes no parameters
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: a.size, Request: from,
	}
}

// hasDigest compares bytes with the digest that they were asked for by; a tag promises nothing.
func hasDigest(body []byte, identifier string) error {
	want, ok := strings.CutPrefix(identifier, "sha256:")
	if !ok {
		if strings.Contains(identifier, ":") {
			return fmt.Errorf("%w: %.80q is no SHA-256", ErrDigest, identifier)
		}
		return nil
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("%w: expected %s, got %x", ErrDigest, want, sum)
	}
	return nil
}

// plainError is an error of go-containerregistry as this package has it: the client's own, or *StatusError.
func plainError(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	if te, ok := errors.AsType[*ggcr.Error](err); ok {
		return &StatusError{Status: te.StatusCode}
	}
	return err
}
