package artifactory

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// nextPage is the address of the next page in a Link header (RFC 8288).
var nextPage = regexp.MustCompile(`<([^<>]*)>\s*;\s*rel="?next"?`)

// followPages puts all pages of a list of referrers into its first, which go-containerregistry would take for the whole.
// It stops where the list is too long to be read.
func (r *registry) followPages(first *reply, out request) error {
	link := nextPage.FindStringSubmatch(first.header.Get("Link"))
	if link == nil {
		return nil
	}
	var all v1.IndexManifest
	if err := json.Unmarshal(first.body, &all); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	for page := first; link != nil && len(all.Manifests) <= maxReferrers; link = nextPage.FindStringSubmatch(page.header.Get("Link")) {
		u, err := url.Parse(link[1])
		if err != nil {
			return errors.New("the address of the list's next page cannot be read")
		}
		u = page.url.ResolveReference(u)
		if !r.c.wire.home(u) {
			return errors.New("the list's next page is on another host")
		}
		if page, err = r.ask(request{call: callReferrers, method: http.MethodGet, url: u.String(), headers: out.headers}); err != nil {
			return err
		}
		var more v1.IndexManifest
		if err := json.Unmarshal(page.body, &more); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		if len(more.Manifests) == 0 {
			return errors.New("a page of the list of referrers is empty")
		}
		all.Manifests = append(all.Manifests, more.Manifests...)
	}
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	first.body, first.size = body, int64(len(body))
	return nil
}
