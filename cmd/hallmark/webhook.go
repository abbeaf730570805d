package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

func newWebhook() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Have Artifactory announce what happens: install, check and remove its webhooks",
		Long: `Have Artifactory announce what happens. The subscriptions that this needs are called
hallmark-<instance>-<domain>; no other subscription is ever touched, so give every Hallmark
that one platform serves its own instance names. Run by a platform administrator: the
service itself never needs such rights.`,
		Example: `  hallmark webhook install --url https://hallmark.example:8443 --admin-token-file admin.token --dry-run
  hallmark webhook check --admin-token-file admin.token`,
	}
	cmd.AddCommand(newWebhookInstall(), newWebhookList(), newWebhookCheck(), newWebhookRemove(), newWebhookRotate())
	return cmd
}

// hooks is what the webhook commands work with: one instance, an administrator's way into it, and what belongs there.
type hooks struct {
	config       artifactory.Config
	repositories []string // that policies of the instance name in full, sources and targets, sorted
	patterns     []string // that they name others by, sorted
	policies     *policy.Set
	environments []string     // that release bundles are promoted to, as far as anybody said
	secrets      []hookSecret // in the configuration's order, at least one
	tokenFile    string       // of the administrator
	client       *artifactory.Client
}

// webhookFlags adds the flags that every webhook command has, and returns what opens the instance they name. The caller
// closes the client.
func webhookFlags(cmd *cobra.Command) func() (*hooks, error) {
	config := configFlag(cmd)
	instance := cmd.Flags().String("instance", "", "Artifactory instance; needed when the configuration has several")
	token := cmd.Flags().String("admin-token-file", os.Getenv("HALLMARK_ADMIN_TOKEN_FILE"),
		"file with an access token that may manage webhooks (or $HALLMARK_ADMIN_TOKEN_FILE)")
	_ = cmd.MarkFlagFilename("admin-token-file")
	_ = cmd.RegisterFlagCompletionFunc("instance", complete(config, (*Config).instanceNames))
	return func() (*hooks, error) {
		if *token == "" {
			return nil, errors.New("no token: name the file that holds an administrator's access token with --admin-token-file or $HALLMARK_ADMIN_TOKEN_FILE")
		}
		c, err := loadConfig(*config)
		if err != nil {
			return nil, err
		}
		a, err := c.instance(*instance)
		if err != nil {
			return nil, err
		}
		h := &hooks{config: a, environments: a.Environments, tokenFile: *token}
		set, err := c.loadPolicies()
		if err != nil {
			return nil, err
		}
		if err := h.covered(set); err != nil {
			return nil, err
		}
		if h.secrets, err = readHookSecrets(a); err != nil {
			return nil, err
		}
		a.Token = artifactory.SecretFile{File: *token}
		h.client, err = artifactory.New(a, artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
		return h, err
	}
}

// covered notes which repositories policies of the instance are about.
func (h *hooks) covered(set *policy.Set) error {
	signed, guarded := set.Repositories(h.config.Name)
	h.repositories, h.patterns = append(signed, guarded...), set.RepositoryPatterns(h.config.Name)
	h.policies = set
	slices.Sort(h.repositories)
	h.repositories = slices.Compact(h.repositories)
	if len(h.repositories)+len(h.patterns) == 0 {
		return fmt.Errorf("no policy is about the instance %s, so there is nothing to announce; write a SigningPolicy, then: hallmark policy check", h.config.Name)
	}
	return nil
}

// instance finds one by name; the empty name means the only one.
func (c *Config) instance(name string) (artifactory.Config, error) {
	if name == "" && len(c.Artifactory) == 1 {
		return c.Artifactory[0].Value, nil
	}
	for _, a := range c.Artifactory {
		if a.Value.Name == name {
			return a.Value, nil
		}
	}
	names := strings.Join(c.instanceNames(), ", ")
	if name == "" {
		return artifactory.Config{}, fmt.Errorf("the configuration has several Artifactory instances; choose one with --instance: %s", names)
	}
	return artifactory.Config{}, fmt.Errorf("instance %q is not in the configuration; it has %s", name, names)
}

// current lists the platform's subscriptions.
func (h *hooks) current(ctx context.Context) ([]artifactory.Subscription, error) {
	all, err := h.client.Subscriptions(ctx)
	return all, h.advise(err)
}

// advise adds to an error of the event service what to do about it.
func (h *hooks) advise(err error) error {
	st := (*artifactory.StatusError)(nil)
	if !errors.As(err, &st) {
		return err
	}
	switch st.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w; put a valid access token of an administrator into the file of --admin-token-file", err)
	case http.StatusForbidden:
		return fmt.Errorf("%w; webhooks are managed with the token of a platform administrator (or, on newer releases, of somebody with the role to manage webhooks)", err)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Errorf("%w; the event service does not answer beside %s: url must be the platform's own (self-hosted: the router's port, 8082 by default, not Artifactory's 8081), and webhooks need a Pro licence or above",
			err, h.client.URL())
	}
	return err
}
