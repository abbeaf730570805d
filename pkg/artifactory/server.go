package artifactory

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Ping asks whether the server answers. It needs no token on most servers, so it says nothing about rights.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.do(ctx, request{call: callPing, method: http.MethodGet, url: c.base + "api/system/ping"}, discard); err != nil {
		return fmt.Errorf("pinging %s: %w", c.URL(), err)
	}
	return nil
}

// Version is the server's release, such as "7.98.8". It proves that the token is accepted.
func (c *Client) Version(ctx context.Context) (string, error) {
	var doc struct {
		Version string `json:"version"`
	}
	err := c.do(ctx, request{call: callVersion, method: http.MethodGet, url: c.base + "api/system/version"}, decodeInto(&doc))
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", c.URL(), err)
	}
	return doc.Version, nil
}

// Repository looks a repository up. One that does not exist is artifact.ErrGone; one that the token may not see is that
// or a *StatusError with 403, as the server likes.
func (c *Client) Repository(ctx context.Context, key string) (artifact.Repository, error) {
	repo, err := c.repository(ctx, key)
	if err != nil {
		return artifact.Repository{}, fmt.Errorf("asking about repository %q: %w", key, err)
	}
	return repo, nil
}

func (c *Client) repository(ctx context.Context, key string) (artifact.Repository, error) {
	if err := checkRepository(key); err != nil {
		return artifact.Repository{}, err
	}
	var doc struct {
		Key     string `json:"key"`
		Class   string `json:"rclass"`
		Package string `json:"packageType"`
	}
	err := c.do(ctx, request{call: callRepository, method: http.MethodGet, url: c.base + "api/repositories/" + key}, decodeInto(&doc))
	if err == nil {
		return artifact.Repository{Key: key, Class: artifact.Class(strings.ToLower(doc.Class)), Package: strings.ToLower(doc.Package)}, nil
	}
	if Temporary(err) || isStatus(err, http.StatusUnauthorized) {
		return artifact.Repository{}, err
	}
	// Its configuration may be closed to this token, or it does not exist (400 on many releases): its root tells.
	var root itemInfo
	err = c.do(ctx, request{call: callRepository, method: http.MethodGet, url: c.base + "api/storage/" + key}, root.decode)
	if err != nil {
		return artifact.Repository{}, gone(err)
	}
	return artifact.Repository{Key: key}, nil
}

// Repositories lists the repositories that the token may see, with their classes. Their order means nothing.
func (c *Client) Repositories(ctx context.Context) ([]artifact.Repository, error) {
	var docs []struct {
		Key     string `json:"key"`
		Class   string `json:"type"`
		Package string `json:"packageType"`
	}
	err := c.do(ctx, request{call: callList, method: http.MethodGet, url: c.base + "api/repositories"}, decodeInto(&docs))
	if err != nil {
		return nil, fmt.Errorf("listing repositories: %w", err)
	}
	list := make([]artifact.Repository, len(docs))
	for i, d := range docs {
		list[i] = artifact.Repository{Key: d.Key, Class: artifact.Class(strings.ToLower(d.Class)), Package: strings.ToLower(d.Package)}
	}
	return list, nil
}

// checkRepository holds a repository's name to the rules of artifact.NewRef.
func checkRepository(key string) error {
	if _, err := artifact.NewRef("", key, "x"); err != nil {
		return fmt.Errorf("%w: %w", ErrPath, err)
	}
	return nil
}

func decodeInto(doc any) func(*http.Response) error {
	return func(resp *http.Response) error {
		raw, err := readAll(resp, maxAnswer)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, doc)
	}
}

// Locate answers where the bytes are that a virtual repository shows at ref; any other ref is its own answer.
func (c *Client) Locate(_ context.Context, ref artifact.Ref) (artifact.Ref, error) { return ref, nil }
