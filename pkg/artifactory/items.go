package artifactory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	// MaxPage is the greatest page of Items; its answer stays well below maxAnswer.
	MaxPage = 2000
	// maxQuery is Artifactory's limit for a query's text, in characters.
	maxQuery = 6000
	// aqlTime has the milliseconds in which Artifactory stores times.
	aqlTime = "2006-01-02T15:04:05.000Z07:00"
)

// ErrNoProgress means that the server answered a page that does not lie behind the place it was asked to continue from.
var ErrNoProgress = errors.New("the server's pages do not advance")

// Position is a place in the order of a repository's files: by the time of upload, then folder, then name. Times have
// milliseconds. The zero Position lies before everything.
type Position struct {
	At   time.Time
	Path string // below the repository
}

// ItemQuery asks for one page of a repository's files.
type ItemQuery struct {
	Repo   string
	Prefix string    // a folder, without slashes at its ends; "" is the whole repository
	Since  time.Time // uploaded at or after; zero: ever
	Until  time.Time // uploaded before; zero: whenever
	After  Position  // where the page before ended
	Limit  int       // 1 to MaxPage
}

// Item is what the server tells about one file of a page.
type Item struct {
	artifact.Info
	Updated time.Time // when it was last uploaded, copied or moved to where it is
}

// Page is some files, in order.
type Page struct {
	Items   []Item
	Refused int      // further files whose paths artifact.NewRef refuses
	Last    Position // where the next page continues
	More    bool     // whether to ask for it
}

// Items asks for one page of a repository's files. Pages continue from a place in the order, not from a count, so what
// is uploaded or deleted between two of them moves no other file over a page's border: a file that stays where it is
// is seen exactly once. The order is by the time when a file came to its place ("updated"): a file's own time
// ("modified") may be older than its copy. One such query of a client runs at a time, because Artifactory runs few at once
// for everybody.
func (c *Client) Items(ctx context.Context, q ItemQuery) (Page, error) {
	page, err := c.items(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("listing files of %s: %w", q.Repo, err)
	}
	return page, nil
}

func (c *Client) items(ctx context.Context, q ItemQuery) (Page, error) {
	if err := checkRepository(q.Repo); err != nil {
		return Page{}, err
	}
	limit := min(max(q.Limit, 1), MaxPage)
	where, err := q.criteria()
	if err != nil {
		return Page{}, err
	}
	text := `items.find(` + where + `).include("repo","path","name","size","sha256","created","created_by","modified","modified_by","updated")` +
		`.sort({"$asc":["updated","path","name"]}).limit(` + strconv.Itoa(limit) + `)`
	results, err := c.findItems(ctx, text)
	if err != nil {
		return Page{}, err
	}
	return q.page(results, limit)
}

// findItems sends one query for items.
func (c *Client) findItems(ctx context.Context, text string) ([]aqlItem, error) {
	var doc struct {
		Results *[]aqlItem `json:"results"`
	}
	err := c.find(ctx, text, func(resp *http.Response) error {
		doc.Results = nil
		return decodeInto(&doc)(resp)
	})
	if err != nil {
		return nil, err
	}
	if doc.Results == nil {
		return nil, errors.New("the answer to a query has no results")
	}
	return *doc.Results, nil
}

// find sends one query when no other one of this client is under way.
func (c *Client) find(ctx context.Context, text string, consume func(*http.Response) error) error {
	if n := utf8.RuneCountInString(text); n > maxQuery {
		return fmt.Errorf("the query has %d characters, Artifactory's limit is %d", n, maxQuery)
	}
	select {
	case c.query <- struct{}{}:
		defer func() { <-c.query }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return c.do(ctx, request{
		call: callFind, method: http.MethodPost, url: c.base + "api/search/aql", body: []byte(text), headers: map[string]string{"Content-Type": "text/plain"},
	}, consume)
}

type object = map[string]any

// criteria is the argument of find.
func (q ItemQuery) criteria() (string, error) {
	all := []object{{"repo": q.Repo}, {"type": "file"}}
	if q.Prefix != "" {
		all = append(all, object{"$or": []object{{"path": q.Prefix}, {"path": object{"$match": q.Prefix + "/*"}}}})
	}
	if !q.Until.IsZero() {
		all = append(all, object{"updated": object{"$lt": q.Until.UTC().Format(aqlTime)}})
	}
	if q.After == (Position{}) {
		if !q.Since.IsZero() {
			all = append(all, object{"updated": object{"$gte": q.Since.UTC().Format(aqlTime)}})
		}
		return criteriaText(all)
	}
	at, dir, name := q.After.At.UTC().Format(aqlTime), path.Dir(q.After.Path), path.Base(q.After.Path)
	return criteriaText(append(all, object{"$or": []object{
		{"updated": object{"$gt": at}},
		{"$and": []object{{"updated": at}, {"path": object{"$gt": dir}}}},
		{"$and": []object{{"updated": at}, {"path": dir}, {"name": object{"$gt": name}}}},
	}}))
}

func criteriaText(all []object) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(object{"$and": all}); err != nil {
		return "", fmt.Errorf("writing a query: %w", err)
	}
	return strings.TrimSpace(b.String()), nil
}

// aqlItem is one result. Its path is the folder's, "." at the root.
type aqlItem struct {
	Repo       string      `json:"repo"`
	Path       string      `json:"path"`
	Name       string      `json:"name"`
	Size       json.Number `json:"size"`
	SHA256     string      `json:"sha256"`
	SHA1       string      `json:"actual_sha1"`
	Created    string      `json:"created"`
	CreatedBy  string      `json:"created_by"`
	Modified   string      `json:"modified"`
	ModifiedBy string      `json:"modified_by"`
	Updated    string      `json:"updated"`
}

func (i aqlItem) path() string { return path.Join(i.Path, i.Name) }

func (q ItemQuery) page(results []aqlItem, limit int) (Page, error) {
	p := Page{Items: make([]Item, 0, len(results)), Last: q.After, More: len(results) >= limit}
	for _, r := range results {
		here := Position{At: parseTime(r.Updated), Path: r.path()}
		if here.At.IsZero() || r.Repo != q.Repo {
			return Page{}, fmt.Errorf("%w: %q in repository %q, uploaded %q", ErrOtherItem, here.Path, r.Repo, r.Updated)
		}
		if here.At.Before(p.Last.At) || here == p.Last {
			return Page{}, fmt.Errorf("%w: %q comes after %q", ErrNoProgress, here.Path, p.Last.Path)
		}
		p.Last = here
		if q.Prefix != "" && !strings.HasPrefix(here.Path, q.Prefix+"/") { // the prefix has a character that matches others
			continue
		}
		item, err := r.item(here)
		if err != nil {
			p.Refused++
			continue
		}
		p.Items = append(p.Items, item)
	}
	return p, nil
}

func (i aqlItem) item(at Position) (Item, error) {
	ref, err := artifact.NewRef("", i.Repo, at.Path)
	if err != nil {
		return Item{}, err
	}
	size, err := strconv.ParseInt(i.Size.String(), 10, 64)
	if err != nil {
		return Item{}, err
	}
	facts := itemInfo{}
	facts.Checksums.SHA256 = i.SHA256
	digest, err := facts.digest()
	if err != nil {
		return Item{}, err
	}
	return Item{Updated: at.At, Info: artifact.Info{
		Ref: ref, SHA256: digest, SHA1: sha1Text(i.SHA1), Size: size, CreatedBy: i.CreatedBy, ModifiedBy: i.ModifiedBy,
		Created: parseTime(i.Created), Modified: parseTime(i.Modified),
	}}, nil
}
