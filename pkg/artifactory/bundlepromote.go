package artifactory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// How often the state of a promotion is asked for: soon at first, less often as it takes longer.
const (
	firstPoll = 200 * time.Millisecond
	lastPoll  = 10 * time.Second
)

const (
	promotionPage = 100
	maxPromotions = 1000 // of one bundle; older ones are not looked at
)

// PromotionFailed means that a promotion of a release bundle was begun and has ended otherwise than well. Part of the
// bundle may be in the target.
type PromotionFailed struct {
	Status   string    // FAILED, REJECTED, …
	Messages []string  // the server's, one short line each; the first 20
	Began    time.Time // by the server's clock; zero when somebody else had begun it
}

func (e *PromotionFailed) Error() string {
	s := "the promotion ended as " + e.Status
	if len(e.Messages) > 0 {
		s += ": " + strings.Join(e.Messages, "; ")
	}
	return s
}

// PromoteBundle has Artifactory carry a bundle's contents into an environment, limited to the given repositories if there
// are any, and returns when that has ended or ctx has. A promotion into this environment that is under way is waited for
// rather than begun a second time, and one that is complete is not repeated while its contents are where it put them. A
// final no before anything moved is *Refused, a failure later on *PromotionFailed, a bundle that is not there (any more)
// artifact.ErrGone. After any other error the same call may be made again: it finds what the first one began.
func (c *Client) PromoteBundle(ctx context.Context, b artifact.Bundle, environment string, repos []string, move bool) error {
	if err := c.promoteBundle(ctx, b, environment, repos, move); err != nil {
		return fmt.Errorf("promoting release bundle %s/%s to %s: %w", b.Name, b.Version, environment, gone(err))
	}
	return nil
}

func (c *Client) promoteBundle(ctx context.Context, b artifact.Bundle, environment string, repos []string, move bool) error {
	ref, err := c.BundleRef(b.Project, b.Name, b.Version)
	if err != nil {
		return err
	}
	k, err := c.bundleKey(ref)
	if err != nil {
		return err
	}
	before, err := c.promotions(ctx, k)
	if err != nil {
		return err
	}
	if last := newest(before, environment); last != nil && (underWay(last.Status) || last.Status == completedStatus) {
		if underWay(last.Status) {
			if err := c.awaitPromotion(ctx, k, last.id); err != nil {
				return err
			}
		}
		if there, err := c.arrived(ctx, b, last.Repos, repos); err != nil || there {
			return err
		}
	}
	id, err := c.beginPromotion(ctx, k, environment, repos, move)
	if id == "" && (err == nil || Temporary(err)) { // the answer was lost, or tells too little
		after, failed := c.promotions(ctx, k)
		if failed != nil {
			return errors.Join(err, failed)
		}
		began := newest(after, environment)
		if began == nil || slices.ContainsFunc(before, func(p bundlePromotion) bool { return p.id == began.id }) {
			return cmp.Or(err, errors.New("server has no record of the promotion that it accepted"))
		}
		id, err = began.id, nil
	}
	if err != nil {
		return refusal("promoting", gone(err))
	}
	err = c.awaitPromotion(ctx, k, id)
	if failed, ok := errors.AsType[*PromotionFailed](err); ok {
		if millis, bad := strconv.ParseInt(id, 10, 64); bad == nil {
			failed.Began = time.UnixMilli(millis).UTC()
		}
	}
	return err
}

// beginPromotion sends the one call that must not be repeated and returns the id of the promotion's record.
func (c *Client) beginPromotion(ctx context.Context, k bundleKey, environment string, repos []string, move bool) (string, error) {
	operation := "copy"
	if move {
		operation = "move"
	}
	body, err := json.Marshal(struct {
		Environment string   `json:"environment"`
		Included    []string `json:"included_repository_keys,omitempty"`
	}{environment, repos})
	if err != nil {
		return "", err
	}
	var answer struct {
		ID json.Number `json:"created_millis"`
	}
	err = c.do(ctx, request{
		call: callBundle, method: http.MethodPost, single: true, body: body, headers: map[string]string{"Content-Type": "application/json"},
		url: c.lifecycle("promotion/records", k, "", url.Values{"async": {"true"}, "operation": {operation}}),
	}, decodeInto(&answer))
	return answer.ID.String(), err
}

