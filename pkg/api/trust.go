package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// How old what is served may be: clients keep a file for trustAge, counted from when it was known to be so, and here it is
// looked at anew after trustFresh. When it cannot be, the last one is served until it is trustAge old. Who wants no older
// answer than now (Cache-Control: no-cache) gets none.
const (
	trustAge     = 5 * time.Minute
	trustFresh   = 10 * time.Second
	trustTimeout = 5 * time.Second
)

// trustFiles serves what verifiers must believe. Anybody may read it: without a token, from any cache between, as often as
// they like; it asks its source rarely, only when the version is another, and once at a time.
type trustFiles struct {
	source  func(ctx context.Context) ([]trust.File, error)
	version func(ctx context.Context) (string, error)
	log     *slog.Logger
	now     func() time.Time

	mu    sync.Mutex
	files map[string]servedFile // nil: none, because of err
	of    string                // version
	err   error                 // of the last try
	known time.Time             // when that was the version
	tried time.Time
}

type servedFile struct {
	trust.File
	etag string
}

// get returns the files, and how old they are: as they are now, if that is what is wanted, or were not long ago.
func (t *trustFiles) get(ctx context.Context, fresh bool) (map[string]servedFile, time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := t.now().Sub(t.tried); t.tried.IsZero() || age < 0 || age >= trustFresh || fresh && t.err == nil {
		t.err = t.renew(context.WithoutCancel(ctx)) // others wait for the answer, too
		t.tried = t.now()
		if t.err == nil {
			t.known = t.tried
		}
	}
	age := t.now().Sub(t.known)
	switch {
	case t.err != nil && (fresh || t.files == nil || age < 0 || age >= trustAge):
		return nil, 0, fmt.Errorf("%w: %w", errTryAgain, t.err)
	case t.err != nil:
		t.log.WarnContext(ctx, "what verifiers must believe cannot be told anew; it is served as it was", slog.Duration("age", age), slog.String("err", t.err.Error()))
	}
	return t.files, max(age, 0), nil
}

// renew reads the files when they may have changed.
func (t *trustFiles) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trustTimeout)
	defer cancel()
	version, err := t.version(ctx)
	if err != nil || t.files != nil && version == t.of {
		return err
	}
	files, err := t.source(ctx)
	if err != nil {
		return err
	}
	t.files, t.of = make(map[string]servedFile, len(files)), version
	for _, f := range files {
		sum := sha256.Sum256(f.Content)
		t.files[f.Name] = servedFile{f, `"` + hex.EncodeToString(sum[:]) + `"`}
	}
	return nil
}

// trust answers GET and HEAD of one file, with what caches need: a strong validator, and how long it may be kept.
func (s *server) trust(files *trustFiles) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		status, err := s.trustFile(files, w, r)
		took := time.Since(start)
		s.metrics.requests.WithLabelValues(pathTrust, strconv.Itoa(status)).Inc()
		s.metrics.seconds.WithLabelValues(pathTrust).Observe(took.Seconds())
		level, attrs := slog.LevelInfo, []slog.Attr{slog.String("route", pathTrust), slog.String("caller", ""), slog.Int("status", status), slog.Duration("took", took)}
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		if err != nil {
			attrs = append(attrs, slog.String("err", fmt.Sprintf("%.64q: %s", r.URL.Path, err.Error())))
		}
		s.deps.Log.LogAttrs(r.Context(), level, "api", attrs...)
	}
}

func (s *server) trustFile(files *trustFiles, w http.ResponseWriter, r *http.Request) (int, error) {
	refuse := func(err error) (int, error) {
		p := problemOf(err)
		respond(w, p)
		return p.Status, err
	}
	all, age, err := files.get(r.Context(), strings.Contains(r.Header.Get("Cache-Control"), "no-cache"))
	if err != nil {
		return refuse(err)
	}
	f, ok := all[chi.URLParam(r, "*")]
	if !ok {
		return refuse(problem(http.StatusNotFound, "there is no such file; %s lists the keys", strings.TrimSuffix(pathTrust, "*")+trust.TrustFile))
	}
	h := w.Header()
	setHeader(h, f.MediaType)
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(trustAge.Seconds())))
	h.Set("Age", strconv.Itoa(int(age.Seconds())))
	h.Set("ETag", f.etag)
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	http.ServeContent(seen, r, "", time.Time{}, bytes.NewReader(f.Content))
	return seen.status, nil
}

// statusWriter remembers the status that http.ServeContent chose.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
