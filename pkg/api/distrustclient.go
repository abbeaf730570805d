package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Distrust says that a key's signatures do not count from a moment on, or that they count again. When it returns nil every
// replica judges by it.
func (c *Client) Distrust(ctx context.Context, req DistrustRequest) (Distrust, error) {
	var d Distrust
	err := c.do(ctx, http.MethodPost, pathDistrust, req, &d)
	return d, err
}

// Distrusts tells which keys are distrusted, and what was ever said about any.
func (c *Client) Distrusts(ctx context.Context) (Distrusts, error) {
	var d Distrusts
	err := c.do(ctx, http.MethodGet, pathDistrust, nil, &d)
	return d, err
}

// Affected lists what a key has signed since a moment, page by page; told, if not nil, is called with how many were read of
// how many there are.
func (c *Client) Affected(ctx context.Context, key string, since time.Time, told func(read, total int64)) ([]AffectedItem, error) {
	q := url.Values{"key": {key}, "since": {since.UTC().Format(time.RFC3339Nano)}}
	all, total := []AffectedItem{}, int64(0)
	for {
		var page Affected
		if err := c.do(ctx, http.MethodGet, pathAffected+"?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Affected...)
		if page.Total != nil {
			total = *page.Total
		}
		if told != nil {
			told(int64(len(all)), total)
		}
		if !page.More {
			return all, nil
		}
		if page.Next <= q.Get("after") {
			return nil, fmt.Errorf("reading the answer of %s: its pages do not come to an end", pathAffected)
		}
		q.Set("after", page.Next)
	}
}
