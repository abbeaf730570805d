package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

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
// level), "destination" in the place of "domain", no domain at all, and no envelope at all. Fields that it does not know are ignored.
func open(body []byte) (delivery, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return delivery{}, fmt.Errorf("decoding envelope: %w", err)
	}
	d := delivery{Domain: e.Domain, Type: e.Type, Subscription: e.Subscription, Data: e.Data}
	if len(d.Data) == 0 || string(d.Data) == "null" {
		d.Data = body
	}
	if d.Type == "" {
		if d.Type = curationType(fieldsOf(body)); d.Type == "" {
			return delivery{}, errors.New("decoding envelope: event_type is missing")
		}
		d.Domain = "curation"
	}
	if d.Domain == "" {
		// In other shapes destination may be an object; then it does not name the domain.
		if json.Unmarshal(e.Destination, &d.Domain) != nil || d.Domain == "" {
			d.Domain = domainOf(d.Type, fieldsOf(d.Data))
		}
	}
	return d, nil
}

// fieldsOf names the fields of an object; of anything else, none.
func fieldsOf(data []byte) map[string]struct{} {
	var raw map[string]json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return nil
	}
	fields := make(map[string]struct{}, len(raw))
	for name := range raw {
		fields[name] = struct{}{}
	}
	return fields
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
