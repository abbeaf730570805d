package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// hint is where an event tells us to look. It is text from outside: Repo and Path have not been checked, SHA256 is a
// digest or empty and serves only to tell two events apart. Whatever else a payload says is not read, above all not
// its URLs.
type hint struct {
	Repo   string `json:"repo"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// decode reads the data of one event type. An error means that the data lacks what every version of that event has.
type decode func(data []byte) (hint, error)

// domains is the table of event domains. A type that is not in its domain's table, and a domain that is not in this
// one, is acknowledged and forgotten: names changed between releases of JFrog's platform and will again. A type with
// a nil decode is known and not for us.
var domains = map[string]map[string]decode{
	"artifact": artifactEvents,
}

// delivery is one authentic body, opened as far as the table of domains needs.
type delivery struct {
	Domain       string
	Type         string
	Subscription string
	Data         []byte
}

// envelope is what JFrog wraps around data. Older releases leave jpd_origin and userContext out; neither is read.
type envelope struct {
	Domain       string          `json:"domain"`
	Destination  json.RawMessage `json:"destination"`
	Type         string          `json:"event_type"`
	Subscription string          `json:"subscription_key"`
	Data         json.RawMessage `json:"data"`
}

// open reads the envelope. It bears the shapes that releases have sent: no data (the event's fields stand at the top
// level), "destination" in the place of "domain", no domain at all. Fields that it does not know are ignored.
func open(body []byte) (delivery, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return delivery{}, fmt.Errorf("decoding envelope: %w", err)
	}
	if e.Type == "" {
		return delivery{}, errors.New("decoding envelope: event_type is missing")
	}
	d := delivery{Domain: e.Domain, Type: e.Type, Subscription: e.Subscription, Data: e.Data}
	if d.Domain == "" {
		// In other shapes destination may be an object; then it does not name the domain.
		if json.Unmarshal(e.Destination, &d.Domain) != nil || d.Domain == "" {
			d.Domain = domainOf(d.Type)
		}
	}
	if len(d.Data) == 0 || string(d.Data) == "null" {
		d.Data = body
	}
	return d, nil
}

// domainOf names the only domain in the table that has the type; "" when there is none or more than one.
func domainOf(typ string) string {
	found := ""
	for name, types := range domains {
		if _, ok := types[typ]; !ok {
			continue
		}
		if found != "" {
			return ""
		}
		found = name
	}
	return found
}

// idempotencyKey is equal for two deliveries of one event, and for two events that mean the same bytes at the same
// place: JFrog sends neither an event's id nor its time, so a retry cannot be told from a second upload of the same
// bytes, and need not be.
func idempotencyKey(domain, typ string, ref artifact.Ref, sha256sum string) string {
	h := sha256.New()
	for _, s := range [...]string{domain, typ, ref.Instance, ref.Repo, ref.Path, sha256sum} {
		_, _ = io.WriteString(h, s)
		_, _ = h.Write([]byte{0}) // no part can hold a zero byte, so no two lists of parts run together
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Events lists, sorted, every "domain/type" that can lead to work: what a policy may name.
func Events() []string {
	var all []string
	for domain, types := range domains {
		for typ, read := range types {
			if read != nil {
				all = append(all, domain+"/"+typ)
			}
		}
	}
	slices.Sort(all)
	return all
}
