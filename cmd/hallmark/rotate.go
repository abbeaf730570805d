package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// rotation is the answer of hallmark webhook rotate.
type rotation struct {
	Instance string         `json:"instance"`
	Rotated  bool           `json:"rotated"` // every subscription has the newest secret; false also when that cannot be known
	Steps    []rotationStep `json:"steps"`
	Next     string         `json:"next"`
}

type rotationStep struct {
	Step   string `json:"step"`
	Done   bool   `json:"done"`
	Detail string `json:"detail"`
}

func newWebhookRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Give the subscriptions the newest secret, without losing an event",
		Long: `Give the subscriptions the newest secret. Nothing is lost when the steps are taken in this order,
and this command sees to it:

  1  write a new secret into a second file, list it last under webhookSecrets, restart every
     replica of the service: both count from now on
  2  hallmark webhook rotate: sample events prove that the service takes the new secret, only
     then the subscriptions get it, and another sample event proves that it still works
  3  after five minutes, when no delivery with the old one can be on its way any more, take the
     old file out of webhookSecrets and restart

It can be run at any time and says which step is next. A sample event reaches one replica:
with several, raise --tests. While somebody else's subscription delivers to the receiver, step 3
is refused: nobody can give that one the new secret from here, and its events would be lost.

Exit status: 0 the subscriptions have the newest secret, 1 an earlier step is missing, or the old
secret must stay.`,
		Example: `  hallmark webhook rotate --admin-token-file admin.token
  hallmark webhook rotate --admin-token-file admin.token --tests 12 -o json`,
		Args: cobra.NoArgs,
	}
	open, output := webhookFlags(cmd), outputFlag(cmd)
	tests := cmd.Flags().Int("tests", 3, "sample events to deliver before the change, all of which must be taken")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *tests < 1 {
			return fmt.Errorf("--tests is %d: at least one sample event must be delivered", *tests)
		}
		h, err := open()
		if err != nil {
			return err
		}
		defer h.client.Close()
		r, err := h.rotate(cmd.Context(), *tests)
		if err != nil {
			return err
		}
		if err := show(cmd.OutOrStdout(), *output, r, func(w io.Writer) { rotationText(w, r) }); err != nil {
			return err
		}
		if !r.Rotated {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

const beginning = "write a new secret into a second file (openssl rand -hex 32), list it last under webhookSecrets, restart every replica, then: hallmark webhook rotate"

// rotate takes the step that can be taken.
func (h *hooks) rotate(ctx context.Context, tests int) (*rotation, error) {
	subs, others, err := h.rotatable(ctx)
	if err != nil {
		return nil, err
	}
	newest, older := h.secrets[len(h.secrets)-1], h.secrets[:len(h.secrets)-1]
	for _, s := range older {
		if s.mark == newest.mark {
			return nil, fmt.Errorf("%s and %s hold the same secret; put a new one into the last of webhookSecrets", s.file, newest.file)
		}
	}
	r := &rotation{Instance: h.config.Name, Steps: []rotationStep{
		{Step: "the service takes the new secret beside the old"}, {Step: "the subscriptions have the new secret"}, {Step: "the old secret is taken out"},
	}}
	behind := slices.DeleteFunc(slices.Clone(subs), func(sub artifactory.Subscription) bool {
		has, _ := h.secretOf(sub)
		return has != nil && has.mark == newest.mark
	})
	if len(older) == 0 && len(behind) == 0 {
		r.Steps[0].Detail = "only " + newest.file + " is configured, and the subscriptions have it"
		r.Next = "no rotation is under way. To begin one, " + beginning
		if len(others) > 0 { // better known before than half way
			what, fix := held(others)
			r.Steps[2].Detail, r.Next = what, fix+"\n"+r.Next
		}
		return r, nil
	}

	// 1: before anything is changed, the service must take the new secret
	for _, sub := range subs {
		for range tests {
			d, err := h.sample(ctx, sub, newest)
			if err != nil {
				return nil, err
			}
			if !d.OK {
				r.Steps[0].Detail = undeliverable(ctx, sub, d.Message).Error()
				r.Next = "nothing was changed. Restart every replica, so that the service reads " + newest.file + ", then again: hallmark webhook rotate"
				return r, nil
			}
		}
	}
	r.Steps[0].Done, r.Steps[0].Detail = true, fmt.Sprintf("%s: %d of %d sample events", newest.file, tests*len(subs), tests*len(subs))

	// 2: a failure half way leaves each subscription with a secret that the service takes
	for _, sub := range behind {
		sub.Description = description(h.config.Name, newest)
		sub.Handlers[0].Secret = newest.value
		if err := h.write(ctx, sub, newest, false); err != nil {
			return nil, fmt.Errorf("%w\nwhile the old secret stays in webhookSecrets nothing is lost; run this again", err)
		}
		if d, err := h.sample(ctx, sub, newest); err != nil {
			return nil, err
		} else if !d.OK {
			return nil, fmt.Errorf("%w\nthe subscription has the new secret, and a sample event before the change was taken: is a replica not restarted?", undeliverable(ctx, sub, d.Message))
		}
	}
	var keys []string
	for _, sub := range subs {
		keys = append(keys, sub.Key)
	}
	r.Rotated, r.Steps[1].Done, r.Steps[1].Detail = len(others) == 0, true, strings.Join(keys, ", ")
	h.dropOld(r, older, others)
	return r, nil
}

// dropOld is step 3, which is the operator's to take; others must not be there any more by then.
func (h *hooks) dropOld(r *rotation, older []hookSecret, others []foreign) {
	var files []string
	for _, s := range older {
		files = append(files, s.file)
	}
	what, fix := held(others)
	switch step := &r.Steps[2]; {
	case len(older) == 0:
		step.Done, step.Detail = true, "it was taken out before the subscriptions had the new one: events since then may have been refused with 401 (hallmark_webhook_auth_failures_total)"
		if r.Next = "hallmark webhook check"; len(others) > 0 {
			step.Detail += "\n" + what
			r.Next = fix + "\nthen: hallmark webhook check"
		}
	case len(others) > 0:
		step.Detail = what
		r.Next = fmt.Sprintf("do not take %s out of webhookSecrets yet: events would be refused with 401 and lost\n%s\nthen again: hallmark webhook rotate", strings.Join(files, ", "), fix)
	default:
		r.Next = fmt.Sprintf("wait five minutes, then take %s out of webhookSecrets, restart every replica, and: hallmark webhook check", strings.Join(files, ", "))
	}
}

// rotatable are our subscriptions, each with its one target, and others that hold on to a secret.
func (h *hooks) rotatable(ctx context.Context) ([]artifactory.Subscription, []foreign, error) {
	all, err := h.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	subs := slices.DeleteFunc(slices.Clone(all), func(sub artifactory.Subscription) bool { return !ours(h.config.Name, sub.Key) })
	if len(subs) == 0 {
		return nil, nil, errors.New("there is no subscription to give a secret to; make one with: hallmark webhook install")
	}
	for _, sub := range subs {
		if len(sub.Handlers) != 1 {
			return nil, nil, fmt.Errorf("the subscription %s has %d targets instead of one; mend it first: hallmark webhook install", sub.Key, len(sub.Handlers))
		}
		if plain := h.config.WebhookAuth == artifactory.WebhookPlain; sub.Handlers[0].Signing == plain {
			return nil, nil, fmt.Errorf("the subscription %s proves itself in another way than webhookAuth says; mend it first: hallmark webhook install", sub.Key)
		}
	}
	return subs, binders(h.foreigners(all)), nil
}

// sample has one sample event delivered as sub would with this secret.
func (h *hooks) sample(ctx context.Context, sub artifactory.Subscription, secret hookSecret) (artifactory.Delivered, error) {
	sub.Handlers = slices.Clone(sub.Handlers)
	sub.Handlers[0].Secret = secret.value
	d, err := h.client.TestSubscription(ctx, sub)
	if err != nil {
		return d, h.refused(ctx, sub, err)
	}
	return d, nil
}

func rotationText(w io.Writer, r *rotation) {
	for i, s := range r.Steps {
		state := "to do"
		if s.Done {
			state = "done"
		}
		fmt.Fprintf(w, "%d  %-5s  %s\n", i+1, state, s.Step)
		if s.Detail != "" {
			fmt.Fprintf(w, "          %s\n", strings.ReplaceAll(s.Detail, "\n", "\n          "))
		}
	}
	fmt.Fprintf(w, "next: %s\n", strings.ReplaceAll(r.Next, "\n", "\n      "))
}
