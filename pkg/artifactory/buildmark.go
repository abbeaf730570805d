package artifactory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// promotionType is the media type of a build promotion's body.
const promotionType = "application/vnd.org.jfrog.artifactory.build.PromotionRequest+json"

// markBody is a promotion that carries no file. Artifactory documents that artifacts and dependencies say what is
// carried to the target repository, and that without a target only the status changes; whether a target with neither is
// recorded, ignored or refused is not documented. copy is for a server that carries files all the same: it must not
// take them away.
type markBody struct {
	Status       string `json:"status"`
	Comment      string `json:"comment"`
	CIUser       string `json:"ciUser"`
	Timestamp    string `json:"timestamp"`
	DryRun       bool   `json:"dryRun"`
	TargetRepo   string `json:"targetRepo,omitempty"`
	Copy         bool   `json:"copy"`
	Artifacts    bool   `json:"artifacts"`
	Dependencies bool   `json:"dependencies"`
	FailFast     bool   `json:"failFast"`
}

// MarkPromoted writes a promotion into a build's history and moves nothing. p.At is when it happened, zero for now; the
// line gets the first free millisecond after those that are there. When the newest line says the same already, nothing is
// sent. A server that does not take the repository of a promotion without files gets the status alone; name the
// repository in the comment, too: by the comment such a line is known again. Artifactory marks only the newest run of a
// number: for an older one it is ErrOtherItem. A final no is *Refused, a missing build artifact.ErrGone.
func (c *Client) MarkPromoted(ctx context.Context, b artifact.Build, p artifact.BuildPromotion, comment string) error {
	if err := c.markPromoted(ctx, b, p, comment); err != nil {
		return fmt.Errorf("marking build %q number %q as %q: %w", b.Name, b.Number, p.Status, err)
	}
	return nil
}

func (c *Client) markPromoted(ctx context.Context, b artifact.Build, p artifact.BuildPromotion, comment string) error {
	if p.Status == "" {
		return errors.New("the status is empty")
	}
	if p.Repo != "" {
		if err := checkRepository(p.Repo); err != nil {
			return err
		}
	}
	m := mark{client: c, run: run{project: b.Project, name: b.Name, number: b.Number, started: b.Started}, want: p, comment: comment}
	newest, done, err := m.state(ctx)
	if err != nil || done {
		return err
	}
	if p.At.IsZero() {
		p.At = time.Now()
	}
	if !p.At.Truncate(time.Millisecond).After(newest) && !newest.IsZero() {
		p.At = newest.Add(time.Millisecond)
	}
	m.at = p.At.Truncate(time.Millisecond)
	done, err = m.carry(ctx, p.Repo)
	if done {
		return nil
	}
	if p.Repo == "" || !isStatus(err, http.StatusBadRequest) && !isStatus(err, http.StatusConflict) && !isStatus(err, http.StatusUnprocessableEntity) {
		return m.outcome(ctx, err)
	}
	// Refused for its target, or because an attempt whose answer was lost has done it.
	if _, done, look := m.state(ctx); done || look != nil {
		return look
	}
	if done, err = m.carry(ctx, ""); done {
		return nil
	}
	return m.outcome(ctx, err)
}

// mark is one promotion to be recorded.
type mark struct {
	client  *Client
	run     run
	want    artifact.BuildPromotion
	comment string
	at      time.Time // the line's own time; zero before it is chosen
}

// state reads the history: when its newest line was written, and whether that line is the wanted one.
func (m mark) state(ctx context.Context) (newest time.Time, done bool, err error) {
	b, err := m.client.buildInfo(ctx, m.run, "")
	if err != nil || len(b.Promotions) == 0 {
		return time.Time{}, false, err
	}
	last := b.Promotions[0]
	// The repository of a line that was just written may be the local one behind a virtual one.
	same := last.Repo == m.want.Repo || last.Repo == "" && b.comment == m.comment || !m.at.IsZero() && last.At.Equal(m.at)
	return last.At, last.Status == m.want.Status && same, nil
}

// carry sends the promotion. What failed on the way may have been done all the same, and done twice it is two lines: it
// is sent again only after a look at the history, which does not show it. done means that the history does.
func (m mark) carry(ctx context.Context, target string) (done bool, err error) {
	for try := 1; ; try++ {
		err := m.send(ctx, target)
		if !Temporary(err) || ctx.Err() != nil {
			return false, err
		}
		if _, done, look := m.state(ctx); done {
			return true, nil
		} else if look != nil {
			return false, errors.Join(err, look)
		}
		wait := max(RetryAfter(err), backoff(try))
		if try > m.client.retries || !fits(ctx, wait) {
			return false, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
	}
}

func (m mark) send(ctx context.Context, target string) error {
	body, err := json.Marshal(markBody{
		Status: m.want.Status, Comment: m.comment, CIUser: "hallmark", Timestamp: m.at.UTC().Format(buildTime), TargetRepo: target, Copy: true, FailFast: true,
	})
	if err != nil {
		return err
	}
	headers := map[string]string{"Content-Type": promotionType}
	return m.client.eachSpelling(m.run, "api/build/promote/", url.Values{}, func(u string) error {
		return m.client.do(ctx, request{call: callPromote, method: http.MethodPost, single: true, url: u, body: body, headers: headers}, discard)
	})
}

// outcome believes only the history: a request may have been done although it failed, and the other way round.
func (m mark) outcome(ctx context.Context, sent error) error {
	if sent != nil && (Temporary(sent) || ctx.Err() != nil || isStatus(sent, http.StatusUnauthorized)) {
		return sent
	}
	_, done, err := m.state(ctx)
	switch {
	case err != nil:
		return errors.Join(err, sent)
	case done:
		return nil
	case sent == nil:
		return errors.New("the server accepted it, but the build's history does not show it")
	}
	if st, ok := errors.AsType[*StatusError](sent); ok { // also 404: the build was there a moment ago, so it is the target
		return &Refused{What: "promoting", Status: st.Status, Message: st.Message}
	}
	return sent
}
