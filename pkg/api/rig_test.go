package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// The tokens of the tests, by what they may do.
const (
	tokenGate   = "gate-token-51b0"
	tokenSign   = "sign-token-99ce"
	tokenStatus = "status-token-07aa"
	tokenPromo  = "promo-token-7d1e"
	tokenAll    = "all-token-c41d"
)

// rig is an API whose answers the test sets.
type rig struct {
	distrusted []ledger.Distrust
	affected   [][]ledger.Affected

	handler http.Handler
	reg     *prometheus.Registry
	log     *lines

	mu        sync.Mutex
	asked     []gate.Request
	wished    []artifact.Ref
	looked    []artifact.Ref
	events    []string
	err       error // of Sign and Status
	verdict   gate.Verdict
	known     ledger.Status
	explained policy.Explanation
	promoted  []promotion.Request
	report    promotion.Report
	record    ledger.Promotion
	records   []ledger.PromotionSummary
	limits    []string
	during    func(promotion.Request) // runs while a promotion is under way
	ordered   []SweepRequest
	runs      []ledger.Sweep
	found     []ledger.Finding
	why       Why
	decided   ledger.Decisions
	moments   []time.Time
	pages     []InventoryPage
}

func newRig(t testing.TB, instances ...string) *rig {
	t.Helper()
	if len(instances) == 0 {
		instances = []string{"main"}
	}
	r := &rig{reg: prometheus.NewRegistry(), log: &lines{}}
	var err error
	r.handler, err = New(Config{Instances: instances, Tokens: tokens()}, r.deps())
	require.NoError(t, err)
	return r
}

func tokens() []Token {
	return []Token{
		{Name: "promoter", SHA256: hash(tokenGate), Roles: []Role{RoleGate}},
		{Name: "ci", SHA256: hash(tokenSign), Roles: []Role{RoleSign}},
		{Name: "dashboard", SHA256: hash(tokenStatus), Roles: []Role{RoleStatus}},
		{Name: "releaser", SHA256: hash(tokenPromo), Roles: []Role{RolePromote}},
		{Name: "admin", SHA256: hash(tokenAll), Roles: []Role{RoleGate, RoleSign, RoleStatus, RoleSweep, RoleAdmin}},
	}
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func (r *rig) deps() Deps {
	return Deps{
		Gate: func(_ context.Context, req gate.Request) gate.Verdict {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.asked = append(r.asked, req)
			return r.verdict
		},
		Name: func(_ context.Context, ref artifact.Ref) (artifact.Ref, error) {
			if n, ok := artifact.ParseImage(ref); ok && n.Tag == "down" {
				return artifact.Ref{}, errors.New("no answer")
			} else if ok {
				return n.Files()[0], nil
			}
			return ref, nil
		},
		Sign: func(_ context.Context, ref artifact.Ref, caller string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.wished, r.events = append(r.wished, ref), append(r.events, caller)
			return r.err
		},
		Status: func(_ context.Context, ref artifact.Ref) (ledger.Status, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.looked = append(r.looked, ref)
			return r.known, r.err
		},
		Explain: func(ref artifact.Ref, event string) policy.Explanation {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.looked, r.events = append(r.looked, ref), append(r.events, event)
			return r.explained
		},
		Promote: func(_ context.Context, req promotion.Request) (promotion.Report, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.during != nil {
				r.during(req)
				req.Progress = nil // functions cannot be compared
			}
			r.promoted = append(r.promoted, req)
			return r.report, r.err
		},
		Promotion: func(context.Context, int64) (ledger.Promotion, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.record, r.err
		},
		Promotions: func(_ context.Context, instance string, limit int) ([]ledger.PromotionSummary, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.limits = append(r.limits, fmt.Sprint(instance, " ", limit))
			return r.records, r.err
		},
		Sweep: func(_ context.Context, req SweepRequest, caller string) (ledger.Sweep, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ordered, r.events = append(r.ordered, req), append(r.events, caller)
			return ledger.Sweep{ID: 7, Instance: req.Instance, Repo: req.Repository, Kind: "manual", State: ledger.SweepWaiting}, r.err
		},
		Sweeps:   func(context.Context) ([]ledger.Sweep, error) { return r.runs, r.err },
		Findings: func(context.Context, int64, int) ([]ledger.Finding, error) { return r.found, r.err },
		Why: func(_ context.Context, ref, target artifact.Ref, asOf time.Time) (Why, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.looked, r.moments = append(r.looked, ref, target), append(r.moments, asOf)
			return r.why, r.err
		},
		Decided: func(_ context.Context, after time.Time, limit int) (ledger.Decisions, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.moments, r.limits = append(r.moments, after), append(r.limits, fmt.Sprint(limit))
			return r.decided, r.err
		},
		Inventory: func(_ context.Context, instance, repo string, at time.Time, path string) (InventoryPage, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.moments, r.limits = append(r.moments, at), append(r.limits, fmt.Sprint(instance, " ", repo, " ", path))
			page := r.pages[0]
			r.pages = r.pages[1:]
			return page, r.err
		},
		Key: func(name string) (artifact.Digest, bool) { return artifact.Digest{1}, name == "release-2026" },
		Distrust: func(_ context.Context, d ledger.Distrust) (ledger.Distrust, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.distrusted = append(r.distrusted, d)
			return d, r.err
		},
		Distrusts: func(context.Context) ([]ledger.Distrust, error) { return r.distrusted, r.err },
		Affected: func(_ context.Context, key artifact.Digest, since time.Time, after artifact.Digest) ([]ledger.Affected, bool, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.moments, r.limits = append(r.moments, since), append(r.limits, key.String()[:2]+" "+after.String()[:2])
			page := r.affected[0]
			r.affected = r.affected[1:]
			return page, len(r.affected) > 0, r.err
		},
		CountAffected: func(context.Context, artifact.Digest, time.Time) (int64, error) { return 7, r.err },
		CountDecided:  func(context.Context, time.Time) (int64, error) { return 7, r.err },
		Log:           slog.New(slog.NewJSONHandler(r.log, nil)), Registerer: r.reg,
	}
}

// call sends one request; an empty token sends none.
func (r *rig) call(method, target, token, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

// problemIn reads a refusal and holds it to RFC 9457.
func problemIn(t *testing.T, w *httptest.ResponseRecorder) Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), w.Body.String())
	var p Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, w.Code, p.Status)
	require.Equal(t, http.StatusText(w.Code), p.Title)
	require.NotEmpty(t, p.Detail)
	return p
}

// lines collects log lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.buf.String(), func(c rune) bool { return c == '\n' })
}
