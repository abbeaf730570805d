package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrMembers means that a virtual repository shows a file and nothing tells which of its members holds it.
var ErrMembers = errors.New("members of the virtual repository cannot be known")

// ErrMemberDiffers means that a virtual repository shows a file that the member which it names, or none that is known, has.
// Its list of members may just have changed, or a cache in between is old: later the same call may work.
var ErrMemberDiffers = errors.New("virtual repository and its members disagree")

// maxMembers bounds how many repositories one virtual repository is followed into.
const maxMembers = 200

// Locate answers where the bytes are that a virtual repository, or a remote one, shows at ref: in a local or federated
// repository, or in a remote repository's cache. Any other ref is its own answer, and nothing says yet that it exists;
// so is one in a repository whose class the token may not know.
//
// The member is believed only if it answers for itself with the digest that the virtual repository reports; else it is
// ErrMemberDiffers, after a second look with nothing remembered. What is nowhere is artifact.ErrGone, a folder is ErrNotFile: members share folders. When the server does
// not name the member, members are asked in turn; if those are closed to the token, it is ErrMembers.
func (c *Client) Locate(ctx context.Context, ref artifact.Ref) (artifact.Ref, error) {
	at, err := c.locate(ctx, ref)
	if errors.Is(err, ErrMemberDiffers) { // a file may move or change between two answers, though hardly twice
		c.repositories.forgetMembers(ref.Repo)
		at, err = c.locate(ctx, ref)
	}
	if err != nil {
		return artifact.Ref{}, fmt.Errorf("locating %s: %w", ref, err)
	}
	return at, nil
}

func (c *Client) locate(ctx context.Context, ref artifact.Ref) (artifact.Ref, error) {
	if _, err := c.itemPath(ref); err != nil {
		return artifact.Ref{}, err
	}
	repo, err := c.repository(ctx, ref.Repo)
	if err != nil {
		return artifact.Ref{}, err
	}
	switch repo.Class {
	case artifact.Remote:
		at := in(ref, ref.Repo+cacheSuffix)
		_, err := c.info(ctx, at)
		return at, err
	case artifact.Virtual:
	default:
		return ref, nil
	}
	shown, err := c.shown(ctx, ref)
	switch {
	case err != nil:
		return artifact.Ref{}, err
	case shown.Ref.Repo != ref.Repo:
		return c.confirm(ctx, repo, shown)
	}
	return c.search(ctx, repo, shown)
}

// shown is the file that the server shows at ref, with the repository that it names for it.
func (c *Client) shown(ctx context.Context, ref artifact.Ref) (artifact.Info, error) {
	p, err := c.itemPath(ref)
	if err != nil {
		return artifact.Info{}, err
	}
	var item itemInfo
	err = c.do(ctx, request{call: callInfo, method: http.MethodGet, url: c.base + "api/storage/" + p}, item.decode)
	if err != nil {
		return artifact.Info{}, gone(err)
	}
	if checkRepository(item.Repo) != nil {
		return artifact.Info{}, item.isAbout(ref)
	}
	return item.info(in(ref, item.Repo))
}

// confirm follows the server to the member that it named for a file of a virtual repository.
func (c *Client) confirm(ctx context.Context, virtual repository, shown artifact.Info) (artifact.Ref, error) {
	at := shown.Ref
	members, err := c.members(ctx, virtual)
	if err != nil && !errors.Is(err, ErrMembers) {
		return artifact.Ref{}, err
	}
	if err == nil && !slices.Contains(members, at.Repo) && !slices.Contains(members, at.Repo+cacheSuffix) {
		return artifact.Ref{}, fmt.Errorf("%w: %q is no member of %q", ErrMemberDiffers, at.Repo, virtual.Key)
	}
	holder, err := c.repository(ctx, at.Repo)
	switch {
	case errors.Is(err, artifact.ErrGone):
		return artifact.Ref{}, fmt.Errorf("%w: %q is no repository", ErrMemberDiffers, at.Repo)
	case err != nil:
		return artifact.Ref{}, err
	case holder.Class == artifact.Virtual:
		return artifact.Ref{}, fmt.Errorf("%w: %q is virtual, too", ErrMemberDiffers, at.Repo)
	case holder.Class == artifact.Remote:
		at.Repo += cacheSuffix
	}
	held, err := c.info(ctx, at)
	if err != nil && !errors.Is(err, artifact.ErrGone) {
		return artifact.Ref{}, err
	}
	if err != nil || !same(held, shown) {
		return artifact.Ref{}, fmt.Errorf("%w: %q shows bytes that %s has not", ErrMemberDiffers, virtual.Key, at)
	}
	return at, nil
}

