package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check and explain policies"}
	cmd.AddCommand(newPolicyCheck(), newPolicyExplain())
	return cmd
}

func newPolicyCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check every policy file",
		Long: `Check every policy file as the service would at its start: every mistake is listed with file,
line and column. Keys and formats that policies may name come from the configuration.`,
		Example: `  hallmark policy check --config hallmark.yaml
  hallmark policy check --config hallmark.yaml --dir policies`,
		Args: cobra.NoArgs,
	}
	load, output := policyFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		set, dir, err := load()
		if err != nil {
			return err
		}
		answer := map[string]any{"dir": dir, "policySet": set.Digest(), "repositories": set.Repositories()}
		return show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) {
			fmt.Fprintf(w, "ok  %s  policy set sha256:%s\n", dir, set.Digest())
		})
	}
	return cmd
}

func newPolicyExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain REPO/PATH",
		Short: "Say which rule applies to an artifact, and why not the others",
		Example: `  hallmark policy explain libs-staging-local/app/1.4.2/app.tgz
  hallmark policy explain libs-staging-local/app/1.4.2/app.tgz --event artifact/copied -o json`,
		Args: cobra.ExactArgs(1),
	}
	load, output := policyFlags(cmd), outputFlag(cmd)
	event := cmd.Flags().String("event", "artifact/deployed", "event that would announce the artifact")
	instance := cmd.Flags().String("instance", "", "Artifactory instance (default: the first in the configuration)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, _, err := load()
		if err != nil {
			return err
		}
		name := *instance
		if name == "" {
			c, err := loadConfig(cmd.Flag("config").Value.String())
			if err != nil {
				return err
			}
			name = c.Artifactory[0].Name
		}
		ref, err := artifact.ParseRef(name, args[0])
		if err != nil {
			return err
		}
		subject := artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: ref}}
		e := api.Explain(ref, *event, set.Decide(policy.Request{Subject: subject, Event: *event}))
		return show(cmd.OutOrStdout(), *output, e, func(w io.Writer) { explanationText(w, e) })
	}
	return cmd
}

// policyFlags adds --config and --dir, and returns what loads the set.
func policyFlags(cmd *cobra.Command) func() (*policy.Set, string, error) {
	config := configFlag(cmd)
	dir := cmd.Flags().String("dir", "", "policy directory (default: policies.dir of the configuration)")
	_ = cmd.MarkFlagDirname("dir")
	return func() (*policy.Set, string, error) {
		c, err := loadConfig(*config)
		if err != nil {
			return nil, "", err
		}
		if *dir != "" {
			c.Policies.Dir = *dir
		}
		set, err := c.loadPolicies()
		return set, c.Policies.Dir, err
	}
}

func explanationText(w io.Writer, e api.Explanation) {
	switch e.Decision {
	case "sign":
		fmt.Fprintf(w, "SIGN  %s\n", e.Artifact)
		fmt.Fprintf(w, "  rule      %s\n", e.Rule)
		for _, o := range e.Orders {
			fmt.Fprintf(w, "  key       %s as %s\n", o.Key, strings.Join(o.Formats, ", "))
		}
	case "deny":
		fmt.Fprintf(w, "DENY  %s\n", e.Artifact)
		for _, r := range e.Reasons {
			fmt.Fprint(w, r.Text())
		}
	default:
		fmt.Fprintf(w, "SKIP  %s\n  because   %s\n", e.Artifact, e.Skip)
	}
	for _, c := range e.Considered {
		word := "no match"
		if c.Matched {
			word = "matches "
		}
		fmt.Fprintf(w, "  %s  %s: %s\n", word, c.Rule, c.Why)
	}
}
