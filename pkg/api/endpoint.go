package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Bounds of a request's body in bytes. Most requests name at most two artifacts, a promotion many.
const (
	maxBody      = 16 << 10
	maxPromotion = 1 << 20
)

// errTryAgain marks a failure that may be over at the next try.
var errTryAgain = errors.New("not possible now")

// call is one authenticated request: what its endpoint reads, and what its log line says.
type call struct {
	*http.Request
	w      http.ResponseWriter // for the body's limit; only serve answers
	caller string
	log    []slog.Attr
	stream *stream // of progress, before the answer; nil for none
}

func (c *call) note(attrs ...slog.Attr) { c.log = append(c.log, attrs...) }

// endpoint answers a call with a body for 2xx, or an error for problemOf.
type endpoint func(c *call) (any, error)

// serve authenticates, runs the endpoint, answers, counts, and writes the request's one line.
func (s *server) serve(route string, role Role, do endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		c := &call{Request: r, w: w}
		body, err := s.answer(c, role, do)
		status := http.StatusOK // for a stream that has begun it stands in its last line
		if err != nil {
			p := problemOf(err)
			status, body = p.Status, p
		}
		c.respond(body)

		took := time.Since(start)
		s.metrics.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
		s.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
		level := slog.LevelInfo
		switch {
		case status >= http.StatusInternalServerError:
			level = slog.LevelError
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			level = slog.LevelWarn
		}
		c.note(slog.String("route", route), slog.String("caller", c.caller), slog.Int("status", status), slog.Duration("took", took))
		if err != nil {
			c.note(slog.String("err", err.Error()))
		}
		s.deps.Log.LogAttrs(r.Context(), level, "api", c.log...)
	}
}

func (s *server) answer(c *call, role Role, do endpoint) (any, error) {
	who, err := s.callers.identify(c.Header)
	if err != nil {
		return nil, err
	}
	c.caller = who.name
	if !who.may(role) {
		return nil, problem(http.StatusForbidden, "the token of %s lacks the role %s", who.name, role)
	}
	return do(c)
}

// body decodes the request's JSON strictly: one object, known fields only, each once and of the right type.
func (c *call) body(into any) error { return c.bodyOf(into, maxBody) }

func (c *call) bodyOf(into any, most int64) error {
	content, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, most))
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
		return problem(http.StatusRequestEntityTooLarge, "the body is over %d bytes", most)
	}
	if err != nil {
		return problem(http.StatusBadRequest, "the body did not arrive whole")
	}
	if err := unique(content); err != nil {
		return problem(http.StatusBadRequest, "the body can be read in two ways: %v", err)
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return problem(http.StatusBadRequest, "the body is not the JSON object that this route takes: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return problem(http.StatusBadRequest, "something follows the JSON object")
	}
	return nil
}

// query reads the parameters strictly. net/url's own Query drops what it cannot parse, a ';' in a path among it.
func (c *call) query(known ...string) (url.Values, error) {
	q, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "the query cannot be read; percent-encode the path: %v", err)
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, problem(http.StatusBadRequest, "the query parameter %.64q is not known; this route takes %s", name, strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, problem(http.StatusBadRequest, "the query parameter %s stands there twice", name)
		}
	}
	return q, nil
}

// nameTimeout bounds looking up what a name means; the gate's own time comes on top.
const nameTimeout = time.Second

// ref reads repository/path as callers write it, or repository/image:tag and repository/image@sha256:digest. The instance
// may be left out when there is only one.
func (s *server) ref(c *call, name, instance, text string) (artifact.Ref, error) {
	instance, err := s.instance(instance)
	if err != nil {
		return artifact.Ref{}, err
	}
	if text == "" {
		return artifact.Ref{}, problem(http.StatusBadRequest, "%s is missing; it is repository/path", name)
	}
	ref, err := artifact.ParseRef(instance, text)
	if err != nil {
		return artifact.Ref{}, refusedPath(name, err)
	}
	ctx, cancel := context.WithTimeout(c.Context(), nameTimeout)
	defer cancel()
	if ref, err = s.deps.Name(ctx, ref); err != nil {
		return artifact.Ref{}, fmt.Errorf("%w: %w", errTryAgain, err)
	}
	c.note(slog.String("instance", instance), slog.String("repo", ref.Repo), slog.String("path", ref.Path))
	return ref, nil
}

func (s *server) instance(name string) (string, error) {
	switch {
	case name == "" && len(s.cfg.Instances) == 1:
		return s.cfg.Instances[0], nil
	case name == "":
		return "", problem(http.StatusBadRequest, "instance is missing; choose from %s", strings.Join(s.cfg.Instances, ", "))
	case !slices.Contains(s.cfg.Instances, name):
		return "", problem(http.StatusBadRequest, "the instance %.64q is not configured; choose from %s", name, strings.Join(s.cfg.Instances, ", "))
	}
	return name, nil
}

func refusedPath(name string, err error) *Problem {
	p := problem(http.StatusBadRequest, "%s cannot be used: %v", name, err)
	p.Reasons = []reason.Reason{{
		Code: reason.PathRefused, Message: reason.Codes[reason.PathRefused], Found: err.Error(), Expected: "repository/path/to/file",
	}}
	return p
}
