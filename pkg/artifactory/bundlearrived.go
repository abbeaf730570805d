package artifactory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// arrivedAtOnce is how many of a bundle's contents are looked for at one time.
const arrivedAtOnce = 8

// errNotThere ends the look for a bundle's contents at the first that is missing.
var errNotThere = errors.New("not there")

// arrived reports whether a complete promotion, which went to some repositories (none: to all of the environment, or the
// server does not tell), has put
// the contents where they are wanted, and every one of them is there still. Where no repositories are wanted, those of the
// environment are, and there is no place to look: the record counts if it was not limited either.
func (c *Client) arrived(ctx context.Context, b artifact.Bundle, went, wanted []string) (bool, error) {
	if len(wanted) == 0 {
		return len(went) == 0, nil
	}
	if len(went) > 0 && slices.ContainsFunc(wanted, func(repo string) bool { return !slices.Contains(went, repo) }) {
		return false, nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(arrivedAtOnce)
	for _, x := range b.Contents {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return c.holdsOne(ctx, x, wanted) })
	}
	err := group.Wait()
	if errors.Is(err, errNotThere) {
		return false, nil
	}
	return err == nil, err
}

// holdsOne is errNotThere when none of the repositories has the content under its path.
func (c *Client) holdsOne(ctx context.Context, x artifact.Bundled, repos []string) error {
	if x.SHA256.IsZero() {
		return errNotThere // nothing tells that it is what was meant
	}
	for _, repo := range repos {
		at := in(x.Ref, repo)
		info, err := c.info(ctx, at)
		switch {
		case err == nil && info.SHA256 == x.SHA256:
			return nil
		case err != nil && !isGone(err) && !errors.Is(err, ErrNotFile):
			return fmt.Errorf("looking for %s: %w", at, err)
		}
	}
	return errNotThere
}
