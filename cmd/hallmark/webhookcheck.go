package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// installFix is the command that mends everything; with --dry-run it only says how.
func (h *hooks) installFix(more string) string {
	return "hallmark webhook install " + more + "--admin-token-file " + h.tokenFile
}

const someURL = "--url https://HOST:PORT "

// webhookCheck is the answer of hallmark webhook check.
type webhookCheck struct {
	Instance string      `json:"instance"`
	OK       bool        `json:"ok"`
	Checks   []hsm.Check `json:"checks"`
	Notes    []string    `json:"notes"`
}

func newWebhookCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Compare the subscriptions with what they should be, and try them",
		Long: `Compare the subscriptions with what the policies and the configuration need, and have a sample
event delivered with each of the configured secrets. Nothing is changed.

Artifactory never shows a secret again. Which one a subscription has is known from the mark
that install and rotate leave in its description. Of somebody else's subscription that delivers to
the receiver nobody knows: that is a failure, for the next rotation would lose its events.

Exit status: 0 all well, 1 something is wrong, 2 could not check.`,
		Example: `  hallmark webhook check --admin-token-file admin.token
  hallmark webhook check --url https://hallmark.example:8443 --admin-token-file admin.token -o json`,
		Args: cobra.NoArgs,
	}
	open, output := webhookFlags(cmd), outputFlag(cmd)
	base := cmd.Flags().String("url", "", "address under which Artifactory should reach the service (default: wherever the subscription points)")
	untested := cmd.Flags().Bool("no-test", false, "send no sample events")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		h, err := open()
		if err != nil {
			return err
		}
		defer h.client.Close()
		answer, err := h.check(cmd.Context(), *base, !*untested)
		if err != nil {
			return err
		}
		err = show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) {
			checksText(w, answer.Checks)
			for _, n := range answer.Notes {
				fmt.Fprintf(w, "note: %s\n", n)
			}
		})
		if err == nil && !answer.OK {
			return &refusedError{}
		}
		return err
	}
	return cmd
}

func (h *hooks) check(ctx context.Context, base string, test bool) (*webhookCheck, error) {
	all, err := h.current(ctx)
	if err != nil {
		return nil, err
	}
	answer := &webhookCheck{Instance: h.config.Name}
	var plans []plan
	for _, s := range h.needed() {
		if o := h.omitted(s, all); o != nil {
			answer.Checks = append(answer.Checks, hsm.Check{Name: o.Key + ": incomplete", Detail: o.Why, Fix: o.Fix})
			continue
		}
		p, found, err := h.compare(all, s, base, nil)
		switch {
		case found == nil:
			answer.Checks = append(answer.Checks, hsm.Check{
				Name: p.Key, Detail: "there is no such subscription: nothing is announced",
				Fix: h.installFix(someURL),
			})
			continue
		case err != nil:
			answer.Checks = append(answer.Checks, verdict(p.Key+": target", "", err, h.installFix(someURL)))
			continue
		}
		plans = append(plans, p)
		answer.Checks = append(answer.Checks, h.examine(p, *found)...)
		if test && len(found.Handlers) == 1 {
			checks, err := h.try(ctx, *found)
			if err != nil {
				return nil, err
			}
			answer.Checks = append(answer.Checks, checks...)
		}
	}
	others := h.foreigners(all)
	for _, f := range binders(others) {
		answer.Checks = append(answer.Checks, f.check())
	}
	answer.OK = !slices.ContainsFunc(answer.Checks, func(c hsm.Check) bool { return !c.OK })
	answer.Notes = h.notes(slices.DeleteFunc(others, func(f foreign) bool { return f.binding }), plans)
	return answer, nil
}

// examine says what is different about one subscription, a check for each difference.
func (h *hooks) examine(p plan, found artifactory.Subscription) []hsm.Check {
	checks := []hsm.Check{}
	for _, c := range p.Changes {
		checks = append(checks, hsm.Check{Name: p.Key + ": " + c.Field, Detail: fmt.Sprintf("%s; expected %s (%s)", c.Found, c.Expected, c.Why), Fix: h.installFix("")})
	}
	if len(checks) == 0 {
		checks = append(checks, hsm.Check{Name: p.Key + ": as it should be", OK: true, Detail: "to " + found.Handlers[0].URL + ", in " + where(found.Filter.Criteria)})
	}
	if has, _ := h.secretOf(found); has != nil {
		detail := "that of " + has.file
		if len(h.secrets) > 1 {
			detail += "; a rotation is under way, next: hallmark webhook rotate"
		}
		checks = append(checks, hsm.Check{Name: p.Key + ": secret", OK: true, Detail: detail})
	}
	return checks
}

// try has a sample event delivered with each configured secret: the running service must take them all.
func (h *hooks) try(ctx context.Context, sub artifactory.Subscription) ([]hsm.Check, error) {
	var checks []hsm.Check
	for i, secret := range h.secrets {
		d, err := h.sample(ctx, sub, secret)
		if err != nil && !rejected(err) {
			return nil, err
		}
		check := hsm.Check{
			Name: fmt.Sprintf("%s: sample event with secret %d of %d", sub.Key, i+1, len(h.secrets)), OK: d.OK,
			Detail: fmt.Sprintf("delivered with that of %s: %s", secret.file, d.Message),
		}
		switch {
		case err != nil:
			check.Detail, check.Fix = err.Error(), "see what is refused; for another address: "+h.installFix(someURL)
		case !d.OK:
			check.Detail = "with the secret of " + secret.file + ": " + undeliverable(ctx, sub, d.Message).Error()
			check.Fix = "restart every replica if webhookSecrets changed; else see the causes"
		}
		checks = append(checks, check)
	}
	return checks, nil
}
