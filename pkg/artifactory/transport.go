package artifactory

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// maxErrorBody is how much of an error's body is kept.
const maxErrorBody = 16 << 10

// transport is the http.RoundTripper below the library. See the package comment for what it adds.
type transport struct {
	next    http.RoundTripper
	base    *url.URL
	timeout time.Duration
	slots   chan struct{} // one element for each request under way, from its start to its body's end
	resume  atomic.Int64  // Unix nanoseconds before which no request is sent, because the server asked so
	clock   clock
	metrics *metrics
	log     *slog.Logger
}

func newTransport(cfg Config, base *url.URL, m *metrics, log *slog.Logger) (*transport, error) {
	next := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 20 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          cfg.MaxConcurrent,
		MaxIdleConnsPerHost:   cfg.MaxConcurrent,
		DisableCompression:    true, // the bytes of an artifact must arrive as they are stored
	}
	if cfg.CA != "" {
		pool, err := authorities(cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("reading ca: %w", err)
		}
		next.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &transport{next: next, base: base, timeout: cfg.Timeout, slots: make(chan struct{}, cfg.MaxConcurrent), metrics: m, log: log}, nil
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}

// RoundTrip implements http.RoundTripper. An answer with an error status comes back with its body already in memory,
// because the library's retry loop does not close the bodies it skips.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	a, _ := ctx.Value(attemptsKey{}).(*attempts)
	if a == nil {
		a = &attempts{}
	}
	if req.Response == nil { // not a redirect's continuation
		if err := t.ready(ctx, a); err != nil {
			closeBody(req)
			return nil, err
		}
		a.made++
		a.asked, a.status = 0, 0
	}
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		closeBody(req)
		return nil, context.Cause(ctx)
	}
	x := &exchange{t: t, call: a.call, start: time.Now()}
	var xctx context.Context
	xctx, x.cancel = context.WithCancelCause(ctx)
	x.ctx = xctx
	x.timer = time.AfterFunc(t.timeout, func() { x.cancel(errStalled) })

	out := req.WithContext(xctx)
	out.Close = false // the library asks for a new connection for each request
	if !t.home(out.URL) {
		out.Header = out.Header.Clone()
		out.Header.Del("Authorization")
		out.Header.Del("X-JFrog-Art-Api")
	}
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		err = x.cause(err)
		x.end(0)
		if tlsErr, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			a.final = tlsErr
		}
		return nil, err
	}
	x.timer.Stop()
	x.status = resp.StatusCode
	if t.home(out.URL) {
		t.clock.note(resp.Header)
	}
	a.status = resp.StatusCode
	resp.Body = &body{ReadCloser: resp.Body, x: x}
	if resp.StatusCode >= 400 {
		t.note(resp, a)
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(text))
	}
	return resp, nil
}

// home reports whether a URL has the configured scheme and host, port included.
func (t *transport) home(u *url.URL) bool { return u.Scheme == t.base.Scheme && u.Host == t.base.Host }

// checkRedirect allows what cloud set-ups of Artifactory need: a download may move to an object store, but not from
// https to http; anything else that is read may move on the same host; what writes may not move at all.
func (t *transport) checkRedirect(req *http.Request, via []*http.Request) error {
	a, _ := req.Context().Value(attemptsKey{}).(*attempts)
	refuse := func(why string) error {
		err := errors.New("redirect refused: " + why)
		if a != nil {
			a.final = err
		}
		return err
	}
	switch {
	case len(via) >= 5:
		return refuse("more than 5 in a row")
	case via[0].Method != http.MethodGet && via[0].Method != http.MethodHead:
		return refuse("only reading calls may be redirected")
	case t.base.Scheme == "https" && req.URL.Scheme != "https":
		return refuse("it leads from https to " + req.URL.Scheme)
	case !t.home(req.URL) && (a == nil || !a.download):
		return refuse("it leads to another host")
	}
	return nil
}

// exchange is one HTTP request and its answer, up to the end of the body.
type exchange struct {
	t      *transport
	call   callName
	start  time.Time
	ctx    context.Context // the request's own
	cancel context.CancelCauseFunc
	timer  *time.Timer
	status int
	ended  atomic.Bool
}

// end frees what the exchange holds; the second call does nothing.
func (x *exchange) end(status int) {
	if x.ended.Swap(true) {
		return
	}
	x.timer.Stop()
	x.cancel(nil)
	<-x.t.slots
	x.t.metrics.observe(x.call, status, time.Since(x.start))
}

// cause names silence as the reason when it was that.
func (x *exchange) cause(err error) error {
	if c := context.Cause(x.ctx); errors.Is(c, errStalled) {
		return fmt.Errorf("%w (%s)", errStalled, x.t.timeout)
	}
	return err
}

// body watches for silence while it is being read and ends the exchange with its last byte.
type body struct {
	io.ReadCloser
	x *exchange
}

func (b *body) Read(p []byte) (int, error) {
	if !b.x.ended.Load() {
		b.x.timer.Reset(b.x.t.timeout)
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
		b.x.timer.Stop()
	case errors.Is(err, io.EOF):
		b.x.end(b.x.status)
	default:
		err = b.x.cause(err)
		b.x.end(0)
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.x.end(b.x.status)
	return err
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
