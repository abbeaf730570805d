package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

type receiver struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	unknown acquaintance
}

// line collects what the one log line of a request says.
type line struct {
	instance string // as configured, or other
	delivery delivery
	place    place
	detail   string // what the answer says, when it is not the outcome's usual
	err      error
}

func (rc *receiver) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	l := line{instance: other}
	o := rc.receive(w, r, start, &l)
	respond(w, o, l.detail)
	rc.record(r.Context(), l, o, time.Since(start))
}

// refuse answers, counts and logs what is no delivery at all. What the request said is quoted and cut short.
func (rc *receiver) refuse(o outcome) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		respond(w, o, "")
		rc.record(r.Context(), line{instance: other, err: fmt.Errorf("%.16q %.64q is no delivery", r.Method, r.URL.Path)}, o, time.Since(start))
	}
}

// receive is a delivery's way. Nothing of the body is interpreted before step 3 has passed.
func (rc *receiver) receive(w http.ResponseWriter, r *http.Request, now time.Time, l *line) outcome {
	// 1: which instance
	name := chi.URLParam(r, "instance")
	instance, ok := rc.cfg.Instances[name]
	if !ok {
		l.err = fmt.Errorf("instance %.64q is not configured", name)
		return unknownInstance
	}
	l.instance = name

	// 2: the raw bytes, bounded
	body, err := readBody(w, r, rc.cfg.MaxBody)
	if err != nil {
		l.err = err
		if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
			return tooLarge
		}
		return incomplete
	}

	// 3: who sent it
	if !instance.authentic(r.Header, body) {
		rc.metrics.authFailures.WithLabelValues(name).Inc()
		return unauthenticated
	}

	// 4: what it says
	l.delivery, err = open(body)
	if err != nil {
		l.err = err
		return malformed
	}
	t, ok := domains[l.delivery.Domain].types[l.delivery.Type]
	if !ok {
		return unknownEvent
	}
	if t.read != nil {
		h, err := t.read(l.delivery.Data)
		if err != nil {
			l.err = err
		} else {
			l.place = h.place()
		}
	}
	switch {
	case t.ignored != "":
		l.detail = t.ignored
		return notForUs // also when it could not be read: nothing depends on it
	case l.err != nil:
		return malformed
	}

	// 5: is it for us
	ref, err := artifact.NewRef(name, l.place.Repo, l.place.Path)
	if err != nil {
		l.err = err
		return refusedPath
	}
	if l.place.Attachment || seal.IsAttachment(ref.Name()) {
		return ownAttachment
	}
	repo, path := ref.Repo, ref.Path
	if l.place.Parts {
		repo, path = "", "" // where the parts are, nobody knows yet
	}
	if !rc.deps.Covers(name, repo, path, l.delivery.Domain+"/"+l.delivery.Type) {
		return notCovered
	}

	// 6: make it durable. A sender that hangs up now has still told us.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rc.cfg.AcceptTimeout)
	defer cancel()
	err = rc.deps.Accept(ctx, ledger.Event{
		Instance:   name,
		Domain:     l.delivery.Domain,
		Type:       l.delivery.Type,
		Repo:       ref.Repo,
		Path:       ref.Path,
		SHA256:     l.place.SHA256,
		Lane:       t.lane,
		Key:        idempotencyKey(l.delivery.Domain, l.delivery.Type, ref, l.place.SHA256),
		ReceivedAt: now.UTC(),
	})
	if err != nil {
		l.err = err
		return unavailable
	}
	return accepted
}

// readBody reads the whole body or fails with *http.MaxBytesError; an announced length over the limit is not read at
// all.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, 64<<10)) + bytes.MinRead)
	}
	if _, err := io.Copy(&b, http.MaxBytesReader(w, r.Body, limit)); err != nil {
		return nil, fmt.Errorf("reading body: %w", err)
	}
	return b.Bytes(), nil
}

// record counts the delivery and writes its one line. What an unauthenticated sender wrote stays out of the log.
func (rc *receiver) record(ctx context.Context, l line, o outcome, took time.Duration) {
	domain, typ := labels(l.delivery.Domain, l.delivery.Type)
	rc.metrics.events.WithLabelValues(l.instance, domain, typ, string(o)).Inc()
	rc.metrics.seconds.Observe(took.Seconds())

	level := slog.LevelInfo
	switch {
	case o == unknownEvent && rc.unknown.first(l.delivery.Domain, l.delivery.Type):
		level = slog.LevelWarn
	case o == unknownEvent:
		level = slog.LevelDebug // told once; the counter goes on
	case o == unavailable:
		level = slog.LevelError
	case o == refusedPath, answers[o].status >= http.StatusBadRequest:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("instance", l.instance),
		slog.String("domain", short(l.delivery.Domain)),
		slog.String("type", short(l.delivery.Type)),
		slog.String("repo", short(l.place.Repo)),
		slog.String("path", short(l.place.Path)),
		slog.String("subscription", short(l.delivery.Subscription)),
		slog.String("outcome", string(o)),
		slog.Int("status", answers[o].status),
		slog.Duration("took", took),
	}
	if l.err != nil {
		attrs = append(attrs, slog.String("err", short(l.err.Error())))
	}
	rc.deps.Log.LogAttrs(ctx, level, "webhook", attrs...)
}

// short bounds what one sender can put into one log line.
func short(s string) string {
	const limit = 1024 // the longest path Artifactory can hold
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
