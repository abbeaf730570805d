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

// Explain tells which policy applies to repository/path, and why not the others.
func (c *Client) Explain(ctx context.Context, instance, ref, event string) (policy.Explanation, error) {
	var e policy.Explanation
	err := c.do(ctx, http.MethodGet, pathExplain+"?"+refQuery(instance, ref, event), nil, &e)
	return e, err
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
