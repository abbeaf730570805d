package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	repositoryAge  = 3 * time.Minute  // how old an answer about a repository may be
	unknownAge     = 10 * time.Second // how old one may be that leaves the package type open: the right may just have been granted
	repositoryWait = 2 * time.Minute  // how long its question may take when the first who asked has left
	maxRemembered  = 10_000           // repositories; beyond that the memory starts anew
)

// noProjectKey is how some releases write that a repository belongs to no project.
const noProjectKey = "default"

// cacheSuffix makes the name of a remote repository's cache.
const cacheSuffix = "-cache"

// repository is what is known of one, and when that has to be asked again.
type repository struct {
	artifact.Repository
	members []string // of a virtual one, in the order of its configuration; none when the token may not know
	until   time.Time
}

// memory holds answers about repositories, which change rarely and are asked about with every artifact. It holds no
// failures, and nothing about items.
type memory struct {
	now    func() time.Time
	flight singleflight.Group

	mu     sync.Mutex
	known  map[string]repository
	list   map[string]artifact.Repository // as the server lists them; never changed
	listed time.Time                      // when list has to be asked for again
}

// Repository looks a repository up; the answer may be three minutes old. Several who ask at one time share a request.
// A repository that does not exist is artifact.ErrGone; one that the token may not see is that or a *StatusError with
// 403, as the server likes. Class and package type are known even when its configuration is closed to the token, as long
// as the list of repositories is not; its project is not.
func (c *Client) Repository(ctx context.Context, key string) (artifact.Repository, error) {
	repo, err := c.repository(ctx, key)
	return repo.Repository, err
}

func (c *Client) repository(ctx context.Context, key string) (repository, error) {
	fail := func(err error) (repository, error) {
		return repository{}, fmt.Errorf("asking about repository %q: %w", key, err)
	}
	if err := checkRepository(key); err != nil {
		return fail(err)
	}
	m := &c.repositories
	m.mu.Lock()
	repo, ok := m.known[key]
	m.mu.Unlock()
	if ok && m.now().Before(repo.until) {
		return repo, nil
	}
	v, err := m.share(ctx, "key "+key, func(ctx context.Context) (any, error) {
		repo, err := c.lookUp(ctx, key)
		if err != nil {
			return nil, err
		}
		age := repositoryAge
		if repo.Package == "" {
			age = unknownAge
		}
		repo.until = m.now().Add(age)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.known == nil || len(m.known) >= maxRemembered {
			m.known = map[string]repository{}
		}
		m.known[key] = repo
		return repo, nil
	})
	if err != nil {
		return fail(err)
	}
	return v.(repository), nil
}

// forgetMembers forgets what is known of a virtual repository, of all that may be members of it, and the list.
func (m *memory) forgetMembers(virtual string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range m.known[virtual].members {
		delete(m.known, key)
	}
	for key, repo := range m.known {
		if repo.Class == artifact.Virtual {
			delete(m.known, key)
		}
	}
	m.list, m.listed = nil, time.Time{}
}

// share asks once for all who have the question at one time. The asking outlives the one who came first; nobody waits
// longer than their context.
func (m *memory) share(ctx context.Context, question string, ask func(context.Context) (any, error)) (any, error) {
	answer := m.flight.DoChan(question, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), repositoryWait)
		defer cancel()
		return ask(ctx)
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case a := <-answer:
		return a.Val, a.Err
	}
}

func (c *Client) lookUp(ctx context.Context, key string) (repository, error) {
	repo, err := c.described(ctx, key)
	if err != nil || repo.Class != "" {
		return repo, err
	}
	// A remote repository's cache is on no list; the remote one is.
	if base, ok := strings.CutSuffix(key, cacheSuffix); ok && base != "" {
		remote, err := c.described(ctx, base)
		if err != nil {
			return repository{}, err
		}
		if remote.Class == artifact.Remote {
			repo.Class, repo.Package = artifact.Cache, remote.Package
		}
	}
	// Nothing tells that it exists, so its root has to.
	var root itemInfo
	err = c.do(ctx, request{call: callRepository, method: http.MethodGet, url: c.base + "api/storage/" + key}, root.decode)
	switch {
	case err != nil:
		return repository{}, gone(err)
	case repo.Class == artifact.Cache && root.Repo != key:
		return repository{}, fmt.Errorf("%w: repository %q", ErrOtherItem, root.Repo)
	}
	return repo, nil
}

