package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// subscriptionView is a subscription as list prints it.
type subscriptionView struct {
	artifactory.Subscription
	Ours   bool   `json:"ours"`
	Secret string `json:"secretFile,omitempty"` // the configured file whose secret it has, as far as is known
}

func newWebhookList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the subscriptions that deliver to Hallmark",
		Long: `List the instance's own subscriptions, and others that deliver to its receiver; with --all every
subscription of the platform. Secrets are not shown: of Hallmark's own, the file is named.`,
		Example: `  hallmark webhook list --admin-token-file admin.token
  hallmark webhook list --all --admin-token-file admin.token -o json`,
		Args: cobra.NoArgs,
	}
	open, output := webhookFlags(cmd), outputFlag(cmd)
	everything := cmd.Flags().Bool("all", false, "list other people's subscriptions too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		h, err := open()
		if err != nil {
			return err
		}
		defer h.client.Close()
		all, err := h.current(cmd.Context())
		if err != nil {
			return err
		}
		views := []subscriptionView{}
		for _, sub := range all {
			v := subscriptionView{Subscription: sub, Ours: ours(h.config.Name, sub.Key)}
			if has, _ := h.secretOf(sub); v.Ours && has != nil {
				v.Secret = has.file
			}
			if !v.Ours && !h.delivers(sub) {
				if !*everything {
					continue
				}
				v.Handlers = strangers(sub.Handlers)
			}
			views = append(views, v)
		}
		return show(cmd.OutOrStdout(), *output, views, func(w io.Writer) { listViews(w, views) })
	}
	return cmd
}

// delivers reports whether a subscription goes to a receiver of this instance's name.
func (h *hooks) delivers(sub artifactory.Subscription) bool {
	return slices.ContainsFunc(sub.Handlers, func(t artifactory.Handler) bool { return strings.HasSuffix(t.URL, "/webhook/"+h.config.Name) })
}

// strangers leaves of other people's targets what can hold no credential: theirs may have them in paths and queries.
func strangers(all []artifactory.Handler) []artifactory.Handler {
	out := slices.Clone(all)
	for i := range out {
		u, err := url.Parse(out[i].URL)
		if out[i].URL = ""; err == nil && u.Host != "" {
			out[i].URL = u.Scheme + "://" + u.Host + "/…"
		}
	}
	return out
}

func listViews(w io.Writer, views []subscriptionView) {
	rows := make([][]string, len(views))
	for i, v := range views {
		state, owner, to := "off", "-", "-"
		if v.Enabled {
			state = "on"
		}
		if v.Ours {
			owner = "hallmark"
		}
		if len(v.Handlers) > 0 {
			to = orDash(v.Handlers[0].URL)
		}
		events := v.Filter.Domain + ": " + strings.Join(v.Filter.Types, ", ")
		rows[i] = []string{v.Key, state, owner, events, where(v.Filter.Criteria), to, orDash(v.Secret)}
	}
	if len(rows) == 0 {
		fmt.Fprintln(w, "no subscription delivers to this instance's receiver; make one with: hallmark webhook install")
		return
	}
	table(w, []string{"KEY", "STATE", "OWNER", "EVENTS", "IN", "TO", "SECRET"}, rows)
}

func newWebhookRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Remove Hallmark's subscriptions: nothing is announced any more",
		Long: `Remove the instance's own subscriptions. What happens in Artifactory is not announced any more,
and what comes is signed only when the sweep finds it, or when somebody asks. Without --confirm it says what it would remove.`,
		Example: `  hallmark webhook remove --admin-token-file admin.token --confirm`,
		Args:    cobra.NoArgs,
	}
	open, output := webhookFlags(cmd), outputFlag(cmd)
	confirm := cmd.Flags().Bool("confirm", false, "really remove")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		h, err := open()
		if err != nil {
			return err
		}
		defer h.client.Close()
		all, err := h.current(cmd.Context())
		if err != nil {
			return err
		}
		answer := removal{Instance: h.config.Name, Keys: []string{}}
		for _, sub := range all {
			if ours(h.config.Name, sub.Key) {
				answer.Keys = append(answer.Keys, sub.Key)
			}
		}
		if !*confirm && len(answer.Keys) > 0 {
			return fmt.Errorf("nothing was removed; with --confirm this removes %s, and %s announces nothing any more", strings.Join(answer.Keys, ", "), h.client.URL())
		}
		for _, key := range answer.Keys {
			if err := h.client.Unsubscribe(cmd.Context(), key); err != nil {
				return h.advise(err)
			}
		}
		return show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) {
			for _, key := range answer.Keys {
				fmt.Fprintf(w, "REMOVED  %s\n", key)
			}
			if len(answer.Keys) == 0 {
				fmt.Fprintln(w, "there was none")
			}
		})
	}
	return cmd
}

// removal is the answer of hallmark webhook remove.
type removal struct {
	Instance string   `json:"instance"`
	Keys     []string `json:"removed"`
}
