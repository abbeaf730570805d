package artifactory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	builtPage  = 500  // files of one answer
	builtBatch = 90   // SHA-1 values of one query; they leave its text room
	builtAsked = 3000 // queries of one call; the largest build-info takes 1,112 for a repository
)

// Built hands each file of some repositories that belongs to a build to found, once: those that carry its name and number as
// properties, and, for servers that drop properties on the way, those with one of its SHA-1s. With "" it is only
// the former, in all repositories but those of build-info. A virtual repository stands for its members; when these cannot
// be known, for all repositories. It does not judge: anybody can set the properties, and a
// digest in build-info is a claim; the caller compares. Answers come in pages that continue from a place, like those of
// Items, one query at a time. An error of found ends it and is returned. Files whose paths artifact.NewRef refuses are
// artifact.ErrUnnamed and an ErrPath, after all others were handed over. More than 3,000 queries are not asked: then it is
// artifact.ErrUnsearched, after what was found in the repositories that come first.
func (c *Client) Built(ctx context.Context, b artifact.Build, repos []string, found func(artifact.Info) error) error {
	return c.built(ctx, builtFiles{found: found}, b, repos)
}

// BuiltMarked is Built with nothing but the files that carry the build's name and number as properties, in any repository.
func (c *Client) BuiltMarked(ctx context.Context, b artifact.Build, repo string, found func(artifact.Info) error) error {
	return c.built(ctx, builtFiles{found: found, marked: true}, b, []string{repo})
}

func (c *Client) built(ctx context.Context, f builtFiles, b artifact.Build, repos []string) error {
	f.client, f.seen, f.limit = c, map[string]bool{}, builtAsked
	err := f.each(ctx, b, repos)
	if err == nil && len(f.refused) > 0 {
		err = fmt.Errorf("%w: %w: %d of its files, such as %q", ErrPath, artifact.ErrUnnamed, len(f.refused), f.refused[0])
	}
	if err != nil {
		return fmt.Errorf("looking for the files of build %q number %q: %w", b.Name, b.Number, err)
	}
	return nil
}

// holders are the repositories that hold files of their own where a repository shows them: itself, or a virtual one's
// members but for what remote ones fetched; "" for all. One that the token may not know is its own answer.
func (c *Client) holders(ctx context.Context, repo string) ([]string, error) {
	if repo == "" {
		return []string{""}, nil
	}
	known, err := c.repository(ctx, repo)
	switch {
	case errors.Is(err, artifact.ErrGone), closed(err):
		return []string{repo}, nil
	case err != nil:
		return nil, err
	case known.Class != artifact.Virtual:
		return []string{repo}, nil
	}
	members, err := c.members(ctx, known)
	if errors.Is(err, ErrMembers) {
		return []string{""}, nil
	}
	return slices.DeleteFunc(members, func(m string) bool {
		member, err := c.repository(ctx, m)
		return err == nil && member.Class == artifact.Cache
	}), err
}

