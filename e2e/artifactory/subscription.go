package artifactory

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
)

// Subscription is a predefined webhook, as the subscriptions API has it. Note that Enabled defaults to false there.
type Subscription struct {
	Key         string      `json:"key"`
	Description string      `json:"description"`
	ProjectKey  string      `json:"project_key"`
	Enabled     bool        `json:"enabled"`
	EventFilter EventFilter `json:"event_filter"`
	Handlers    []Target    `json:"handlers"`
	Debug       bool        `json:"debug"`
}

// EventFilter says which events are delivered: one domain, some of its types, where.
type EventFilter struct {
	Domain     string   `json:"domain"`
	EventTypes []string `json:"event_types"`
	Criteria   Criteria `json:"criteria"`
}

// Criteria narrow: by repository and path (Ant patterns; no include pattern includes all), by build or bundle and its
// name, or by environment, as the domain has it.
type Criteria struct {
	AnyLocal        bool     `json:"anyLocal"`
	AnyRemote       bool     `json:"anyRemote"`
	AnyFederated    bool     `json:"anyFederated"`
	RepoKeys        []string `json:"repoKeys"`
	IncludePatterns []string `json:"includePatterns"`
	ExcludePatterns []string `json:"excludePatterns"`

	AnyBuild                      bool     `json:"anyBuild,omitempty"`
	SelectedBuilds                []string `json:"selectedBuilds,omitempty"`
	AnyReleaseBundle              bool     `json:"anyReleaseBundle,omitempty"`
	SelectedReleaseBundles        []string `json:"selectedReleaseBundles,omitempty"`
	RegisteredReleaseBundlesNames []string `json:"registeredReleaseBundlesNames,omitempty"`
	SelectedEnvironments          []string `json:"selectedEnvironments,omitempty"`
	ApplicationKeys               []string `json:"applicationKeys,omitempty"`
	Stages                        []string `json:"stages,omitempty"`
}

// Target is where deliveries go and how they are authenticated. JFrog calls it a handler.
type Target struct {
	HandlerType         string   `json:"handler_type"`
	URL                 string   `json:"url"`
	Secret              string   `json:"secret,omitempty"`
	UseSecretForSigning bool     `json:"use_secret_for_signing"`
	Proxy               string   `json:"proxy"`
	CustomHTTPHeaders   []Header `json:"custom_http_headers"`
}

// Header is one fixed header of a delivery.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

var subscriptionKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{1,199}$`)

func (sub Subscription) check() error {
	f := sub.EventFilter
	if !subscriptionKey.MatchString(sub.Key) {
		return refuse(http.StatusBadRequest, "The subscription key '%s' is invalid", sub.Key)
	}
	d, ok := domains[f.Domain]
	if !ok {
		return refuse(http.StatusBadRequest, "There is no domain '%s'", f.Domain)
	}
	if len(f.EventTypes) == 0 {
		return refuse(http.StatusBadRequest, "The subscription names no event types")
	}
	for _, t := range f.EventTypes {
		if d.types != nil && !slices.Contains(d.types, t) {
			return refuse(http.StatusBadRequest, "The domain '%s' has no event type '%s'", f.Domain, t)
		}
	}
	if !d.by.any(f.Criteria) {
		return refuse(http.StatusBadRequest, "The criteria of the subscription select nothing")
	}
	if len(sub.Handlers) != 1 {
		return refuse(http.StatusBadRequest, "A subscription has exactly one handler, this has %d", len(sub.Handlers))
	}
	return sub.Handlers[0].check()
}

func (t Target) check() error {
	if t.HandlerType != "webhook" {
		return unsupported("handlers of type %q are not implemented", t.HandlerType)
	}
	if t.Proxy != "" {
		return unsupported("proxies are not implemented")
	}
	u, err := url.Parse(t.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return refuse(http.StatusBadRequest, "The handler's URL '%s' is invalid", t.URL)
	}
	size := 0
	for _, h := range t.CustomHTTPHeaders {
		size += len(h.Name) + len(h.Value)
	}
	if len(t.CustomHTTPHeaders) > 50 || size > 5120 {
		return refuse(http.StatusBadRequest, "Custom headers: at most 50 with 5120 bytes")
	}
	return nil
}

// wants reports whether the event is delivered to this subscription; class is that of the event's repository.
func (sub Subscription) wants(e Event, class Class) bool {
	f := sub.EventFilter
	return sub.Enabled && f.Domain == e.Domain && slices.Contains(f.EventTypes, e.Type) && domains[f.Domain].by.wanted(f.Criteria, e, class)
}

// subscriptions is the set by key.
type subscriptions struct {
	count atomic.Int64
	mu    sync.RWMutex
	byKey map[string]Subscription
}

// any is cheap: without subscriptions no events are made.
func (h *subscriptions) any() bool { return h.count.Load() > 0 }

func (h *subscriptions) set(sub Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.byKey[sub.Key] = sub
	h.count.Store(int64(len(h.byKey)))
}

func (h *subscriptions) get(key string) (Subscription, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	sub, ok := h.byKey[key]
	if !ok {
		return Subscription{}, refuse(http.StatusNotFound, "The subscription '%s' was not found", key)
	}
	return sub, nil
}

func (h *subscriptions) remove(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.byKey, key)
	h.count.Store(int64(len(h.byKey)))
}

// wanting lists the subscriptions that an event goes to.
func (h *subscriptions) wanting(e Event, class Class) []Subscription {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var out []Subscription
	for _, sub := range h.byKey {
		if sub.wants(e, class) {
			out = append(out, sub)
		}
	}
	return out
}

// AddSubscription is POST without the API.
func (s *Server) AddSubscription(sub Subscription) error {
	if err := sub.check(); err != nil {
		return fmt.Errorf("stand-in: adding a subscription: %w", err)
	}
	s.hooks.set(sub)
	return nil
}
