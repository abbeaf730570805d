package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// maxFolder bounds the listing of one folder: more than 100,000 names of 200 characters.
const maxFolder = 32 << 20

// Entry is one name in a folder.
type Entry struct {
	Name   string
	Folder bool
}

// Folder lists what lies directly in a folder of a repository; the folder "" is its root. What is missing is
// artifact.ErrGone, a file ErrNotFolder.
func (c *Client) Folder(ctx context.Context, repo, dir string) ([]Entry, error) {
	entries, err := c.folder(ctx, repo, dir)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", path.Join(repo, dir), err)
	}
	return entries, nil
}

// ErrNotFolder means that the path names a file.
var ErrNotFolder = errors.New("is a file, not a folder")

func (c *Client) folder(ctx context.Context, repo, dir string) ([]Entry, error) {
	if err := checkRepository(repo); err != nil {
		return nil, err
	}
	p := repo
	if dir != "" {
		var err error
		if p, err = c.itemPath(artifact.Ref{Repo: repo, Path: dir}); err != nil {
			return nil, err
		}
	}
	var item itemInfo
	err := c.do(ctx, request{call: callFolder, method: http.MethodGet, url: c.base + "api/storage/" + p}, func(resp *http.Response) error {
		return item.decodeUpTo(resp, maxFolder)
	})
	switch {
	case err != nil:
		return nil, gone(err)
	case item.Repo != repo || strings.Trim(item.Path, "/") != dir:
		return nil, fmt.Errorf("%w: %q in repository %q", ErrOtherItem, item.Path, item.Repo)
	case item.Children == nil:
		return nil, ErrNotFolder
	}
	entries := make([]Entry, len(item.Children))
	for i, raw := range item.Children {
		var child struct {
			URI    string `json:"uri"` // with a leading slash
			Folder bool   `json:"folder"`
		}
		if err := json.Unmarshal(raw, &child); err != nil {
			return nil, fmt.Errorf("reading a folder: %w", err)
		}
		entries[i] = Entry{Name: strings.TrimPrefix(child.URI, "/"), Folder: child.Folder}
	}
	return entries, nil
}

func isGone(err error) bool { return errors.Is(err, artifact.ErrGone) }
