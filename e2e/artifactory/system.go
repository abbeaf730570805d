package artifactory

import (
	"net/http"
	"sort"
)

func (s *Server) ping(w http.ResponseWriter, _ *http.Request, _ call) error {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("OK"))
	return nil
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request, _ call) error {
	respond(w, http.StatusOK, struct {
		Version  string   `json:"version"`
		Revision string   `json:"revision"`
		Addons   []string `json:"addons"`
		License  string   `json:"license"`
	}{s.cfg.Version, "stand-in", []string{}, "stand-in"})
	return nil
}

type repositoryInfo struct {
	Key         string `json:"key"`
	Description string `json:"description"`
	Type        string `json:"type,omitempty"`   // in the list
	RClass      string `json:"rclass,omitempty"` // in the single answer
	URL         string `json:"url,omitempty"`
	PackageType string `json:"packageType"`
}

// listRepositories tells those that the caller may read.
func (s *Server) listRepositories(w http.ResponseWriter, r *http.Request, c call) error {
	if len(c.query) > 0 {
		return unsupported("filters on GET api/repositories are not implemented")
	}
	list := []repositoryInfo{}
	s.mu.RLock()
	for key, repo := range s.repos {
		if c.by.allows(key, 'r') {
			list = append(list, repositoryInfo{
				Key: key, Description: repo.Description, Type: "LOCAL", URL: s.baseFor(r) + "/artifactory/" + key, PackageType: repo.PackageType,
			})
		}
	}
	s.mu.RUnlock()
	sort.Slice(list, func(i, j int) bool { return list[i].Key < list[j].Key })
	respond(w, http.StatusOK, list)
	return nil
}

// getRepository answers 400, not 404, for an unknown key: so does Artifactory.
func (s *Server) getRepository(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.RLock()
	repo := s.repos[c.rest]
	s.mu.RUnlock()
	if repo == nil {
		return refuse(http.StatusBadRequest, "Bad Request: repository '%s' does not exist", c.rest)
	}
	if err := permission(c.by, c.rest, 'r'); err != nil {
		return err
	}
	respond(w, http.StatusOK, repositoryInfo{Key: repo.Key, Description: repo.Description, RClass: "local", PackageType: repo.PackageType})
	return nil
}
