package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Answer is yes, no, or not to be found out.
type Answer string

// The answers about one right.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// Rights is what the token may do in one repository, as far as calls without effect can tell.
type Rights struct {
	Read     Answer // file information, downloads
	Annotate Answer // properties
	Deploy   Answer // storing new files
	// Delete is always Unknown: no call without effect tells. The token should not have it, so that a signature that
	// is stored once cannot be replaced.
	Delete Answer
}

// unknownSHA256 is a checksum that no file has: asked to deploy it by checksum, a server that allows deploying answers
// that it does not know the bytes.
const unknownSHA256 = "0000000000000000000000000000000000000000000000000000000000000001"

// Rights probes what the token may do in a repository: it reads the root, deletes a property that is not there, and
// offers a file by a checksum that nobody has. Nothing is changed. "yes" means that such a call passed the server's
// check of rights; include and exclude patterns of the permission can still forbid a certain path.
func (c *Client) Rights(ctx context.Context, repo string) (Rights, error) {
	r := Rights{Read: Unknown, Annotate: Unknown, Deploy: Unknown, Delete: Unknown}
	if err := checkRepository(repo); err != nil {
		return r, err
	}
	probes := []struct {
		right *Answer
		allow int // the status, beside success, that shows the right
		send  func() error
	}{
		{&r.Read, 0, func() error {
			return c.do(ctx, request{call: callProbe, method: http.MethodGet, url: c.base + "api/storage/" + repo}, discard)
		}},
		{&r.Annotate, 0, func() error {
			return c.patch(ctx, callProbe, repo, map[string][]string{"hallmark.probe": nil})
		}},
		{&r.Deploy, http.StatusNotFound, func() error {
			headers := map[string]string{"X-Checksum-Deploy": "true", "X-Checksum-Sha256": unknownSHA256}
			return c.do(ctx, request{call: callProbe, method: http.MethodPut, url: c.base + repo + "/.hallmark-probe", body: []byte{}, headers: headers}, discard)
		}},
	}
	for _, p := range probes {
		err := p.send()
		status := 0
		if st, ok := errors.AsType[*StatusError](err); ok {
			status = st.Status
		} else if rf, ok := errors.AsType[*Refused](err); ok {
			status = rf.Status
		}
		switch {
		case err == nil, status != 0 && status == p.allow:
			*p.right = Yes
		case status == http.StatusForbidden:
			*p.right = No
		case status == http.StatusNotFound && p.right == &r.Read:
			return r, fmt.Errorf("probing the token's rights in %s: %w", repo, artifact.ErrGone)
		case status == http.StatusUnauthorized || Temporary(err) || ctx.Err() != nil:
			return r, fmt.Errorf("probing the token's rights in %s: %w", repo, err)
		}
	}
	return r, nil
}