// search asks the members of a virtual repository for the bytes that it shows, in the order in which it does.
func (c *Client) search(ctx context.Context, virtual repository, shown artifact.Info) (artifact.Ref, error) {
	members, err := c.members(ctx, virtual)
	if err != nil {
		return artifact.Ref{}, err
	}
	var refused error
	for _, member := range members {
		at := in(shown.Ref, member)
		held, err := c.info(ctx, at)
		switch {
		case err == nil && same(held, shown):
			return at, nil
		case isStatus(err, http.StatusForbidden):
			refused = fmt.Errorf("the token may not read member %s: %w", member, err)
		case err != nil && !errors.Is(err, artifact.ErrGone) && !errors.Is(err, ErrNotFile):
			return artifact.Ref{}, err
		}
	}
	if refused != nil {
		return artifact.Ref{}, refused
	}
	return artifact.Ref{}, fmt.Errorf("%w: %q shows bytes that none of its members has", ErrMemberDiffers, virtual.Key)
}

// Holders are the repositories that the files of a repository lie in, in the order in which it looks for them: of a
// virtual one those of its members, of a remote one its cache, of any other itself. ErrMembers means that the token may
// not know.
func (c *Client) Holders(ctx context.Context, key string) ([]string, error) {
	repo, err := c.repository(ctx, key)
	if err != nil {
		return nil, err
	}
	switch repo.Class {
	case artifact.Virtual:
		return c.members(ctx, repo)
	case artifact.Remote:
		return []string{key + cacheSuffix}, nil
	}
	return []string{key}, nil
}

// members are the repositories that files of a virtual one can be in, in the order in which they are asked: local and
// federated ones, then caches, both in the order of its configuration; those of virtual members after its own.
func (c *Client) members(ctx context.Context, virtual repository) ([]string, error) {
	var list, caches []string
	seen := map[string]bool{virtual.Key: true}
	known, err := c.listed(ctx)
	if err != nil {
		return nil, err
	}
	todo := []repository{virtual}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if len(next.members) == 0 {
			return nil, fmt.Errorf("%w: the token may not read its configuration, GET %sapi/repositories/%s; let an administrator allow that, or name the local repository that holds the file", ErrMembers, c.base, next.Key)
		}
		var nested []repository
		for _, key := range next.members {
			if seen[key] || checkRepository(key) != nil {
				continue
			}
			if seen[key] = true; len(seen) > maxMembers {
				return nil, fmt.Errorf("%w: it has more than %d; name the local repository that holds the file", ErrMembers, maxMembers)
			}
			member := repository{Repository: known[key]}
			if member.Class == "" || member.Class == artifact.Virtual {
				member, err = c.repository(ctx, key)
			}
			switch {
			case err != nil && !errors.Is(err, artifact.ErrGone) && !closed(err):
				return nil, err
			case member.Class == artifact.Virtual:
				nested = append(nested, member)
			case member.Class == artifact.Remote:
				caches = append(caches, key+cacheSuffix)
			default:
				list = append(list, key)
			}
		}
		todo = append(nested, todo...)
	}
	return append(list, caches...), nil
}

// in is ref in another repository, whose name is known to be one.
func in(ref artifact.Ref, repo string) artifact.Ref {
	ref.Repo = repo
	return ref
}

// same reports whether two answers are about the same bytes, as far as the server tells. A file without a SHA-256 can be
// located, too: whoever wants to sign it learns that it has none.
func same(a, b artifact.Info) bool { return a.SHA256 == b.SHA256 && a.Size == b.Size }
