package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	bundleRepository = "release-bundles-v2"      // of those without a project; with one, the project's key and '-' before it
	bundleFile       = "release-bundle.json.evd" // lists the contents, signed by the platform
	maxContents      = 100_000
	maxContent       = 4 << 20 // bytes of JSON for one artifact of a bundle, its properties included
)

// BundleRef names the file that stands for a release bundle v2: the list of its contents.
func (c *Client) BundleRef(project, name, version string) (artifact.Ref, error) {
	repo := bundleRepository
	if project != "" {
		repo = project + "-" + bundleRepository
	}
	if name == "" || version == "" || strings.Contains(name+version, "/") {
		return artifact.Ref{}, fmt.Errorf("%w: a release bundle has a name and a version without '/', not %.100q and %.100q", ErrPath, name, version)
	}
	ref, err := artifact.NewRef(c.name, repo, name+"/"+version+"/"+bundleFile)
	if err != nil {
		return artifact.Ref{}, fmt.Errorf("%w: %w", ErrPath, err)
	}
	return ref, nil
}

// bundleKey names one release bundle to the lifecycle API.
type bundleKey struct{ project, name, version string }

// bundleKey reads a reference that BundleRef could have made.
func (c *Client) bundleKey(ref artifact.Ref) (bundleKey, error) {
	if _, err := c.itemPath(ref); err != nil {
		return bundleKey{}, err
	}
	project, ok := strings.CutSuffix("-"+ref.Repo, "-"+bundleRepository)
	segments := strings.Split(ref.Path, "/")
	if !ok || len(segments) != 3 || segments[2] != bundleFile {
		return bundleKey{}, fmt.Errorf("%w: %s is not the %s of a release bundle", ErrPath, ref, bundleFile)
	}
	return bundleKey{strings.TrimPrefix(project, "-"), segments[0], segments[1]}, nil
}

// lifecycle is the URL of something about a release bundle: what is one of the lifecycle API's words.
func (c *Client) lifecycle(what string, k bundleKey, further string, query url.Values) string {
	var b strings.Builder
	b.WriteString(c.platform() + "lifecycle/api/v2/" + what + "/")
	escape(&b, k.name+"/"+k.version+further)
	if query == nil {
		query = url.Values{}
	}
	if k.project != "" {
		query.Set("project", k.project)
	}
	if len(query) > 0 {
		b.WriteString("?" + query.Encode())
	}
	return b.String()
}

// Bundle reads a release bundle v2 with all its contents and promotions. One that does not exist, or is deleted while it
// is being read, is artifact.ErrGone; one of more than 100,000 artifacts is ErrTooLarge.
func (c *Client) Bundle(ctx context.Context, ref artifact.Ref) (artifact.Bundle, error) {
	b, err := c.bundle(ctx, ref)
	if err != nil {
		return artifact.Bundle{}, fmt.Errorf("asking about release bundle %s: %w", ref, gone(err))
	}
	return b, nil
}

func (c *Client) bundle(ctx context.Context, ref artifact.Ref) (artifact.Bundle, error) {
	k, err := c.bundleKey(ref)
	if err != nil {
		return artifact.Bundle{}, err
	}
	promotions, err := c.promotions(ctx, k)
	if err != nil {
		return artifact.Bundle{}, err
	}
	b := artifact.Bundle{Name: k.name, Version: k.version, Project: k.project}
	for _, p := range promotions {
		b.Promotions = append(b.Promotions, p.BundlePromotion)
	}
	// The status comes before the contents: those of a bundle that was complete are all of them.
	status, err := c.bundleStatus(ctx, c.lifecycle("release_bundle/statuses", k, "", nil))
	if err != nil {
		return artifact.Bundle{}, err
	}
	b.Status = status.Status
	err = c.do(ctx, request{call: callBundle, method: http.MethodGet, url: c.lifecycle("release_bundle/records", k, "", nil)}, func(resp *http.Response) (err error) {
		b.Contents, err = c.contents(resp.Body)
		return err
	})
	return b, err
}

// bundleState is the state of a bundle's creation, or of a promotion.
type bundleState struct {
	Status   string `json:"status"`
	Messages []struct {
		Text string `json:"text"`
	} `json:"messages"`
}

func (c *Client) bundleStatus(ctx context.Context, u string) (bundleState, error) {
	var state bundleState
	err := c.do(ctx, request{call: callBundle, method: http.MethodGet, url: u}, func(resp *http.Response) error {
		state = bundleState{}
		return decodeInto(&state)(resp)
	})
	if err == nil && state.Status == "" {
		err = errors.New("server tells no status")
	}
	state.Status = strings.ToUpper(state.Status)
	return state, err
}

// contents reads a bundle's record as a stream: with the properties of all artifacts, which are skipped, it can be large.
func (c *Client) contents(body io.Reader) ([]artifact.Bundled, error) {
	q := &quota{r: body, left: maxContent}
	d := json.NewDecoder(q)
	list, err := c.decodeContents(d, q)
	if q.err != nil {
		return nil, q.err
	}
	if err != nil && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrPath) {
		return nil, fmt.Errorf("reading a release bundle's contents: %w", err)
	}
	return list, err
}

func (c *Client) decodeContents(d *json.Decoder, q *quota) ([]artifact.Bundled, error) {
	list := []artifact.Bundled{}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("not a JSON object"), err)
	}
	found := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		q.left = maxContent
		if key != "artifacts" {
			var skip json.RawMessage
			if err := d.Decode(&skip); err != nil {
				return nil, err
			}
			continue
		}
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return nil, errors.Join(errors.New("artifacts is not a list"), err)
		}
		found = true
		for d.More() {
			if len(list) == maxContents {
				return nil, fmt.Errorf("%w: the release bundle holds more than %d artifacts", ErrTooLarge, maxContents)
			}
			q.left = maxContent
			one, err := c.decodeContent(d)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New("it lists no artifacts")
	}
	return list, nil
}

func (c *Client) decodeContent(d *json.Decoder) (artifact.Bundled, error) {
	var one struct {
		Path     string `json:"path"`
		Checksum string `json:"checksum"`
		Repo     string `json:"source_repository_key"`
	}
	if err := d.Decode(&one); err != nil {
		return artifact.Bundled{}, err
	}
	ref, err := artifact.NewRef(c.name, one.Repo, strings.TrimPrefix(one.Path, "/"))
	if err != nil {
		return artifact.Bundled{}, fmt.Errorf("%w: of a release bundle's content: %w", ErrPath, err)
	}
	// What is no SHA-256 stays zero, which equals no artifact.
	digest, _ := artifact.ParseDigest(strings.ToLower(strings.TrimPrefix(one.Checksum, "sha256:")))
	return artifact.Bundled{Ref: ref, SHA256: digest}, nil
}

// quota is a reader that gives up when nobody renews left; err is why reading failed.
type quota struct {
	r    io.Reader
	left int64
	err  error
}

func (q *quota) Read(p []byte) (int, error) {
	if q.left <= 0 {
		q.err = fmt.Errorf("%w: one entry has more than %d bytes", ErrTooLarge, maxContent)
		return 0, q.err
	}
	n, err := q.r.Read(p[:min(int64(len(p)), q.left)])
	q.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		q.err = bodyError(err)
	}
	return n, err
}
