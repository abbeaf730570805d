package artifactory

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// reading finds what a read of a means: the item, and where it really lies. A virtual repository means its first
// member that holds the path and that the caller may read, a remote one its cache. Callers hold s.mu.
func (s *Server) reading(by *Token, a address) (*node, address, error) {
	r, err := s.repository(a.repo)
	if err != nil {
		return nil, a, err
	}
	switch r.Class {
	case Virtual:
		err = refuse(http.StatusNotFound, "Unable to find item '%s'", a)
		for _, member := range r.Members {
			in := a
			in.repo = member
			n, real, problem := s.reading(by, in)
			if problem == nil {
				return n, real, nil
			}
			if asRefusal(problem) == http.StatusForbidden && s.holds(in) {
				err = problem
			}
		}
		return nil, a, err
	case Remote:
		if err := permission(by, a.repo, 'r'); err != nil {
			return nil, a, err
		}
		a.repo += "-cache"
	default:
		if err := permission(by, a.repo, 'r'); err != nil {
			return nil, a, err
		}
	}
	n, err := s.find(a)
	return n, a, err
}

func (s *Server) holds(a address) bool { _, err := s.find(a); return err == nil }

// fill asks behind a remote repository for a file that its cache has not, also for the members of a virtual one before
// one of them has it. It is silent: the read that follows tells what is missing.
func (s *Server) fill(by *Token, a address) error {
	s.mu.RLock()
	r := s.repos[a.repo]
	s.mu.RUnlock()
	if r == nil || (r.Class != Remote && r.Class != Virtual) || len(a.path) == 0 || a.folder {
		return nil
	}
	if r.Class == Virtual {
		for _, m := range r.Members {
			in := a
			in.repo = m
			s.mu.RLock()
			_, _, err := s.reading(by, in)
			s.mu.RUnlock()
			if err == nil {
				return nil
			}
			if err := s.fill(by, in); err != nil {
				return err
			}
		}
		return nil
	}
	a.repo += "-cache"
	s.mu.RLock()
	held := s.holds(a)
	s.mu.RUnlock()
	if held || r.Fetch == nil || !by.allows(r.Key, 'r') {
		return nil
	}
	content, ok := r.Fetch(a.below())
	if !ok {
		return nil
	}
	return s.cached(a, content)
}

// cached puts what was fetched into the cache and announces it.
func (s *Server) cached(a address, content []byte) error {
	b, err := s.blobs.receive(bytes.NewReader(content))
	if err != nil {
		return err
	}
	by := &Token{User: "_system_", Admin: true}
	s.mu.Lock()
	_, _, err = s.placeLocked(call{by: by, at: a}, b, nil, s.now())
	if err != nil {
		s.blobs.release(b)
	}
	s.mu.Unlock()
	if err == nil {
		s.emit(artifactEvent("cached", a.repo, a.path, b, by))
	}
	return err
}

// deployTarget is the repository that really takes what is deployed to key.
func (s *Server) deployTarget(key string) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.deployTargetLocked(key)
}

func (s *Server) deployTargetLocked(key string) (string, error) {
	r, err := s.repository(key)
	switch {
	case err != nil:
		return "", err
	case r.takesFiles():
		return key, nil
	case r.Class == Virtual && r.DeployTo != "":
		return r.DeployTo, nil
	case s.Quirks().NoDeployTarget == "missing":
		return "", refuse(http.StatusNotFound, "Could not find a local repository named '%s' to deploy to", key)
	}
	return "", refuse(http.StatusForbidden, "The repository '%s' (%s) takes no files", key, r.Class)
}

// writable refuses changes of what already lies in a repository that has no items of its own. Callers hold s.mu.
func (s *Server) writable(key string, files bool) error {
	r, err := s.repository(key)
	switch {
	case err != nil:
		return err
	case r.Class == Virtual || r.Class == Remote:
		return refuse(http.StatusForbidden, "The repository '%s' is %s: only local repositories and local caches accept writes", key, r.Class)
	case files && r.sealed:
		return refuse(http.StatusForbidden, "The repository '%s' is read-only", key)
	}
	return nil
}

// Mirror brings a file into a federated repository as from another member of its federation: no permission is asked,
// and whether it is announced is a quirk.
func (s *Server) Mirror(repo, path string, content []byte, props map[string][]string) error {
	a := address{repo: repo, path: strings.Split(path, "/")}
	s.mu.RLock()
	r, err := s.repository(repo)
	s.mu.RUnlock()
	if err != nil || r.Class != Federated {
		return fmt.Errorf("stand-in: mirroring into %s: it is no federated repository", repo)
	}
	b, err := s.blobs.receive(bytes.NewReader(content))
	if err != nil {
		return err
	}
	by := &Token{User: "_replication_", Admin: true}
	if s.Quirks().Mirrored != "silent" {
		_, err = s.place(call{by: by, at: a}, b, props)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, _, err = s.placeLocked(call{by: by, at: a}, b, props, s.now()); err != nil {
		s.blobs.release(b)
	}
	return err
}
