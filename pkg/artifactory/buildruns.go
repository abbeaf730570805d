package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// maxRuns is how many runs of one build number are read.
const maxRuns = 8

// Runs reads the runs of a build number, the newest first and the newest eight at most, until found has seen enough.
// project is a key, or "" for none. A build that does not exist, or has a name that none can have, has no runs; so has one
// whose record is larger than any that is read. Where the token may not list the records, the run counts that the server
// takes for the newest.
func (c *Client) Runs(ctx context.Context, project, name, number string, found func(artifact.Build) (enough bool)) error {
	r := run{project: project, name: name, number: number}
	starts, err := c.starts(ctx, r)
	switch {
	case err == nil:
	case Temporary(err) || ctx.Err() != nil || isStatus(err, http.StatusUnauthorized):
		return fmt.Errorf("listing the runs of build %q number %q: %w", name, number, err)
	default:
		starts = []time.Time{{}}
	}
	for _, r.started = range starts[:min(maxRuns, len(starts))] {
		var b buildInfo
		if r.started.IsZero() {
			b, err = c.buildInfo(ctx, r, "")
		} else {
			b, err = c.build(ctx, r)
		}
		switch {
		case isGone(err), errors.Is(err, ErrPath), errors.Is(err, ErrTooLarge), isStatus(err, http.StatusBadRequest):
			continue
		case err != nil:
			return fmt.Errorf("reading build %q number %q: %w", name, number, err)
		}
		if found(b.Build) {
			return nil
		}
	}
	return nil
}
