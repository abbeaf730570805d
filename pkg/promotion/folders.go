package promotion

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// folders remembers, for one run, which signature files lie beside which artifacts. Each folder is listed once.
type folders struct {
	mu   sync.Mutex
	seen map[artifact.Ref]*listing // by folder
}

type listing struct {
	once  sync.Once
	owned map[string][]string // names of signature files, by the artifact's name
	err   error
}

// attachments names the signature files beside an artifact, by their names alone. A folder that is not there has none.
func (f *folders) attachments(ctx context.Context, r *run, ref artifact.Ref) ([]string, error) {
	key := artifact.Ref{Instance: ref.Instance, Repo: ref.Repo, Path: ref.Dir()}
	f.mu.Lock()
	if f.seen == nil {
		f.seen = map[artifact.Ref]*listing{}
	}
	l := f.seen[key]
	if l == nil {
		l = &listing{}
		f.seen[key] = l
	}
	f.mu.Unlock()
	l.once.Do(func() { l.owned, l.err = r.listOwned(ctx, key) })
	return l.owned[ref.Name()], l.err
}

func (r *run) listOwned(ctx context.Context, folder artifact.Ref) (map[string][]string, error) {
	entries, err := r.client.Folder(ctx, folder.Repo, folder.Path)
	if errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrNotFolder) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.Name] = !e.Folder
	}
	owned := map[string][]string{}
	for _, e := range entries {
		if e.Folder {
			continue
		}
		owners := seal.Owners(e.Name, r.Keys)
		// A name can be read in two ways; the artifact that is there counts, and without any each of them.
		if i := slices.IndexFunc(owners, func(o string) bool { return there[o] }); i >= 0 {
			owners = owners[i : i+1]
		}
		for _, o := range owners {
			owned[o] = append(owned[o], e.Name)
		}
	}
	return owned, nil
}
