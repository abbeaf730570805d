package artifactory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/jfrog/jfrog-client-go/http/httpclient"
	"github.com/jfrog/jfrog-client-go/utils/io/httputils"
)

// errNetwork marks failures below HTTP: no connection, a reset, silence, a body that ended early.
var errNetwork = errors.New("connection to Artifactory failed")

// errStalled is the cause of a request that was given up because nothing arrived for the configured time.
var errStalled = errors.New("nothing arrived for too long")

// maxAnswer bounds an answer of the REST interface. File information is under 2 KiB.
const maxAnswer = 4 << 20

// request is one call. It may be repeated unless it is single: then its caller finds out what became of it.
type request struct {
	call    callName
	method  string
	url     string
	body    []byte
	headers map[string]string
	secrets []string // in the body; taken out of what the server says of it
	single  bool     // sent once, because doing it twice is something else
}

// attempts is the memory of one call across its repetitions; the transport finds it in the request's context.
type attempts struct {
	call     callName
	made     int           // requests sent, redirects not counted
	asked    time.Duration // the last answer's Retry-After
	status   int           // the last answer's status; 0 when there was none
	download bool          // may be redirected to another host
	final    error         // do not try again: answer this
}

type attemptsKey struct{}

// do sends r, repeating it as configured, and hands a successful answer to consume. A body that breaks off in consume
// counts as a failed attempt, so consume must be able to start anew. Errors are *StatusError, errNetwork (wrapped),
// the context's error, or consume's own.
func (c *Client) do(ctx context.Context, r request, consume func(*http.Response) error) error {
	a := &attempts{call: r.call, download: r.call == callPull || r.call == callRead || r.call == callBlob}
	actx := context.WithValue(ctx, attemptsKey{}, a)
	details := httputils.HttpClientDetails{Headers: r.headers}
	details.AddPreRetryInterceptor(func() bool { return c.wire.worthwhile(ctx, a) })
	fresh := false
	for {
		details.AccessToken = *c.token.Load()
		err := c.once(actx, r, details, a, consume)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		case isStatus(err, http.StatusUnauthorized) && !fresh && c.renewToken(ctx):
			fresh = true
		case errors.Is(err, errBody) && a.final == nil && !r.single && a.made <= c.retries:
			c.log.WarnContext(ctx, "answer broke off; asking again",
				slog.String("call", r.call.String()), slog.Int("attempt", a.made), slog.Any("error", err))
		default:
			return err
		}
	}
}

// errBody marks a body that broke off; it is an errNetwork.
var errBody = fmt.Errorf("%w: answer broke off", errNetwork)

// once is one run of the library's retry loop: up to the configured number of requests, until an answer's head is here.
func (c *Client) once(ctx context.Context, r request, details httputils.HttpClientDetails, a *attempts, consume func(*http.Response) error) error {
	retries := max(0, c.retries-a.made)
	if r.single {
		retries = 0
	}
	lib, err := httpclient.ClientBuilder().SetContext(ctx).SetHttpClient(c.http).SetRetries(retries).Build()
	if err != nil {
		return err
	}
	// The body is left open: the library would read an answer of any size and ignore that it broke off.
	resp, _, _, err := lib.Send(r.method, r.url, r.body, true, false, details, "")
	if a.final != nil {
		return fmt.Errorf("%s request: %w", r.method, a.final)
	}
	if resp == nil {
		return networkError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		// err only says that the retries are used up.
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // held in memory by the transport
		return &StatusError{Status: resp.StatusCode, Message: message(text, append(r.secrets, details.AccessToken)...), RetryAfter: a.asked}
	}
	if err != nil {
		return networkError(err)
	}
	return consume(resp)
}

// networkError takes the URL out of what net/http reports: a redirect's URL can carry a signature.
func networkError(err error) error {
	if st, ok := errors.AsType[*StatusError](err); ok {
		return st // the transport's own answer: the server asked for a pause
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return fmt.Errorf("%w: %w", errNetwork, err)
}

// renewToken reads the token file again after the server rejected the token; true when it holds another one.
func (c *Client) renewToken(ctx context.Context) bool {
	raw, err := c.tokenFile.Read()
	if err != nil {
		c.log.WarnContext(ctx, "access token was rejected and its file cannot be read", slog.Any("error", err))
		return false
	}
	old, now := c.token.Load(), string(raw)
	if *old == now {
		return false
	}
	c.token.CompareAndSwap(old, &now)
	c.log.InfoContext(ctx, "access token was rejected; its file holds a new one")
	return true
}

// discard accepts any successful answer and reads it to its end, so that the connection can serve again.
func discard(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return bodyError(err)
}

// readAll returns a whole answer of at most limit bytes.
func readAll(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, resp.ContentLength, limit)
	}
	var buf bytes.Buffer
	if resp.ContentLength > 0 {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return nil, bodyError(err)
	}
	if int64(buf.Len()) > limit {
		return nil, fmt.Errorf("%w: the limit is %d bytes", ErrTooLarge, limit)
	}
	return buf.Bytes(), nil
}

func bodyError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errBody, err)
}
