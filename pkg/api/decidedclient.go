package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

// Decided reads decisions after a moment, oldest first, and calls each with every one. It reads page by page, one ahead, and
// a page that was cut off again, so that it ends when there are none left, or with an error that stays. counted, if not nil,
// is told first how many there are.
func (c *Client) Decided(ctx context.Context, after time.Time, counted func(int64), each func(policy.Past) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan decisionsPage)
	go func() {
		defer close(pages)
		for more := true; more; {
			p := c.wholeDecisions(ctx, after, counted != nil)
			if more = p.err == nil && p.end.More; more && !p.end.Next.After(after) {
				p.err, more = fmt.Errorf("reading the answer of %s: its pages do not come to an end", pathPast), false
			}
			after = p.end.Next
			select {
			case pages <- p:
			case <-ctx.Done():
				return
			}
		}
	}()
	told := counted == nil
	for p := range pages {
		if p.err != nil {
			return p.err
		}
		if !told && p.end.Count != nil {
			counted(*p.end.Count)
		}
		told = true
		for _, one := range p.past {
			if err := each(one); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

type decisionsPage struct {
	past []policy.Past
	end  policy.PastEnd
	err  error
}

// wholeDecisions reads one page, again when it was cut off.
func (c *Client) wholeDecisions(ctx context.Context, after time.Time, count bool) (p decisionsPage) {
	for range maxTries {
		p.past, p.end, p.err = c.decisions(ctx, after, count)
		if !errors.Is(p.err, io.ErrUnexpectedEOF) || ctx.Err() != nil {
			break
		}
	}
	return p
}

const (
	maxTries      = 3    // of a page that was cut off
	pageDecisions = 1000 // of each of the two sorts, so that a page is small
)

// decisions reads one page.
func (c *Client) decisions(ctx context.Context, after time.Time, count bool) (page []policy.Past, end policy.PastEnd, err error) {
	q := url.Values{"limit": {strconv.Itoa(pageDecisions)}}
	if !after.IsZero() {
		q.Set("after", after.UTC().Format(time.RFC3339Nano))
	}
	if count {
		q.Set("count", "true")
	}
	resp, err := c.send(ctx, http.MethodGet, pathPast+"?"+q.Encode(), nil, mediaLines)
	if err != nil {
		return nil, end, err
	}
	defer func() { _ = resp.Body.Close() }()
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != mediaLines || resp.StatusCode != http.StatusOK {
		if err = read(resp, pathPast, &struct{}{}); err == nil {
			err = fmt.Errorf("calling %s: the answer is not in lines", pathPast)
		}
		return nil, end, err
	}
	end, err = trial.ReadPast("the answer of "+pathPast, io.LimitReader(resp.Body, maxPage), func(p policy.Past) error {
		page = append(page, p)
		return nil
	})
	return page, end, err
}

// Inventory lists what stands in a repository, page by page, and calls each with every repository/path.
func (c *Client) Inventory(ctx context.Context, instance, repo string, each func(string) error) error {
	q := url.Values{"repository": {repo}}
	if instance != "" {
		q.Set("instance", instance)
	}
	for {
		var page Inventory
		if err := c.do(ctx, http.MethodGet, pathInventory+"?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		for _, path := range page.Paths {
			if err := each(path); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		if page.Next == q.Get("after") {
			return fmt.Errorf("reading the answer of %s: its pages do not come to an end", pathInventory)
		}
		q.Set("after", page.Next)
	}
}
