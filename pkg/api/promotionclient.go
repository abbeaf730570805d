package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// Promote checks, and when confirmed performs, a promotion. Its time is bounded by promotion.Timeout. Meanwhile told, if
// not nil, is called with what is new. After an error that is no *Problem a confirmed promotion may be going on.
func (c *Client) Promote(ctx context.Context, req PromotionRequest, told func(promotion.Progress)) (promotion.Report, error) {
	resp, err := c.send(ctx, http.MethodPost, pathPromote, req, mediaLines)
	if err != nil {
		return promotion.Report{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media == mediaLines && resp.StatusCode == http.StatusOK {
		return readLines(resp.Body, told)
	}
	var r promotion.Report
	err = read(resp, pathPromote, &r)
	return r, err
}

// readLines reads an answer in lines to its end.
func readLines(body io.Reader, told func(promotion.Progress)) (promotion.Report, error) {
	d := json.NewDecoder(io.LimitReader(body, maxAnswer))
	for {
		var line PromotionLine
		err := d.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return promotion.Report{}, fmt.Errorf("reading the answer of %s: it ends before the promotion: %w", pathPromote, io.ErrUnexpectedEOF)
		case err != nil:
			return promotion.Report{}, fmt.Errorf("reading the answer of %s: %w", pathPromote, err)
		case line.Problem != nil && line.Problem.Status/100 < 4:
			return promotion.Report{}, fmt.Errorf("reading the answer of %s: a broken problem detail", pathPromote)
		case line.Problem != nil:
			return promotion.Report{}, line.Problem
		case line.Report != nil:
			return *line.Report, nil
		case line.Progress != nil && told != nil:
			told(*line.Progress)
		}
	}
}

// Promotions lists the newest records, newest first; limit 0 is the service's own.
func (c *Client) Promotions(ctx context.Context, instance string, limit int) ([]PromotionSummary, error) {
	q := url.Values{}
	if instance != "" {
		q.Set("instance", instance)
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	var p Promotions
	err := c.do(ctx, http.MethodGet, pathPromote+"?"+q.Encode(), nil, &p)
	return p.Promotions, err
}

// Promotion reads the record of one.
func (c *Client) Promotion(ctx context.Context, id int64) (Promotion, error) {
	var p Promotion
	err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s/%d", pathPromote, id), nil, &p)
	return p, err
}
