package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// installation is the answer of hallmark webhook install.
type installation struct {
	Instance      string     `json:"instance"`
	DryRun        bool       `json:"dryRun"`
	Subscriptions []plan     `json:"subscriptions"`
	LeftOut       []omission `json:"leftOut"` // needed, and somebody has to say more first
	Notes         []string   `json:"notes"`
}

func newWebhookInstall() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Create or mend the subscriptions that the policies need",
		Long: `Create the subscriptions that the configured policies need, or mend what is different. What
is right already is left alone, so it can be run again at any time.

  what      deployed, copied and moved artifacts, in every repository that a policy names;
            a policy with a pattern (libs-*-local) needs the events of all local ones;
            pushed and promoted images, where a policy has a format for images; uploaded
            and promoted builds, where a policy names these events; release bundles v2 that
            are complete or promoted, where a policy signs them or names these events.
            Promotions are announced for named environments only: environments of the
            instance's configuration, or --environment
  without   Hallmark's own signature files
  enabled   set, because through the API a subscription is disabled unless it says otherwise
  proof     the secret of webhookSecrets, for an HMAC over each delivery; it is read from its
            file, and neither printed nor taken from the command line
  debug     with --debug, also deliveries that went well are recorded for troubleshooting

Before anything is written, Artifactory delivers a sample event to the service, which must
run. By default Artifactory refuses private and loopback addresses. Self-hosted, an
administrator allows them in system.yaml: event.webhooks.urlStrictPolicy: false (newer
references name event.security.blacklist.enabled: false).

An update replaces the whole subscription. Project, proxy, fixed headers and anyFederated
are kept as they are found.`,
		Example: `  hallmark webhook install --url https://hallmark.example:8443 --admin-token-file admin.token --dry-run
  hallmark webhook install --url https://hallmark.example:8443 --admin-token-file admin.token
  hallmark webhook install --admin-token-file admin.token -o json`,
		Args: cobra.NoArgs,
	}
	open, output := webhookFlags(cmd), outputFlag(cmd)
	base := cmd.Flags().String("url", "", "address under which Artifactory reaches the service (default: where the subscription points now)")
	environments := cmd.Flags().StringArray("environment", nil, "environment that release bundles are promoted to, such as PROD; may be repeated (default: environments of the configuration)")
	dry := cmd.Flags().Bool("dry-run", false, "only show what would change")
	untested := cmd.Flags().Bool("no-test", false, "write without a test delivery, when the service cannot run yet")
	debug := cmd.Flags().Bool("debug", false, "have deliveries that went well recorded too (--debug=false ends it)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		h, err := open()
		if err != nil {
			return err
		}
		defer h.client.Close()
		if err := h.environmentsAsked(*environments); err != nil {
			return err
		}
		if !cmd.Flags().Changed("debug") {
			debug = nil
		}
		in, err := h.plan(cmd.Context(), *base, debug)
		if err != nil {
			return err
		}
		in.DryRun = *dry
		if *dry || *untested {
			in.Notes = append(in.Notes, addressNotes(cmd.Context(), in.Subscriptions)...)
		}
		if !*dry {
			for i := range in.Subscriptions {
				if err := h.apply(cmd.Context(), &in.Subscriptions[i], !*untested); err != nil {
					return err
				}
			}
		}
		return show(cmd.OutOrStdout(), *output, in, func(w io.Writer) { installText(w, in) })
	}
	return cmd
}

// addressNotes warns of targets that nobody has tried and that Artifactory may refuse.
func addressNotes(ctx context.Context, plans []plan) []string {
	var notes []string
	for _, p := range plans {
		if why := private(ctx, p.Subscription.Handlers[0].URL); why != "" && p.Action != actionNone {
			notes = append(notes, why+". "+privateAddresses)
		}
	}
	return notes
}

// apply does what the plan says: a test, the write, and a look at what was kept.
func (h *hooks) apply(ctx context.Context, p *plan, test bool) error {
	if p.Action == actionNone {
		return nil
	}
	if test {
		said, err := h.test(ctx, p.Subscription)
		if err != nil {
			return fmt.Errorf("%w\nnothing was written; mend it, or write anyway with --no-test", err)
		}
		p.Tested = said
	}
	return h.write(ctx, p.Subscription, p.secret, p.Action == actionCreate)
}

