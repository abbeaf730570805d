package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrPath means that the item cannot be named safely in a request to this server. It is final for that item.
var ErrPath = errors.New("path cannot be named safely in a request")

// ErrOtherItem means that the server answered about another item than the one asked for: it, or a proxy before it,
// reads the path differently. Nothing may be concluded from such an answer.
var ErrOtherItem = errors.New("server answered about another item")

// itemPath is repository and path as they stand in a URL. Everything but RFC 3986's unreserved characters is
// percent-encoded, so no byte of a name can act as a delimiter, a query, a matrix parameter (which would set a
// property) or a dot segment. The reference is checked again, because a Ref can be made without its constructor.
func (c *Client) itemPath(ref artifact.Ref) (string, error) {
	if ref.Instance != "" && ref.Instance != c.name {
		return "", fmt.Errorf("%s is on instance %q, this is %q", ref, ref.Instance, c.name)
	}
	if _, err := artifact.NewRef(ref.Instance, ref.Repo, ref.Path); err != nil {
		return "", fmt.Errorf("%w: %w", ErrPath, err)
	}
	switch {
	case strings.Contains(ref.Path, "!/"):
		return "", fmt.Errorf("%w: in %q, \"!/\" would name an entry inside an archive", ErrPath, ref.Path)
	case c.semicolon == SemicolonRefuse && strings.Contains(ref.Path, ";"):
		return "", fmt.Errorf("%w: %q holds ';', which starts properties in Artifactory's URLs; see pathSemicolon", ErrPath, ref.Path)
	}
	var b strings.Builder
	b.Grow(len(ref.Repo) + len(ref.Path) + 16)
	b.WriteString(ref.Repo)
	b.WriteByte('/')
	escape(&b, ref.Path)
	return b.String(), nil
}

// Speakable is ErrPath for an item that cannot be named safely in a request, as far as that can be said without asking.
func (c *Client) Speakable(ref artifact.Ref) error {
	_, err := c.itemPath(ref)
	return err
}

const hexDigits = "0123456789ABCDEF"

// escape writes s with all bytes but '/' and the unreserved ones percent-encoded.
func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~', c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
}

// writable guards every call that changes something at a path with ';' in it: the server must first be seen to take
// %3B as part of a name, both in its storage interface and where files are stored. The probe names the repository's
// root with %3B behind it: a server that cuts there answers about the root, which always exists; one that does not
// has no such file. Success is remembered for the client's life.
func (c *Client) writable(ctx context.Context, ref artifact.Ref) error {
	if !strings.Contains(ref.Path, ";") || c.literal.Load() {
		return nil
	}
	const probe = "/%3Bhallmark.probe=1"
	for _, u := range [...]string{c.base + "api/storage/" + ref.Repo + probe, c.base + ref.Repo + probe} {
		err := c.do(ctx, request{call: callProbe, method: http.MethodGet, url: u}, discard)
		if isStatus(err, http.StatusNotFound) {
			continue
		}
		if err != nil && (Temporary(err) || ctx.Err() != nil || isStatus(err, http.StatusUnauthorized)) {
			return fmt.Errorf("probing how the server reads %%3B: %w", err)
		}
		return fmt.Errorf("%w: %q holds ';' and this server does not take %%3B as part of a name", ErrPath, ref.Path)
	}
	c.literal.Store(true)
	return nil
}
