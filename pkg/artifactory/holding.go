package artifactory

import (
	"context"
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	holdingPage    = 250 // files that one query answers with
	holdingQueries = 16  // for the repositories of one file; each but the last tells of one more repository at least
	trash          = "auto-trashcan"
)

// Holding lists the repositories that hold a file with these bytes, sorted: caches and builds' records count, the trash
// does not. More repositories than can be found with sixteen queries are ErrTooMany; one is the rule. A repository that the
// token may not read is not among them.
func (c *Client) Holding(ctx context.Context, bytes artifact.Digest) ([]string, error) {
	repos := []string{}
	for range holdingQueries {
		all := []object{{"type": "file"}, {"sha256": bytes.String()}}
		for _, repo := range append([]string{trash}, repos...) {
			all = append(all, object{"repo": object{"$ne": repo}})
		}
		where, err := criteriaText(all)
		if err != nil {
			return nil, err
		}
		found, err := c.findItems(ctx, fmt.Sprintf(`items.find(%s).include("repo","path","name","sha256").limit(%d)`, where, holdingPage))
		if err != nil {
			return nil, fmt.Errorf("looking for the repositories that hold %s: %w", bytes, err)
		}
		for _, f := range found {
			if f.SHA256 == bytes.String() && f.Repo != "" && !slices.Contains(repos, f.Repo) {
				repos = append(repos, f.Repo)
			}
		}
		if len(found) < holdingPage {
			slices.Sort(repos)
			return repos, nil
		}
	}
	return nil, fmt.Errorf("looking for the repositories that hold %s: %w", bytes, ErrTooMany)
}
