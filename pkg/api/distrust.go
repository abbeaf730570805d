package api

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// DistrustRequest is the body of POST /v1/keys/distrust: from a moment on a key's signatures do not count, or with Lift they
// count again.
type DistrustRequest struct {
	Key  string    `json:"key"` // its configured name, or its pin: sha256:<hex of the SHA-256 of the public key>
	From time.Time `json:"from,omitzero"`
	Why  string    `json:"why,omitempty"`
	Lift bool      `json:"lift,omitempty"`
}

// Distrust is what was said about a key, and the answer of POST /v1/keys/distrust.
type Distrust struct {
	Key    string          `json:"key"`
	SPKI   artifact.Digest `json:"spki"`
	From   time.Time       `json:"from"`
	Lifted bool            `json:"lifted,omitempty"`
	At     time.Time       `json:"at"` // when it was said
	By     string          `json:"by"`
	Why    string          `json:"why,omitempty"`
}

// Distrusts is the answer of GET /v1/keys/distrust.
type Distrusts struct {
	Distrusted []Distrust `json:"distrusted"` // now
	History    []Distrust `json:"history"`    // all that was ever said, oldest first
}

// Affected is the answer of GET /v1/keys/affected?key=K&since=TIME&after=DIGEST: a page of what a key has signed.
type Affected struct {
	Total    *int64         `json:"total,omitempty"` // on the first page: of all pages
	Affected []AffectedItem `json:"affected"`
	Next     string         `json:"next"` // the parameter after of the next page
	More     bool           `json:"more"`
}

// AffectedItem are bytes that a key has signed, with all places that the ledger knows of them.
type AffectedItem struct {
	SHA256   artifact.Digest    `json:"sha256"`
	Formats  []string           `json:"formats"`
	MadeAt   time.Time          `json:"madeAt"`
	Places   []AffectedPlace    `json:"places"`
	Promoted []AffectedPromoted `json:"promoted"`
}

// AffectedPlace is where they were signed, or found to be signed.
type AffectedPlace struct {
	Instance string `json:"instance"`
	Artifact string `json:"artifact"` // repository/path
}

// AffectedPromoted is where a promotion brought them, or, while its state is begun, may have brought them.
type AffectedPromoted struct {
	Promotion int64     `json:"promotion"`
	Instance  string    `json:"instance"`
	Target    string    `json:"target"` // repository/path
	State     string    `json:"state"`
	At        time.Time `json:"at"`
}

const (
	maxWhy = 500 // characters
	// maxAhead is how far the caller's clock may be ahead. What is to end later is retired, not distrusted.
	maxAhead = 5 * time.Minute
)

// key finds a key by its name or pin.
func (s *server) key(text string) (name string, spki artifact.Digest, err error) {
	if hex, ok := strings.CutPrefix(text, "sha256:"); ok {
		if spki, err = artifact.ParseDigest(hex); err != nil {
			return "", spki, problem(http.StatusBadRequest, "the pin %.80q is not sha256: and 64 hexadecimal digits", text)
		}
		return text, spki, nil
	}
	if spki, ok := s.deps.Key(text); ok && text != "" {
		return text, spki, nil
	}
	return "", spki, problem(http.StatusNotFound, "no key %.64q is configured that signs artifacts; a key that is not configured any more is named by its pin, sha256:…", text)
}

func (s *server) distrust(c *call) (any, error) {
	var req DistrustRequest
	if err := c.body(&req); err != nil {
		return nil, err
	}
	name, spki, err := s.key(req.Key)
	if err != nil {
		return nil, err
	}
	switch {
	case req.Lift != req.From.IsZero():
		return nil, problem(http.StatusBadRequest, "write either from, the moment from which the key's signatures do not count, or lift: true")
	case req.From.After(time.Now().Add(maxAhead)):
		return nil, problem(http.StatusBadRequest, "from is still to come; a key whose time will be over gets retired: in the configuration")
	case len([]rune(req.Why)) > maxWhy, strings.ContainsFunc(req.Why, unicode.IsControl):
		return nil, problem(http.StatusBadRequest, "why is one line of at most %d characters", maxWhy)
	}
	said, err := s.deps.Distrust(c.Context(), ledger.Distrust{KeyName: name, KeySPKI: spki, From: req.From, Lifted: req.Lift, By: c.caller, Why: req.Why})
	switch {
	case errors.Is(err, ledger.ErrLaxer):
		return nil, problem(http.StatusConflict, "%v; lift that first if it was too much", err)
	case errors.Is(err, ledger.ErrTrusted):
		return nil, problem(http.StatusConflict, "the key %s is not distrusted, so there is nothing to lift", name)
	case err != nil:
		return nil, err
	}
	c.note(slog.String("key", name), slog.Bool("lift", req.Lift), slog.Time("from", said.From))
	return distrustOf(said), nil
}

func (s *server) distrusts(c *call) (any, error) {
	if _, err := c.query(); err != nil {
		return nil, err
	}
	all, err := s.deps.Distrusts(c.Context())
	if err != nil {
		return nil, err
	}
	list := Distrusts{Distrusted: []Distrust{}, History: []Distrust{}}
	for i, d := range all {
		list.History = append(list.History, distrustOf(d))
		last := true
		for _, later := range all[i+1:] {
			last = last && later.KeySPKI != d.KeySPKI
		}
		if last && !d.Lifted {
			list.Distrusted = append(list.Distrusted, distrustOf(d))
		}
	}
	return list, nil
}

func distrustOf(d ledger.Distrust) Distrust {
	return Distrust{Key: d.KeyName, SPKI: d.KeySPKI, From: d.From, Lifted: d.Lifted, At: d.At, By: d.By, Why: d.Why}
}

func (s *server) affected(c *call) (any, error) {
	q, err := c.query("key", "since", "after")
	if err != nil {
		return nil, err
	}
	_, spki, err := s.key(q.Get("key"))
	if err != nil {
		return nil, err
	}
	since, err := moment("since", q.Get("since"))
	if err != nil {
		return nil, err
	}
	var after artifact.Digest
	if text := q.Get("after"); text != "" {
		if after, err = artifact.ParseDigest(text); err != nil {
			return nil, problem(http.StatusBadRequest, "after is what the page before told as next")
		}
	}
	var total *int64
	if after.IsZero() {
		n, err := s.deps.CountAffected(c.Context(), spki, since)
		if err != nil {
			return nil, err
		}
		total = &n
	}
	page, more, err := s.deps.Affected(c.Context(), spki, since, after)
	if err != nil {
		return nil, err
	}
	list := Affected{Total: total, Affected: make([]AffectedItem, len(page)), More: more}
	for i, a := range page {
		item := AffectedItem{SHA256: a.Subject, Formats: append([]string{}, a.Formats...), MadeAt: a.MadeAt, Places: []AffectedPlace{}, Promoted: []AffectedPromoted{}}
		for _, at := range a.Places {
			item.Places = append(item.Places, AffectedPlace{Instance: at.Instance, Artifact: at.String()})
		}
		for _, p := range a.Promoted {
			item.Promoted = append(item.Promoted, AffectedPromoted{Promotion: p.Promotion, Instance: p.Target.Instance, Target: p.Target.String(), State: string(p.State), At: p.At})
		}
		list.Affected[i], list.Next = item, a.Subject.String()
	}
	return list, nil
}
