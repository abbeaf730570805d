package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	groupsAge = 30 * time.Second // how old an answer about a user may be; who was put out of a group is out soon
	maxUsers  = 10_000           // remembered; beyond that the memory starts anew
	maxName   = 512              // bytes of a user's or a group's name
	maxGroups = 1000             // of one user
)

// GroupsNeed says what lets the token know the groups of users.
const GroupsNeed = "an access token with the scope system:identities:r, or an administrator's (applied-permissions/admin) where the release does not know that scope"

// users remembers the groups of users. It holds no failures.
type users struct {
	mu     sync.Mutex
	groups map[string]membership
}

type membership struct {
	groups []string
	until  time.Time
}

// Groups asks which groups a user is in, sorted; the answer may be half a minute old. A user that does not exist (any
// more), or has no name, is in none. Where the token may not know it is a *StatusError, 403: see GroupsNeed. Several who
// ask at one time share a request.
func (c *Client) Groups(ctx context.Context, user string) ([]string, error) {
	if user == "" {
		return nil, nil
	}
	fail := func(err error) ([]string, error) {
		return nil, fmt.Errorf("asking about the groups of %q: %w", user, err)
	}
	if len(user) > maxName || user == "." || user == ".." || strings.ContainsFunc(user, unicode.IsControl) {
		return fail(errors.New("it is no name of a user"))
	}
	u := &c.users
	u.mu.Lock()
	known, ok := u.groups[user]
	u.mu.Unlock()
	if ok && c.repositories.now().Before(known.until) {
		return known.groups, nil
	}
	v, err := c.repositories.share(ctx, "user "+user, func(ctx context.Context) (any, error) {
		groups, err := c.groups(ctx, user)
		if err != nil {
			return nil, err
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.groups == nil || len(u.groups) >= maxUsers {
			u.groups = map[string]membership{}
		}
		u.groups[user] = membership{groups, c.repositories.now().Add(groupsAge)}
		return groups, nil
	})
	if err != nil {
		return fail(err)
	}
	return v.([]string), nil
}

// groups asks Access, and Artifactory's older interface where Access is closed or does not know: releases before 7.49 have
// only the older one, which is to go and is for administrators alone. Access's word that there is no such user counts when
// it is seen to know users, the older one's when Access is not closed.
func (c *Client) groups(ctx context.Context, user string) ([]string, error) {
	access := c.platform() + "access/api/v2/users"
	groups, first := c.groupsAt(ctx, access+"/"+segment(user), user)
	switch {
	case first == nil:
		return groups, nil
	case !closed(first) && !isStatus(first, http.StatusUnauthorized):
		return nil, first
	case isStatus(first, http.StatusNotFound):
		err := c.do(ctx, request{call: callUser, method: http.MethodGet, url: access + "?limit=1"}, discard)
		if err == nil {
			return nil, nil
		}
		if !closed(err) && !isStatus(err, http.StatusUnauthorized) {
			return nil, err
		}
		if !isStatus(err, http.StatusNotFound) {
			first = err
		}
	}
	groups, err := c.groupsAt(ctx, c.base+"api/security/users/"+segment(user), user)
	switch {
	case err == nil || !closed(err) && !isStatus(err, http.StatusUnauthorized):
		return groups, err
	case !isStatus(first, http.StatusNotFound):
		return nil, first
	case isStatus(err, http.StatusNotFound):
		return nil, nil
	}
	return nil, err
}

func (c *Client) groupsAt(ctx context.Context, from, user string) ([]string, error) {
	var doc struct {
		Username string   `json:"username"` // Access
		Name     string   `json:"name"`     // Artifactory
		Groups   []string `json:"groups"`
	}
	err := c.do(ctx, request{call: callUser, method: http.MethodGet, url: from}, decodeInto(&doc))
	switch {
	case err != nil:
		return nil, err
	case !strings.EqualFold(doc.Username, user) && !strings.EqualFold(doc.Name, user):
		return nil, fmt.Errorf("%w: user %q", ErrOtherItem, doc.Username+doc.Name)
	case len(doc.Groups) > maxGroups:
		return nil, fmt.Errorf("%w: the user is in %d groups, the limit is %d", ErrTooLarge, len(doc.Groups), maxGroups)
	}
	doc.Groups = slices.DeleteFunc(doc.Groups, func(g string) bool { return g == "" || len(g) > maxName })
	slices.Sort(doc.Groups)
	return slices.Compact(doc.Groups), nil
}

// GroupsKnown finds out whether the token may know the groups of users: it asks about one that does not exist.
func (c *Client) GroupsKnown(ctx context.Context) error {
	_, err := c.groups(ctx, nobody)
	return err
}

// nobody is a name that no user has.
const nobody = "hallmark.probe.of.rights"
