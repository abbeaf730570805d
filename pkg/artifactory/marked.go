package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Marked asks which files of a repository that were uploaded from the first time to the second, both included, carry a
// property, and hands each with all of its properties to found, in no order; found may be called again for the same
// file when the answer broke off. Memory does not grow with their number. It is a query of its own because Artifactory
// does not page reliably over results with properties.
func (c *Client) Marked(ctx context.Context, repo, property string, from, to time.Time, found func(path string, props map[string][]string)) error {
	if err := checkRepository(repo); err != nil {
		return err
	}
	where, err := criteriaText([]object{
		{"repo": repo}, {"type": "file"}, {"@" + property: object{"$match": "*"}},
		{"updated": object{"$gte": from.UTC().Format(aqlTime)}}, {"updated": object{"$lte": to.UTC().Format(aqlTime)}},
	})
	if err != nil {
		return err
	}
	err = c.find(ctx, `items.find(`+where+`).include("repo","path","name","property")`, func(resp *http.Response) error {
		body := &watched{Reader: resp.Body}
		err := eachMarked(json.NewDecoder(body), found)
		if body.err != nil {
			return bodyError(body.err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("listing marked files of %s: %w", repo, err)
	}
	return nil
}

// watched remembers why reading ended: a body that broke off is asked for again, one that is no JSON is not.
type watched struct {
	io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

type markedItem struct {
	Path       string `json:"path"`
	Name       string `json:"name"`
	Properties []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"properties"`
}

// eachMarked walks {"results":[…], …} one result at a time.
func eachMarked(d *json.Decoder, found func(string, map[string][]string)) error {
	for {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("the answer to a query has no results: %w", err)
		}
		if t == "results" {
			break
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		var i markedItem
		if err := d.Decode(&i); err != nil {
			return fmt.Errorf("reading the answer to a query: %w", err)
		}
		props := make(map[string][]string, len(i.Properties))
		for _, p := range i.Properties {
			props[p.Key] = append(props[p.Key], p.Value)
		}
		found(aqlItem{Path: i.Path, Name: i.Name}.path(), props)
	}
	if _, err := d.Token(); err != nil { // the list must have been whole
		return fmt.Errorf("reading the answer to a query: %w", err)
	}
	return nil
}