// described is what configuration and list say of a repository; no class when neither knows it, or both are closed.
func (c *Client) described(ctx context.Context, key string) (repository, error) {
	repo, err := c.configured(ctx, key)
	if err != nil && !closed(err) {
		return repository{}, err
	}
	if repo.Class != "" && repo.Package != "" {
		return repo, nil
	}
	list, err := c.listed(ctx)
	if err != nil {
		return repository{}, err
	}
	repo.Key = key
	if r, ok := list[key]; ok {
		r.Project, r.ProjectKnown = repo.Project, repo.ProjectKnown
		repo.Repository = r
	}
	return repo, nil
}

// configured asks for one repository's configuration, of which the server may give a part only.
func (c *Client) configured(ctx context.Context, key string) (repository, error) {
	var doc struct {
		Key     string   `json:"key"`
		Class   string   `json:"rclass"`
		Package string   `json:"packageType"`
		Members []string `json:"repositories"`
		Project *string  `json:"projectKey"`
		// A part of a configuration, which is what some are told, has neither of these. A whole one that names no project
		// has none.
		Includes *string `json:"includesPattern"`
		Layout   *string `json:"repoLayoutRef"`
	}
	err := c.do(ctx, request{call: callRepository, method: http.MethodGet, url: c.base + "api/repositories/" + key}, decodeInto(&doc))
	if err != nil {
		return repository{}, err
	}
	repo := repository{Repository: artifact.Repository{
		Key: key, Class: artifact.Class(strings.ToLower(doc.Class)), Package: strings.ToLower(doc.Package),
		ProjectKnown: doc.Project != nil || doc.Includes != nil || doc.Layout != nil,
	}}
	if doc.Project != nil && *doc.Project != noProjectKey {
		repo.Project = *doc.Project
	}
	switch {
	case repo.Class == artifact.Remote && doc.Key+cacheSuffix == key:
		repo.Class = artifact.Cache // some servers describe the remote one when they are asked for its cache
	case doc.Key != key:
		return repository{}, fmt.Errorf("%w: repository %q", ErrOtherItem, doc.Key)
	case repo.Class == artifact.Virtual:
		repo.members = doc.Members
	}
	return repo, nil
}

// listed is the server's list of repositories by key, as old as an answer about one may be. It is empty when it is closed
// to the token, which is not remembered, and not the caller's to change.
func (c *Client) listed(ctx context.Context) (map[string]artifact.Repository, error) {
	m := &c.repositories
	m.mu.Lock()
	list, until := m.list, m.listed
	m.mu.Unlock()
	if m.now().Before(until) {
		return list, nil
	}
	v, err := m.share(ctx, "list", func(ctx context.Context) (any, error) {
		all, err := c.Repositories(ctx)
		if closed(err) {
			return map[string]artifact.Repository(nil), nil
		}
		if err != nil {
			return nil, err
		}
		list := make(map[string]artifact.Repository, len(all))
		for _, r := range all {
			list[r.Key] = r
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.list, m.listed = list, m.now().Add(repositoryAge)
		return list, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(map[string]artifact.Repository), nil
}

// closed reports whether the server answered that this token may not know, or that there is no such thing, which is
// often the same (an unknown repository is 400 on many releases).
func closed(err error) bool {
	st, ok := errors.AsType[*StatusError](err)
	return ok && !Temporary(err) && st.Status >= 400 && st.Status < 500 && st.Status != http.StatusUnauthorized
}

// checkRepository holds a repository's name to the rules of artifact.NewRef.
func checkRepository(key string) error {
	if _, err := artifact.NewRef("", key, "x"); err != nil {
		return fmt.Errorf("%w: %w", ErrPath, err)
	}
	return nil
}
