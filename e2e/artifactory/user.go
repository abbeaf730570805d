package artifactory

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// User is somebody who can be asked about. Names are of lower case.
type User struct {
	Name   string
	Groups []string
}

// SetUser adds or replaces a user.
func (s *Server) SetUser(u User) {
	u.Name, u.Groups = strings.ToLower(u.Name), slices.Clone(u.Groups)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Name] = u
}

// RemoveUser deletes a user; what bears the name stays.
func (s *Server) RemoveUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, name)
}

// accessUsers answers GET access/api/v2/users: names alone, in order.
func (s *Server) accessUsers(w http.ResponseWriter, _ *http.Request, c call) error {
	if s.Quirks().Users == "older" {
		return refuse(http.StatusNotFound, "Not Found")
	}
	if err := mayReadUsers(c, c.by.Identities); err != nil {
		return err
	}
	if err := onlyQueries(c, "limit"); err != nil {
		return err
	}
	type name struct {
		Username string `json:"username"`
	}
	list := []name{}
	s.mu.RLock()
	for _, u := range s.users {
		list = append(list, name{u.Name})
	}
	s.mu.RUnlock()
	slices.SortFunc(list, func(a, b name) int { return strings.Compare(a.Username, b.Username) })
	if n, err := strconv.Atoi(c.param("limit")); err == nil && n > 0 {
		list = list[:min(n, len(list))]
	}
	respond(w, http.StatusOK, map[string]any{"users": list})
	return nil
}

// accessUser answers GET access/api/v2/users/{name}.
func (s *Server) accessUser(w http.ResponseWriter, _ *http.Request, c call) error {
	if s.Quirks().Users == "older" {
		return refuse(http.StatusNotFound, "Not Found")
	}
	u, err := s.user(c, c.by.Identities)
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, struct {
		Username string   `json:"username"`
		Email    string   `json:"email"`
		Groups   []string `json:"groups"`
		Realm    string   `json:"realm"`
		Status   string   `json:"status"`
		Admin    bool     `json:"admin"`
	}{u.Name, u.Name + "@acme.example", append([]string{}, u.Groups...), "internal", "enabled", false})
	return nil
}

// securityUser answers GET artifactory/api/security/users/{name}, the older way, which is for administrators alone. It
// leaves out an empty list of groups.
func (s *Server) securityUser(w http.ResponseWriter, _ *http.Request, c call) error {
	if s.Quirks().Users == "access" {
		return refuse(http.StatusNotFound, "Not Found")
	}
	u, err := s.user(c, false)
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, struct {
		Name   string   `json:"name"`
		Email  string   `json:"email"`
		Admin  bool     `json:"admin"`
		Groups []string `json:"groups,omitempty"`
		Realm  string   `json:"realm"`
	}{u.Name, u.Name + "@acme.example", false, u.Groups, "internal"})
	return nil
}

func mayReadUsers(c call, scoped bool) error {
	if c.by.Admin || scoped {
		return nil
	}
	return refuse(http.StatusForbidden, "Reading users takes an administrator, or the scope system:identities:r of Access; user '%s' has neither here", c.by.User)
}

// user finds who the call asks about, for those who may ask.
func (s *Server) user(c call, scoped bool) (User, error) {
	if err := mayReadUsers(c, scoped); err != nil {
		return User{}, err
	}
	if err := onlyQueries(c); err != nil {
		return User{}, err
	}
	name, err := url.PathUnescape(c.rest)
	if err != nil || strings.Contains(c.rest, "/") || name == "" {
		return User{}, refuse(http.StatusBadRequest, "'%s' is no user's name", c.rest)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	u, ok := s.users[strings.ToLower(name)]
	if !ok {
		return User{}, refuse(http.StatusNotFound, "User '%s' was not found", name)
	}
	return u, nil
}
