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

func decodeInto(doc any) func(*http.Response) error {
	return func(resp *http.Response) error {
		raw, err := readAll(resp, maxAnswer)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, doc)
	}
}
