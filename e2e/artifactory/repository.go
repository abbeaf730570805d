package artifactory

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// Class is what kind of repository it is.
type Class string

// Local and Federated hold files that are deployed; a federated one's other members are elsewhere, see Mirror. Virtual
// holds nothing: reads go to the first member that has the path. Remote fills a cache, which is a repository of its own
// named "<key>-cache".
const (
	Local     Class = "local"
	Federated Class = "federated"
	Virtual   Class = "virtual"
	Remote    Class = "remote"
	cache     Class = "cache"
)

// Repository is one repository's configuration.
type Repository struct {
	Key         string
	Class       Class  // default Local
	PackageType string // default "generic"
	Description string
	Project     string   // key of the project it belongs to; "" for none
	Members     []string // of a virtual one: repositories that exist already, in the order in which reads look
	DeployTo    string   // of a virtual one: the member that takes what is deployed; "" refuses deploys
	// Fetch is what lies behind a remote one: the content of a path, or false. It is asked when the cache has nothing.
	Fetch func(path string) (content []byte, ok bool)
}

type repository struct {
	Repository
	root    *node
	indexes indexes
	sealed  bool // files come and go only by a service: builds, release bundles
}

var repositoryKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)

// AddRepository makes an empty repository.
func (s *Server) AddRepository(r Repository) error {
	if !repositoryKey.MatchString(r.Key) || r.Key == "api" || r.Key == "v2" {
		return fmt.Errorf("stand-in: %q is no repository key", r.Key)
	}
	if r.PackageType == "" {
		r.PackageType = "generic"
	}
	if r.Class == "" {
		r.Class = Local
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[r.Key] != nil {
		return errors.New("stand-in: repository " + r.Key + " exists")
	}
	if err := s.checkClass(r); err != nil {
		return err
	}
	s.addRepository(r)
	if r.Class == Remote {
		s.addRepository(Repository{Key: r.Key + "-cache", Class: cache, PackageType: r.PackageType, Project: r.Project})
	}
	return nil
}

// SetMembers gives a virtual repository other members, as an administrator may at any time.
func (s *Server) SetMembers(key string, members []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[key]
	if r == nil || r.Class != Virtual {
		return errors.New("stand-in: " + key + " is no virtual repository")
	}
	changed := r.Repository
	changed.Members = members
	if err := s.checkClass(changed); err != nil {
		return err
	}
	r.Members = members
	return nil
}

func (s *Server) addRepository(r Repository) *repository {
	made := &repository{Repository: r, root: newFolder("", "_system_", s.now())}
	made.root.repo = made
	s.repos[r.Key] = made
	return made
}

func (s *Server) checkClass(r Repository) error {
	switch r.Class {
	case Local, Federated, Remote:
	case Virtual:
		for _, m := range r.Members {
			if s.repos[m] == nil {
				return fmt.Errorf("stand-in: member %q of %s is no repository", m, r.Key)
			}
			if got := s.repos[m].PackageType; got != r.PackageType {
				return fmt.Errorf("stand-in: member %q of %s holds %s, not %s", m, r.Key, got, r.PackageType)
			}
		}
		if r.DeployTo != "" && (!slices.Contains(r.Members, r.DeployTo) || !s.repos[r.DeployTo].takesFiles()) {
			return fmt.Errorf("stand-in: %s cannot deploy to %q", r.Key, r.DeployTo)
		}
		return nil
	default:
		return fmt.Errorf("stand-in: repository %s is of class %q", r.Key, r.Class)
	}
	if len(r.Members) > 0 || r.DeployTo != "" {
		return fmt.Errorf("stand-in: repository %s has members but is not virtual", r.Key)
	}
	return nil
}

// takesFiles reports whether clients may deploy.
func (r *repository) takesFiles() bool {
	return (r.Class == Local || r.Class == Federated) && !r.sealed
}

// repository answers 404 for an unknown key. Callers hold s.mu.
func (s *Server) repository(key string) (*repository, error) {
	if r := s.repos[key]; r != nil {
		return r, nil
	}
	return nil, refuse(http.StatusNotFound, "The repository '%s' was not found", key)
}

// now is the server's clock. It knows milliseconds, which is what answers tell: a client can go on where a page ended.
func (s *Server) now() time.Time { return s.cfg.Now().Truncate(time.Millisecond) }
