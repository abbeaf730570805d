package artifactory

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// eachSpelling calls send with the address of a build: first with every byte of its name escaped; when such a build is
// not known and the name has slashes, with these as they are. JFrog's own client does either, call by call.
func (c *Client) eachSpelling(r run, api string, query url.Values, send func(u string) error) error {
	for _, s := range []string{r.name, r.number} {
		if s == "" || s == "." || s == ".." || len(s) > maxBuildName || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("%w: %q is no name or number of a build", ErrPath, s)
		}
	}
	if r.project != "" {
		if err := checkRepository(r.project); err != nil {
			return err
		}
		query.Set("project", r.project)
	}
	tail := "/" + segment(r.number)
	if len(query) > 0 {
		tail += "?" + query.Encode()
	}
	err := send(c.base + api + segment(r.name) + tail)
	_, invalid := artifact.NewRef("", "x", r.name)
	if (isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusBadRequest)) && strings.Contains(r.name, "/") && invalid == nil {
		var b strings.Builder
		escape(&b, r.name)
		if again := send(c.base + api + b.String() + tail); !isStatus(again, http.StatusBadRequest) {
			return again
		}
	}
	return err
}

// maxBuildName bounds a build's name and number, in bytes.
const maxBuildName = 1024

// segment is a name as one segment of a URL's path.
func segment(s string) string {
	var b strings.Builder
	escape(&b, s)
	return strings.ReplaceAll(b.String(), "/", "%2F")
}

// spellings are how a name or number may stand in a build-info repository.
func spellings(s string) []string {
	if e := encodedForBuilds(s); e != s {
		return []string{s, e}
	}
	return []string{s}
}

// encodedForBuilds is a name or number as JFrog's client expects it in a build-info repository.
func encodedForBuilds(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case unicode.IsSpace(c):
			b.WriteByte(' ')
		case c == '\'':
			b.WriteString("%22") // so it is
		case strings.ContainsRune(`/\|*?:;%`, c):
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteRune(c)
		}
	}
	return strings.NewReplacer("%2F ", "%2F%20", " %2F", "%20%2F").Replace(b.String())
}