// awaitPromotion returns when the promotion has ended, and nil only when it is complete.
func (c *Client) awaitPromotion(ctx context.Context, k bundleKey, id string) error {
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		state, err := c.bundleStatus(ctx, c.lifecycle("promotion/statuses", k, "/"+id, nil))
		switch {
		case err != nil:
			return err
		case state.Status == completedStatus:
			return nil
		case !underWay(state.Status):
			return promotionFailed(state)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w while the promotion was %s", context.Cause(ctx), state.Status)
		}
	}
}

func promotionFailed(state bundleState) error {
	failed := &PromotionFailed{Status: message([]byte(state.Status))}
	for _, m := range state.Messages[:min(20, len(state.Messages))] {
		failed.Messages = append(failed.Messages, message([]byte(m.Text)))
	}
	return failed
}

const completedStatus = "COMPLETED"

// underWay lists the states that JFrog's own client waits in.
func underWay(status string) bool {
	return slices.Contains([]string{"PENDING", "PROCESSING", "STARTED", "IN_PROGRESS", "CREATED"}, status)
}

// bundlePromotion is a record with its id, which is its time in milliseconds.
type bundlePromotion struct {
	artifact.BundlePromotion
	id string
}

func newest(list []bundlePromotion, environment string) *bundlePromotion {
	i := slices.IndexFunc(list, func(p bundlePromotion) bool { return p.Environment == environment })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// BundlePromotions lists the promotions of a release bundle, the newest first and a thousand at most. A bundle that does not
// exist has none.
func (c *Client) BundlePromotions(ctx context.Context, ref artifact.Ref) ([]artifact.BundlePromotion, error) {
	k, err := c.bundleKey(ref)
	if err != nil {
		return nil, fmt.Errorf("asking about release bundle %s: %w", ref, err)
	}
	list, err := c.promotions(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("asking about release bundle %s: %w", ref, err)
	}
	out := make([]artifact.BundlePromotion, len(list))
	for i, p := range list {
		out[i] = p.BundlePromotion
	}
	return out, nil
}

// promotions lists a bundle's promotions, the newest first. A bundle that does not exist has none.
func (c *Client) promotions(ctx context.Context, k bundleKey) ([]bundlePromotion, error) {
	var list []bundlePromotion
	for offset := 0; offset < maxPromotions; offset += promotionPage {
		var page struct {
			Promotions []struct {
				Environment string      `json:"environment"`
				Status      string      `json:"status"`
				Included    []string    `json:"included_repository_keys"`
				By          string      `json:"created_by"`
				ID          json.Number `json:"created_millis"`
			} `json:"promotions"`
		}
		u := c.lifecycle("promotion/records", k, "", url.Values{"limit": {strconv.Itoa(promotionPage)}, "offset": {strconv.Itoa(offset)}})
		err := c.do(ctx, request{call: callBundle, method: http.MethodGet, url: u}, func(resp *http.Response) error {
			page.Promotions = nil
			return decodeInto(&page)(resp)
		})
		if isStatus(err, http.StatusNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("listing promotions: %w", err)
		}
		for _, p := range page.Promotions {
			millis, err := p.ID.Int64()
			if err != nil {
				return nil, fmt.Errorf("listing promotions: the server reports the time %.40q", p.ID)
			}
			list = append(list, bundlePromotion{id: p.ID.String(), BundlePromotion: artifact.BundlePromotion{
				Environment: p.Environment, Status: strings.ToUpper(p.Status), Repos: p.Included, At: time.UnixMilli(millis).UTC(), By: p.By,
			}})
		}
		if len(page.Promotions) < promotionPage {
			break
		}
	}
	slices.SortStableFunc(list, func(a, b bundlePromotion) int { return b.At.Compare(a.At) })
	return slices.CompactFunc(list, func(a, b bundlePromotion) bool { return a.id == b.id }), nil
}
