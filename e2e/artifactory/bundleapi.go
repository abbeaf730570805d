package artifactory

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

type statusAnswer struct {
	Status   string          `json:"status"`
	Messages []bundleMessage `json:"messages"`
}

// bundleStatus answers GET release_bundle/statuses/{name}/{version}.
func (s *Server) bundleStatus(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.RLock()
	b, _, err := s.bundleAt(c, 'r')
	var answer statusAnswer
	if err == nil {
		answer = statusAnswer{b.status, slices.Clone(b.messages)}
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, answer)
	return nil
}

// bundleRecord answers GET release_bundle/records/{name}/{version}.
func (s *Server) bundleRecord(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.RLock()
	b, rest, err := s.bundleAt(c, 'r')
	if err == nil && rest != "" {
		err = unsupported("GET of %q of a release bundle is not implemented", rest)
	}
	var spec specification
	if err == nil {
		spec = b.specification()
		spec.Status, spec.Tag = b.status, b.tag
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, spec)
	return nil
}

// bundleExists answers GET release_bundle/existence/{name}/{version}.
func (s *Server) bundleExists(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.RLock()
	_, _, err := s.bundleAt(c, 'r')
	s.mu.RUnlock()
	if err != nil && asRefusal(err) != http.StatusNotFound {
		return err
	}
	respond(w, http.StatusOK, struct {
		Exists bool `json:"exists"`
	}{err == nil})
	return nil
}

// tagBundle answers PUT release_bundle/records/{name}/{version}/tag.
func (s *Server) tagBundle(w http.ResponseWriter, r *http.Request, c call) error {
	var body struct {
		Tag   string `json:"tag"`
		Exist bool   `json:"exist"` // sent by JFrog's client by accident
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&body); err != nil || len(body.Tag) > 128 {
		return refuse(http.StatusBadRequest, "The body is not a tag of at most 128 characters")
	}
	s.mu.Lock()
	b, rest, err := s.bundleAt(c, 'a')
	if err == nil && rest != "tag" {
		err = unsupported("PUT of %q of a release bundle is not implemented", rest)
	}
	if err == nil {
		b.tag = body.Tag
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, struct {
		Repo string `json:"repository_key"`
		bundleName
		Tag string `json:"release_bundle_tag"`
	}{bundleRepository(b.project), bundleName{b.name, b.version}, body.Tag})
	return nil
}

// deleteBundle answers DELETE release_bundle/records/{name}/{version}; what was promoted stays where it is. A promotion
// under way fails at the next file.
func (s *Server) deleteBundle(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := onlyQueries(c, "project", "async"); err != nil {
		return err
	}
	s.mu.Lock()
	b, _, err := s.bundleAt(c, 'd')
	if err == nil {
		delete(s.bundles, b.bundleKey)
		if r := s.repos[bundleRepository(b.project)]; r != nil {
			if n := r.root.at(b.folder()); n != nil {
				n.detach()
				s.drop(n)
			}
		}
	}
	s.mu.Unlock()
	if err == nil {
		w.WriteHeader(deletionStatus(c))
	}
	return err
}

func deletionStatus(c call) int {
	if c.param("async") == "false" {
		return http.StatusNoContent
	}
	return http.StatusOK
}

// promotionStatus answers GET promotion/statuses/{name}/{version}/{created_millis}.
func (s *Server) promotionStatus(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.RLock()
	p, _, err := s.promotionAt(c, 'r')
	var answer statusAnswer
	if err == nil {
		answer = statusAnswer{p.Status, slices.Clone(p.Messages)}
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, answer)
	return nil
}

// deletePromotion answers DELETE promotion/records/{name}/{version}/{created_millis}: the record alone goes.
func (s *Server) deletePromotion(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.Lock()
	p, b, err := s.promotionAt(c, 'd')
	if err == nil {
		b.promotions = slices.DeleteFunc(b.promotions, func(other *bundlePromotion) bool { return other == p })
	}
	s.mu.Unlock()
	if err == nil {
		w.WriteHeader(deletionStatus(c))
	}
	return err
}

// promotionAt finds the promotion that "name/version/created_millis" means. Callers hold s.mu.
func (s *Server) promotionAt(c call, right byte) (*bundlePromotion, *bundle, error) {
	b, rest, err := s.bundleAt(c, right)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range b.promotions {
		if strconv.FormatInt(p.CreatedMillis, 10) == rest {
			return p, b, nil
		}
	}
	return nil, nil, refuse(http.StatusNotFound, "The promotion '%s' was not found", rest)
}

type promotionList struct {
	Promotions []bundlePromotion `json:"promotions"`
	Total      int               `json:"total"`
	Limit      int               `json:"limit"`
	Offset     int               `json:"offset"`
}

// listPromotions answers GET promotion/records/{name}/{version}, the latest first. Messages come with ?include=MSG.
func (s *Server) listPromotions(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := onlyQueries(c, "project", "include", "offset", "limit", "order_by", "order_asc"); err != nil {
		return err
	}
	s.mu.RLock()
	b, _, err := s.bundleAt(c, 'r')
	list := promotionList{Promotions: []bundlePromotion{}, Limit: 25}
	if err == nil {
		for _, p := range slices.Backward(b.promotions) {
			list.Promotions = append(list.Promotions, *p)
		}
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	if c.param("order_asc") == "true" {
		slices.Reverse(list.Promotions)
	}
	if c.param("include") != "MSG" {
		for i := range list.Promotions {
			list.Promotions[i].Messages = nil
		}
	}
	list.Total = len(list.Promotions)
	list.Offset, _ = strconv.Atoi(c.param("offset"))
	if n, err := strconv.Atoi(c.param("limit")); err == nil && n > 0 {
		list.Limit = n
	}
	from := min(max(0, list.Offset), list.Total)
	list.Promotions = list.Promotions[from:min(from+list.Limit, list.Total)]
	respond(w, http.StatusOK, list)
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
