package artifactory

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// repositoryEntry is one repository in the list.
type repositoryEntry struct {
	Key         string `json:"key"`
	Description string `json:"description"`
	Type        string `json:"type"`
	URL         string `json:"url"`
	PackageType string `json:"packageType"`
}

// repositoryInfo is one repository's configuration.
type repositoryInfo struct {
	Key                   string   `json:"key"`
	ProjectKey            string   `json:"projectKey,omitempty"`
	Environments          []string `json:"environments,omitempty"`
	Description           string   `json:"description"`
	RClass                string   `json:"rclass"`
	PackageType           string   `json:"packageType"`
	IncludesPattern       string   `json:"includesPattern,omitempty"`
	URL                   string   `json:"url,omitempty"`                   // of a remote one: what lies behind it
	Repositories          []string `json:"repositories,omitempty"`          // of a virtual one
	DefaultDeploymentRepo string   `json:"defaultDeploymentRepo,omitempty"` // of a virtual one
}

// listRepositories tells those that the caller may read. Caches are no repositories here.
func (s *Server) listRepositories(w http.ResponseWriter, r *http.Request, c call) error {
	wanted := map[string]string{}
	for _, q := range c.query {
		switch q.key {
		case "type", "packageType", "project":
			wanted[q.key] = strings.ToLower(q.value)
		default:
			return unsupported("the filter %q on GET api/repositories is not implemented", q.key)
		}
	}
	is := func(filter, value string) bool {
		return wanted[filter] == "" || wanted[filter] == strings.ToLower(value)
	}
	list := []repositoryEntry{}
	s.mu.RLock()
	for key, repo := range s.repos {
		if repo.Class == cache || !c.by.allows(key, 'r') {
			continue
		}
		if is("type", string(repo.Class)) && is("packageType", repo.PackageType) && is("project", repo.Project) {
			list = append(list, repositoryEntry{
				Key: key, Description: repo.Description, Type: strings.ToUpper(string(repo.Class)), URL: s.baseFor(r) + "/artifactory/" + key,
				PackageType: repo.PackageType,
			})
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(list, func(a, b repositoryEntry) int { return cmp.Compare(a.Key, b.Key) })
	respond(w, http.StatusOK, list)
	return nil
}

// getRepository answers 400, not 404, for an unknown key: so does Artifactory.
func (s *Server) getRepository(w http.ResponseWriter, _ *http.Request, c call) error {
	s.mu.RLock()
	repo := s.repos[c.rest]
	s.mu.RUnlock()
	if repo == nil || repo.Class == cache {
		return refuse(http.StatusBadRequest, "Bad Request: repository '%s' does not exist", c.rest)
	}
	if err := permission(c.by, c.rest, 'r'); err != nil {
		return err
	}
	info := repositoryInfo{
		Key: repo.Key, ProjectKey: repo.Project, Environments: s.environmentsOf(repo.Key), Description: repo.Description, RClass: string(repo.Class),
		PackageType: repo.PackageType, IncludesPattern: "**/*", Repositories: repo.Members, DefaultDeploymentRepo: repo.DeployTo,
	}
	if repo.Class == Remote {
		info.URL = "https://upstream.example/" + repo.Key
	}
	switch told := s.Quirks().Configurations; {
	case c.by.Admin:
	case told == "closed":
		return refuse(http.StatusForbidden, "The configuration of '%s' is for administrators", repo.Key)
	case told == "partial":
		info = repositoryInfo{Key: repo.Key, Description: repo.Description, RClass: string(repo.Class), PackageType: repo.PackageType}
	}
	respond(w, http.StatusOK, info)
	return nil
}

// environmentsOf lists the environments that a repository is assigned to.
func (s *Server) environmentsOf(key string) []string {
	var out []string
	for name, repos := range s.cfg.Environments {
		if slices.Contains(repos, key) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
