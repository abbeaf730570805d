package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Inventory is the answer of GET /v1/inventory?repository=R&after=CURSOR: a page of what stands in a repository, signature
// files left out.
type Inventory struct {
	Paths []string `json:"paths"` // repository/path
	Next  string   `json:"next"`  // the parameter after of the next page
	More  bool     `json:"more"`
}

// InventoryPage is a page of a repository's files. The next one continues after a time and a path.
type InventoryPage struct {
	Refs []artifact.Ref
	At   time.Time
	Path string
	More bool
}

func (s *server) inventory(c *call) (any, error) {
	q, err := c.query("repository", "instance", "after")
	if err != nil {
		return nil, err
	}
	instance, err := s.instance(q.Get("instance"))
	if err != nil {
		return nil, err
	}
	if _, err := artifact.NewRef(instance, q.Get("repository"), "x"); err != nil {
		return nil, refusedPath("repository", err)
	}
	var at time.Time
	when, path, _ := strings.Cut(q.Get("after"), " ")
	if at, err = moment("after", when); err != nil {
		return nil, problem(http.StatusBadRequest, "after is what the page before told as next")
	}
	page, err := s.deps.Inventory(c.Context(), instance, q.Get("repository"), at, path)
	if err != nil {
		return nil, err
	}
	list := Inventory{Paths: make([]string, len(page.Refs)), Next: page.At.UTC().Format(time.RFC3339Nano) + " " + page.Path, More: page.More}
	for i, ref := range page.Refs {
		list.Paths[i] = ref.String()
	}
	return list, nil
}
