package artifactory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sort"
)

func admin(c call) error {
	if c.by.Admin {
		return nil
	}
	return refuse(http.StatusForbidden, "Managing webhooks needs an administrator, user '%s' is none", c.by.User)
}

// hidden is the subscription as it may be shown: secrets never come back in clear.
func (sub Subscription) hidden() Subscription {
	sub.Handlers = slices.Clone(sub.Handlers)
	for i, t := range sub.Handlers {
		if t.Secret != "" {
			sum := sha256.Sum256([]byte(t.Secret))
			sub.Handlers[i].Secret = hex.EncodeToString(sum[:16])
		}
	}
	return sub
}

func (s *Server) listSubscriptions(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := admin(c); err != nil {
		return err
	}
	s.hooks.mu.RLock()
	list := make([]Subscription, 0, len(s.hooks.byKey))
	for _, sub := range s.hooks.byKey {
		list = append(list, sub.hidden())
	}
	s.hooks.mu.RUnlock()
	sort.Slice(list, func(i, j int) bool { return list[i].Key < list[j].Key })
	respond(w, http.StatusOK, list)
	return nil
}

func (s *Server) getSubscription(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := admin(c); err != nil {
		return err
	}
	sub, err := s.hooks.get(c.rest)
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, sub.hidden())
	return nil
}

func (s *Server) createSubscription(w http.ResponseWriter, r *http.Request, c call) error {
	sub, err := s.readSubscription(r, c)
	if err != nil {
		return err
	}
	if _, err := s.hooks.get(sub.Key); err == nil {
		return refuse(http.StatusConflict, "The subscription '%s' exists", sub.Key)
	}
	s.hooks.set(sub)
	respond(w, http.StatusCreated, sub.hidden())
	return nil
}

// replaceSubscription is a full replacement: what the body leaves out falls back to its default.
func (s *Server) replaceSubscription(w http.ResponseWriter, r *http.Request, c call) error {
	sub, err := s.readSubscription(r, c)
	if err != nil {
		return err
	}
	if sub.Key != c.rest {
		return refuse(http.StatusBadRequest, "The body names the subscription '%s', the path '%s'", sub.Key, c.rest)
	}
	if _, err := s.hooks.get(c.rest); err != nil {
		return err
	}
	s.hooks.set(sub)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) deleteSubscription(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := admin(c); err != nil {
		return err
	}
	if _, err := s.hooks.get(c.rest); err != nil {
		return err
	}
	s.hooks.remove(c.rest)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type testResult struct {
	Result  string `json:"result"`
	Message string `json:"message"`
}

// testSubscription sends dummy data once, to a subscription that need not exist. It answers 200 also when the target
// failed.
func (s *Server) testSubscription(w http.ResponseWriter, r *http.Request, c call) error {
	sub, err := s.readSubscription(r, c)
	if err != nil {
		return err
	}
	e := domains[sub.EventFilter.Domain].sample
	e.Domain, e.Type, e.User = sub.EventFilter.Domain, sub.EventFilter.EventTypes[0], c.by.User
	switch {
	case e.Domain == "artifact" && (e.Type == "moved" || e.Type == "copied"):
		e.Target = "sample_target_repo/" + e.Path
	case e.Domain == "artifact_property":
		e.Key, e.Values = "sample_key", []string{"sample_value"}
	}
	status, err := s.sender.post(r.Context(), s.delivery(sub, e, Distortion{}))
	result := testResult{"success", http.StatusText(status)}
	if err != nil {
		result = testResult{"failure", err.Error()}
	} else if status/100 != 2 {
		result = testResult{"failure", "the target answered " + http.StatusText(status)}
	}
	respond(w, http.StatusOK, result)
	return nil
}

func (s *Server) readSubscription(r *http.Request, c call) (Subscription, error) {
	if err := admin(c); err != nil {
		return Subscription{}, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return Subscription{}, refuse(http.StatusBadRequest, "The body could not be read: %v", err)
	}
	if s.Quirks().AnyFederated == "refuse" && bytes.Contains(body, []byte(`"anyFederated"`)) {
		return Subscription{}, refuse(http.StatusBadRequest, "Unknown field anyFederated")
	}
	var sub Subscription
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&sub); err != nil {
		return Subscription{}, refuse(http.StatusBadRequest, "The body is not a subscription: %v", err)
	}
	if err := sub.check(); err != nil {
		return Subscription{}, err
	}
	return sub, s.guard(sub)
}
