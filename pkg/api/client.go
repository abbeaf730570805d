package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// maxAnswer bounds what a client reads of an answer, in bytes.
const maxAnswer = 64 << 20

// maxPage bounds a page of decisions, which are larger with reasons and facts.
const maxPage = 512 << 20

// Client calls the API. A refusal comes back as *Problem. Safe for concurrent use; deadlines come from the context.
type Client struct {
	URL   string // of the service, without /v1
	Token string // the bearer token itself
	HTTP  *http.Client
}

// Gate asks for a verdict. Whoever gates must take an error for a no.
func (c *Client) Gate(ctx context.Context, req GateRequest) (gate.Verdict, error) {
	var v gate.Verdict
	if err := c.do(ctx, http.MethodPost, pathGate, req, &v); err != nil {
		return gate.Verdict{}, err
	}
	return v, nil
}

// Sign asks for an artifact to be signed; nil means that the wish is durable.
func (c *Client) Sign(ctx context.Context, req SignRequest) error {
	var a SignAnswer
	if err := c.do(ctx, http.MethodPost, pathSign, req, &a); err != nil {
		return err
	}
	if !a.Accepted {
		return errors.New("calling " + pathSign + ": the answer does not say that the request was accepted")
	}
	return nil
}

// Status tells what is known of repository/path.
func (c *Client) Status(ctx context.Context, instance, ref string) (Status, error) {
	var s Status
	err := c.do(ctx, http.MethodGet, pathStatus+"?"+refQuery(instance, ref, ""), nil, &s)
	return s, err
}

// Why tells what was decided last about repository/path, and at the gate of a target unless it is "", by a moment; the
// zero time is now.
func (c *Client) Why(ctx context.Context, instance, ref, target string, asOf time.Time) (Why, error) {
	q := url.Values{"ref": {ref}}
	if instance != "" {
		q.Set("instance", instance)
	}
	if target != "" {
		q.Set("target", target)
	}
	if !asOf.IsZero() {
		q.Set("asOf", asOf.UTC().Format(time.RFC3339Nano))
	}
	var w Why
	err := c.do(ctx, http.MethodGet, pathWhy+"?"+q.Encode(), nil, &w)
	return w, err
}

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

// Explain tells which policy applies to repository/path, and why not the others.
func (c *Client) Explain(ctx context.Context, instance, ref, event string) (policy.Explanation, error) {
	var e policy.Explanation
	err := c.do(ctx, http.MethodGet, pathExplain+"?"+refQuery(instance, ref, event), nil, &e)
	return e, err
}

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

// Sweep orders a comparison of a repository with the ledger; nil means that the order is durable.
func (c *Client) Sweep(ctx context.Context, req SweepRequest) (Sweep, error) {
	var s Sweep
	err := c.do(ctx, http.MethodPost, pathSweeps, req, &s)
	return s, err
}

// SweepStatus tells how far a sweep has come and what it found.
func (c *Client) SweepStatus(ctx context.Context, id int64) (Sweep, error) {
	var s Sweep
	err := c.do(ctx, http.MethodGet, pathSweeps+"?id="+strconv.FormatInt(id, 10), nil, &s)
	return s, err
}

// Sweeps lists the newest sweep of every kind and place.
func (c *Client) Sweeps(ctx context.Context) ([]Sweep, error) {
	var s Sweeps
	err := c.do(ctx, http.MethodGet, pathSweeps, nil, &s)
	return s.Sweeps, err
}

func refQuery(instance, ref, event string) string {
	q := url.Values{"ref": {ref}}
	if instance != "" {
		q.Set("instance", instance)
	}
	if event != "" {
		q.Set("event", event)
	}
	return q.Encode()
}

// do sends one request and reads one answer.
func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return read(resp, path, into)
}

// send sends one request that accepts the given media types, too. The caller closes the answer's body.
func (c *Client) send(ctx context.Context, method, path string, body any, media ...string) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("calling %s: %w", path, err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+path, content)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", strings.Join(append(media, "application/json", "application/problem+json"), ", "))
	doer := c.HTTP
	if doer == nil {
		doer = http.DefaultClient
	}
	resp, err := doer.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", path, err)
	}
	return resp, nil
}

// read reads one answer. One that is neither the expected JSON nor a problem is an error.
func read(resp *http.Response, path string, into any) error {
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case media == "application/problem+json":
		p := &Problem{}
		if err := json.Unmarshal(answer, p); err != nil || p.Status != resp.StatusCode {
			return fmt.Errorf("calling %s: HTTP %d with a broken problem detail", path, resp.StatusCode)
		}
		return p
	case resp.StatusCode/100 != 2 || media != "application/json":
		return fmt.Errorf("calling %s: HTTP %d, %q: this is not Hallmark's API; check the URL", path, resp.StatusCode, media)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", path, err)
	}
	return nil
}