// each looks into each repository, and into those that hold the files of several only once.
func (f *builtFiles) each(ctx context.Context, b artifact.Build, repos []string) error {
	done := map[string]bool{}
	for _, repo := range repos {
		holders, err := f.client.holders(ctx, repo)
		if err != nil {
			return err
		}
		for _, f.repo = range holders {
			if done[f.repo] {
				continue
			}
			done[f.repo] = true
			if err := f.all(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

type builtFiles struct {
	client  *Client
	repo    string
	found   func(artifact.Info) error
	marked  bool // only what carries the properties
	limit   int  // of queries; 0 for none
	asked   int
	seen    map[string]bool
	refused []string // paths, the first of them
}

func (f *builtFiles) all(ctx context.Context, b artifact.Build) error {
	if f.repo != "" {
		if err := checkRepository(f.repo); err != nil {
			return err
		}
	}
	marked := object{"$and": []object{{"@build.name": b.Name}, {"@build.number": b.Number}}}
	if err := f.pages(ctx, []object{marked}, place{}); err != nil {
		return err
	}
	var sums []object
	if f.repo != "" && !f.marked {
		sums = distinctSums(b.Artifacts)
	}
	for batch := range slices.Chunk(sums, builtBatch) {
		if err := f.pages(ctx, batch, place{}); err != nil {
			return err
		}
	}
	return nil
}

func distinctSums(all []artifact.Built) []object {
	var sums []object
	seen := map[string]bool{"": true}
	for _, a := range all {
		if sum := sha1Text(a.SHA1); !seen[sum] {
			seen[sum] = true
			sums = append(sums, object{"actual_sha1": sum})
		}
	}
	return sums
}

// place is where a page ended: by time of upload, repository, folder, name.
type place struct {
	at         time.Time
	repo, path string
}

// pages follows one query, for what fulfils any of some conditions, to its end.
func (f *builtFiles) pages(ctx context.Context, either []object, from place) error {
	for {
		text, err := f.query(either, from)
		if err != nil {
			return err
		}
		if half := len(either) / 2; half > 0 && utf8.RuneCountInString(text) > maxQuery { // the place has a long path
			if err := f.pages(ctx, either[:half], from); err != nil {
				return err
			}
			either = either[half:]
			continue
		}
		if f.limit > 0 && f.asked == f.limit {
			return fmt.Errorf("%w: the search was ended in %q after %d queries", artifact.ErrUnsearched, cmp.Or(f.repo, "all repositories"), f.asked)
		}
		f.asked++
		results, err := f.client.findItems(ctx, text)
		if err != nil {
			return err
		}
		if from, err = f.take(results, from); err != nil || len(results) < builtPage {
			return err
		}
	}
}

// take hands a page over and answers where it ended.
func (f *builtFiles) take(results []aqlItem, from place) (place, error) {
	for _, r := range results {
		here := place{parseTime(r.Updated), r.Repo, r.path()}
		if here.at.IsZero() || f.repo != "" && r.Repo != f.repo {
			return from, fmt.Errorf("%w: %q in repository %q, uploaded %q", ErrOtherItem, here.path, r.Repo, r.Updated)
		}
		if here.at.Before(from.at) || here == from {
			return from, fmt.Errorf("%w: %q comes after %q", ErrNoProgress, here.path, from.path)
		}
		from = here
		key := r.Repo + "/" + here.path
		if f.seen[key] || f.repo == "" && strings.HasSuffix(r.Repo, buildRepoSuffix) {
			continue
		}
		f.seen[key] = true
		item, err := r.item(Position{At: here.at, Path: here.path})
		if err != nil {
			f.refused = append(f.refused, here.path)
			continue
		}
		item.Ref.Instance = f.client.name
		if err := f.found(item.Info); err != nil {
			return from, err
		}
	}
	return from, nil
}

func (f *builtFiles) query(either []object, from place) (string, error) {
	all := []object{{"type": "file"}, {"$or": either}}
	order := `"updated","repo","path","name"`
	if f.repo != "" {
		all = append(all, object{"repo": f.repo})
		order = `"updated","path","name"`
	}
	if from != (place{}) {
		all = append(all, f.behind(from))
	}
	where, err := criteriaText(all)
	return `items.find(` + where + `).include("repo","path","name","size","sha256","actual_sha1","created","created_by","modified","modified_by","updated")` +
		`.sort({"$asc":[` + order + `]}).limit(` + strconv.Itoa(builtPage) + `)`, err
}

// behind is the condition of lying after a place.
func (f *builtFiles) behind(p place) object {
	at, dir, name := object{"updated": p.at.UTC().Format(aqlTime)}, object{"path": path.Dir(p.path)}, path.Base(p.path)
	same := []object{at}
	or := []object{{"updated": object{"$gt": at["updated"]}}}
	if f.repo == "" {
		or = append(or, object{"$and": []object{at, {"repo": object{"$gt": p.repo}}}})
		same = append(same, object{"repo": p.repo})
	}
	return object{"$or": append(or,
		object{"$and": append(slices.Clone(same), object{"path": object{"$gt": dir["path"]}})},
		object{"$and": append(slices.Clone(same), dir, object{"name": object{"$gt": name}})},
	)}
}
