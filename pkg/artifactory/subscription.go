package artifactory

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Secret is text that must not be seen: formatted, logged or marshalled it is ***.
type Secret string

// String hides the secret.
func (Secret) String() string { return "***" }

// GoString hides the secret.
func (Secret) GoString() string { return "***" }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// Subscription is a webhook that JFrog's event service keeps: which events go where. Only what Hallmark sets or shows
// is here; a subscription that somebody else made may hold more.
type Subscription struct {
	Key         string      `json:"key"`
	Description string      `json:"description"`
	ProjectKey  string      `json:"project_key,omitempty"`
	Enabled     bool        `json:"enabled"` // through the API the default is false
	Filter      EventFilter `json:"event_filter"`
	Handlers    []Handler   `json:"handlers"`
	Debug       bool        `json:"debug,omitempty"` // also keep a record of deliveries that went well
}

// EventFilter says which events are delivered: one domain, some of its types, where.
type EventFilter struct {
	Domain   string   `json:"domain"`
	Types    []string `json:"event_types"`
	Criteria Criteria `json:"criteria"`
}

// Handler is where deliveries go, and how they are authenticated.
type Handler struct {
	Type    string   `json:"handler_type"` // "webhook"
	URL     string   `json:"url"`
	Secret  Secret   `json:"-"`                             // written, never read: what a server shows of it is dropped
	Signing bool     `json:"use_secret_for_signing"`        // false: the secret itself is sent
	Proxy   string   `json:"proxy,omitempty"`               // the key of a proxy of the platform
	Headers []Header `json:"custom_http_headers,omitempty"` // fixed headers
}

// Header is one fixed header of a delivery. People put credentials there.
type Header struct {
	Name  string `json:"name"`
	Value Secret `json:"value"`
}

// Delivered is what the event service says of a test delivery.
type Delivered struct {
	OK      bool
	Message string // what it said, one short line
}

var subscriptionKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{1,199}$`)

// Subscriptions lists every subscription that the token may see. Of one with a shape of its own, only the key is there.
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var raw []json.RawMessage
	err := c.do(ctx, request{call: callSubscription, method: http.MethodGet, url: c.subscriptions()}, func(resp *http.Response) error {
		raw = nil
		return decodeInto(&raw)(resp)
	})
	if err != nil {
		return nil, fmt.Errorf("listing webhook subscriptions: %w", err)
	}
	out := make([]Subscription, len(raw))
	for i, one := range raw {
		if json.Unmarshal(one, &out[i]) == nil {
			continue
		}
		var only struct {
			Key string `json:"key"`
		}
		if err := json.Unmarshal(one, &only); err != nil {
			return nil, fmt.Errorf("listing webhook subscriptions: reading the answer: %w", err)
		}
		out[i] = Subscription{Key: only.Key}
	}
	return out, nil
}

// Subscription reads one; when there is none it is artifact.ErrGone.
func (c *Client) Subscription(ctx context.Context, key string) (Subscription, error) {
	var sub Subscription
	err := c.withKey(key, func(url string) error {
		return c.do(ctx, request{call: callSubscription, method: http.MethodGet, url: url}, func(resp *http.Response) error {
			sub = Subscription{}
			return decodeInto(&sub)(resp)
		})
	})
	if err != nil {
		return Subscription{}, fmt.Errorf("reading webhook subscription %q: %w", key, gone(err))
	}
	return sub, nil
}

// Subscribe creates a subscription. When the answer to the first try was lost, the server may say of the second that
// the key is taken: after an error, read what is there.
func (c *Client) Subscribe(ctx context.Context, sub Subscription) error {
	return c.writeSubscription(ctx, "creating", http.MethodPost, c.subscriptions(), sub, discard)
}

// Resubscribe replaces the subscription of the same key, all of it: what sub leaves out falls back to its default.
func (c *Client) Resubscribe(ctx context.Context, sub Subscription) error {
	return c.withKey(sub.Key, func(url string) error {
		return c.writeSubscription(ctx, "replacing", http.MethodPut, url, sub, discard)
	})
}

// Unsubscribe removes the subscription of this key; one that is not there is fine.
func (c *Client) Unsubscribe(ctx context.Context, key string) error {
	err := c.withKey(key, func(url string) error {
		return c.do(ctx, request{call: callSubscription, method: http.MethodDelete, url: url}, discard)
	})
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("removing webhook subscription %q: %w", key, err)
	}
	return nil
}

// TestSubscription has a sample event delivered as sub says. The subscription need not exist, and what exists is
// neither used nor changed. An error means that there was no test; that the target did not take it is an answer.
func (c *Client) TestSubscription(ctx context.Context, sub Subscription) (Delivered, error) {
	var answer struct {
		Result  string `json:"result"`
		Message string `json:"message"`
	}
	err := c.writeSubscription(ctx, "testing", http.MethodPost, c.subscriptions()+"/test", sub, func(resp *http.Response) error {
		answer.Result, answer.Message = "", ""
		return decodeInto(&answer)(resp)
	})
	if err != nil {
		return Delivered{}, err
	}
	said := answer.Message
	if said == "" {
		said = answer.Result
	}
	// The status is 200 either way.
	return Delivered{OK: strings.EqualFold(answer.Result, "success"), Message: message([]byte(said), sub.secrets()...)}, nil
}

// writeSubscription sends sub with its secrets.
func (c *Client) writeSubscription(ctx context.Context, doing, method, url string, sub Subscription, consume func(*http.Response) error) error {
	if !subscriptionKey.MatchString(sub.Key) {
		return fmt.Errorf("%s webhook subscription: %w", doing, errSubscriptionKey(sub.Key))
	}
	body, err := sub.wire()
	if err != nil {
		return err
	}
	err = c.do(ctx, request{
		call: callSubscription, method: method, url: url, body: body, headers: map[string]string{"Content-Type": "application/json"}, secrets: sub.secrets(),
	}, consume)
	if err != nil {
		return fmt.Errorf("%s webhook subscription %q: %w", doing, sub.Key, err)
	}
	return nil
}

// wire is the subscription with its secrets, for the event service alone.
func (s Subscription) wire() ([]byte, error) {
	type header struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	type handler struct {
		Handler
		Secret  string   `json:"secret,omitempty"`
		Headers []header `json:"custom_http_headers,omitempty"`
	}
	handlers := make([]handler, len(s.Handlers))
	for i, h := range s.Handlers {
		handlers[i] = handler{Handler: h, Secret: string(h.Secret)}
		for _, fixed := range h.Headers {
			handlers[i].Headers = append(handlers[i].Headers, header{fixed.Name, string(fixed.Value)})
		}
	}
	list := func(l []string) []string { return append([]string{}, l...) } // [], never null
	c := &s.Filter.Criteria
	c.Repositories, c.Include, c.Exclude = list(c.Repositories), list(c.Include), list(c.Exclude)
	return json.Marshal(struct {
		Subscription
		Handlers []handler `json:"handlers"`
	}{s, handlers})
}

// secrets are what must not be seen in what the server or the target says: as they are, and as they stand in the body.
func (s Subscription) secrets() []string {
	var out []string
	add := func(secret Secret) {
		if len(secret) < 8 { // no secret, and a word that messages may well have
			return
		}
		quoted, _ := json.Marshal(string(secret))
		out = append(out, string(secret), strings.Trim(string(quoted), `"`))
	}
	for _, h := range s.Handlers {
		add(h.Secret)
		for _, fixed := range h.Headers {
			add(fixed.Value)
		}
	}
	return out
}

// subscriptions is the list's URL. The event service stands beside Artifactory, not below it.
func (c *Client) subscriptions() string {
	return c.platform() + "event/api/v1/subscriptions"
}

func (c *Client) withKey(key string, f func(url string) error) error {
	if !subscriptionKey.MatchString(key) {
		return errSubscriptionKey(key)
	}
	return f(c.subscriptions() + "/" + key)
}

func errSubscriptionKey(key string) error {
	return fmt.Errorf("%w: a subscription's key has 2 to 200 letters, digits, '-' and '_' and begins with a letter, not %.80q", ErrPath, key)
}
