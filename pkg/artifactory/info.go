package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrNotFile means that the path names a folder.
var ErrNotFile = errors.New("is a folder, not a file")

// itemInfo is the answer of GET /api/storage and of a deploy. size is a JSON string in both, a number in webhooks.
type itemInfo struct {
	Repo         string      `json:"repo"`
	Path         string      `json:"path"` // with a leading slash
	Created      string      `json:"created"`
	CreatedBy    string      `json:"createdBy"`
	LastModified string      `json:"lastModified"`
	ModifiedBy   string      `json:"modifiedBy"`
	Size         json.Number `json:"size"`
	Checksums    struct {
		SHA256 string `json:"sha256"`
		SHA1   string `json:"sha1"`
	} `json:"checksums"`
	Children []json.RawMessage `json:"children"` // folders have it, empty ones too
}

// Info asks Artifactory for the facts about one file. A missing item is artifact.ErrGone, a folder ErrNotFile. The
// digest is zero when Artifactory has none for the file. An answer about any other item is ErrOtherItem.
func (c *Client) Info(ctx context.Context, ref artifact.Ref) (artifact.Info, error) {
	info, err := c.info(ctx, ref)
	if err != nil {
		return artifact.Info{}, fmt.Errorf("asking about %s: %w", ref, err)
	}
	return info, nil
}

func (c *Client) info(ctx context.Context, ref artifact.Ref) (artifact.Info, error) {
	p, err := c.itemPath(ref)
	if err != nil {
		return artifact.Info{}, err
	}
	var item itemInfo
	err = c.do(ctx, request{call: callInfo, method: http.MethodGet, url: c.base + "api/storage/" + p}, item.decode)
	if err != nil {
		return artifact.Info{}, gone(err)
	}
	return item.info(ref)
}

func (i *itemInfo) decode(resp *http.Response) error { return i.decodeUpTo(resp, maxAnswer) }

func (i *itemInfo) decodeUpTo(resp *http.Response, limit int64) error {
	raw, err := readAll(resp, limit)
	if err != nil {
		return err
	}
	*i = itemInfo{}
	if err := json.Unmarshal(raw, i); err != nil {
		return fmt.Errorf("reading file information: %w", err)
	}
	return nil
}

// isAbout checks that the server understood the path as it was meant.
func (i *itemInfo) isAbout(ref artifact.Ref) error {
	if i.Repo != ref.Repo || i.Path != "/"+ref.Path {
		return fmt.Errorf("%w: %q in repository %q", ErrOtherItem, i.Path, i.Repo)
	}
	return nil
}

func (i *itemInfo) info(ref artifact.Ref) (artifact.Info, error) {
	if err := i.isAbout(ref); err != nil {
		return artifact.Info{}, err
	}
	if i.Children != nil || i.Size == "" {
		return artifact.Info{}, ErrNotFile
	}
	size, err := strconv.ParseInt(i.Size.String(), 10, 64)
	if err != nil || size < 0 {
		return artifact.Info{}, fmt.Errorf("server reports the size %q", i.Size)
	}
	digest, err := i.digest()
	if err != nil {
		return artifact.Info{}, err
	}
	return artifact.Info{
		Ref: ref, SHA256: digest, SHA1: sha1Text(i.Checksums.SHA1), Size: size, CreatedBy: i.CreatedBy, ModifiedBy: i.ModifiedBy,
		Created: parseTime(i.Created), Modified: parseTime(i.LastModified),
	}, nil
}

// digest is the stored SHA-256; zero when the server has none.
func (i *itemInfo) digest() (artifact.Digest, error) {
	if i.Checksums.SHA256 == "" {
		return artifact.Digest{}, nil
	}
	d, err := artifact.ParseDigest(strings.ToLower(i.Checksums.SHA256))
	if err != nil {
		return artifact.Digest{}, fmt.Errorf("server reports a SHA-256 that is none: %w", err)
	}
	return d, nil
}

// parseTime reads Artifactory's times, which come with and without a colon in the zone. Unreadable is zero: the times
// are for people.
func parseTime(s string) time.Time {
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// gone turns a 404 into artifact.ErrGone.
func gone(err error) error {
	if isStatus(err, http.StatusNotFound) {
		return artifact.ErrGone
	}
	return err
}
