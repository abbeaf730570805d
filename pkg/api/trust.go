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

// How old what is served may be: clients keep a file for trustAge, and here it is made anew after trustFresh. When it cannot
// be, the last one is served until it is trustAge old.
const (
	trustAge     = 5 * time.Minute
	trustFresh   = 10 * time.Second
	trustTimeout = 5 * time.Second
)

// trustFiles serves what verifiers must believe. Anybody may read it: without a token, from any cache between, as often as
// they like; it asks its source rarely, and once at a time.
type trustFiles struct {
	source func(ctx context.Context) ([]trust.File, error)
	log    *slog.Logger
	now    func() time.Time

	mu    sync.Mutex
	files map[string]servedFile // nil: none, because of err
	err   error
	made  time.Time // files
	tried time.Time
}

type servedFile struct {
	trust.File
	etag string
}

// get returns the files as they are now, or were not long ago.
func (t *trustFiles) get(ctx context.Context) (map[string]servedFile, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := t.now().Sub(t.tried); !t.tried.IsZero() && age >= 0 && age < trustFresh {
		return t.files, t.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trustTimeout) // others wait for the answer, too
	defer cancel()
	files, err := t.source(ctx)
	t.tried = t.now()
	if err == nil {
		t.files, t.err, t.made = make(map[string]servedFile, len(files)), nil, t.tried
		for _, f := range files {
			sum := sha256.Sum256(f.Content)
			t.files[f.Name] = servedFile{f, `"` + hex.EncodeToString(sum[:]) + `"`}
		}
		return t.files, nil
	}
	if age := t.tried.Sub(t.made); t.files != nil && age >= 0 && age < trustAge {
		t.log.WarnContext(ctx, "what verifiers must believe cannot be told anew; it is served as it was", slog.Duration("age", age), slog.String("err", err.Error()))
		return t.files, nil
	}
	t.files, t.err = nil, fmt.Errorf("%w: %w", errTryAgain, err)
	return nil, t.err
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
	all, err := files.get(r.Context())
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