// test has a sample event delivered; an error says why it may have failed.
func (h *hooks) test(ctx context.Context, sub artifactory.Subscription) (said string, err error) {
	d, err := h.client.TestSubscription(ctx, sub)
	if err != nil {
		return "", h.refused(ctx, sub, err)
	}
	if !d.OK {
		return "", undeliverable(ctx, sub, d.Message)
	}
	return d.Message, nil
}

// write creates or replaces a subscription and compares what Artifactory keeps.
func (h *hooks) write(ctx context.Context, sub artifactory.Subscription, secret hookSecret, create bool) error {
	put := h.client.Resubscribe
	if create {
		put = h.client.Subscribe
	}
	failed := put(ctx, sub)
	kept, unread := h.client.Subscription(ctx, sub.Key)
	changes := []change{}
	if unread == nil {
		changes = h.drift(kept, sub, secret)
	}
	switch {
	case failed != nil && (unread != nil || len(changes) > 0):
		return h.refused(ctx, sub, failed)
	case unread != nil:
		return h.advise(unread)
	}
	return mustBe(sub.Key, changes) // a write whose answer was lost may have been done
}

// rejected reports whether the event service found the subscription itself wanting.
func rejected(err error) bool {
	st := (*artifactory.StatusError)(nil)
	return errors.As(err, &st) && (st.Status == http.StatusBadRequest || st.Status == http.StatusUnprocessableEntity)
}

// refused explains a refusal of the event service, which may be about the target's address.
func (h *hooks) refused(ctx context.Context, sub artifactory.Subscription, err error) error {
	if !rejected(err) {
		return h.advise(err)
	}
	why := private(ctx, sub.Handlers[0].URL)
	if why == "" {
		why = "if it is about the address"
	}
	return fmt.Errorf("%w\n  %s: %s", err, why, privateAddresses)
}

func installText(w io.Writer, in *installation) {
	words := map[string]string{actionCreate: "CREATED", actionUpdate: "UPDATED", actionNone: "UNCHANGED"}
	if in.DryRun {
		words = map[string]string{actionCreate: "WOULD BE CREATED", actionUpdate: "WOULD BE UPDATED", actionNone: "IS AS IT SHOULD BE"}
	}
	for _, p := range in.Subscriptions {
		s := p.Subscription
		fmt.Fprintf(w, "%s  %s\n", words[p.Action], p.Key)
		fmt.Fprintf(w, "  to       %s\n", s.Handlers[0].URL)
		fmt.Fprintf(w, "  events   %s: %s\n", s.Filter.Domain, strings.Join(s.Filter.Types, ", "))
		fmt.Fprintf(w, "  in       %s\n", where(s.Filter.Criteria))
		if len(s.Filter.Criteria.Exclude) > 0 {
			fmt.Fprintf(w, "  without  %s\n", strings.Join(s.Filter.Criteria.Exclude, ", "))
		}
		fmt.Fprintf(w, "  secret   that of %s\n", p.SecretFile)
		if p.Tested != "" {
			fmt.Fprintf(w, "  tested   a sample event was delivered: %s\n", p.Tested)
		}
		changesText(w, p.Changes)
	}
	for _, o := range in.LeftOut {
		fmt.Fprintf(w, "LEFT OUT  %s\n  why      %s\n  fix      %s\n", o.Key, o.Why, o.Fix)
	}
	for _, n := range in.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

func changesText(w io.Writer, changes []change) {
	for _, c := range changes {
		fmt.Fprintf(w, "  %s\n    found     %s\n    expected  %s\n    why       %s\n", c.Field, c.Found, c.Expected, c.Why)
	}
}

// where says which repositories criteria choose.
func where(c artifactory.Criteria) string {
	names := slices.Clone(c.Repositories)
	slices.Sort(names)
	if c.AnyLocal {
		names = append(names, "every local repository")
	}
	if c.AnyRemote {
		names = append(names, "every remote repository")
	}
	if c.AnyFederated {
		names = append(names, "every federated repository")
	}
	names = append(names, c.Builds...)
	if c.AnyBuild {
		names = append(names, "every build")
	}
	names = append(names, c.Bundles...)
	if c.AnyBundle {
		names = append(names, "every release bundle")
	}
	names = append(names, c.Environments...)
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}
