package main

import (
	"context"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// why is what was decided last about an artifact. A path in a virtual or remote repository means the file that it shows,
// too; while Artifactory does not answer, what was noted under the path itself is all there is.
func (s *service) why(ctx context.Context, ref, target artifact.Ref, asOf time.Time) (api.Why, error) {
	names := []artifact.Ref{ref}
	if client, ok := s.instances[ref.Instance]; ok {
		wait, cancel := context.WithTimeout(ctx, locateWait)
		defer cancel()
		if at, err := client.Locate(wait, ref); err == nil && at != ref {
			names = append(names, at)
		}
	}
	var w api.Why
	for _, name := range names {
		signing, found, err := s.ledger.LastOutcome(ctx, name, asOf)
		if err != nil {
			return api.Why{}, err
		}
		w.Signing = later(w.Signing, signing, found)
		if target.Repo == "" {
			continue
		}
		gate, found, err := s.ledger.LastVerdict(ctx, name, target, asOf)
		if err != nil {
			return api.Why{}, err
		}
		w.Gate = later(w.Gate, gate, found)
	}
	if w.Signing != nil && (w.Gate != nil || target.Repo == "") {
		return w, nil
	}
	began, err := s.ledger.Began(ctx)
	if err != nil {
		return api.Why{}, err
	}
	if !began.IsZero() {
		w.Began = &began
	}
	return w, nil
}

func later(known *policy.Past, p policy.Past, found bool) *policy.Past {
	if !found || known != nil && !p.At.After(known.At) {
		return known
	}
	return &p
}

// inventory is a page of a repository's files, but for signature files and the layers of images.
func (s *service) inventory(ctx context.Context, instance, repo string, at time.Time, path string) (api.InventoryPage, error) {
	items, err := s.instances[instance].Items(ctx, artifactory.ItemQuery{Repo: repo, After: artifactory.Position{At: at, Path: path}, Limit: artifactory.MaxPage})
	if err != nil {
		return api.InventoryPage{}, err
	}
	page := api.InventoryPage{At: items.Last.At, Path: items.Last.Path, More: items.More}
	for _, it := range items.Items {
		if name := it.Ref.Name(); !seal.IsAttachment(name) && !strings.HasPrefix(name, "sha256__") {
			page.Refs = append(page.Refs, it.Ref)
		}
	}
	return page, nil
}
