package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
	"github.com/hallmark-signing/hallmark/webhook"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, explain, test and compare policies, and help to write them",
		Example: `  hallmark policy check
  hallmark policy explain libs-staging-local/app/1.4.2/app.tgz
  hallmark policy test policies
  hallmark policy diff /srv/policies policies
  hallmark policy replay --candidate policies --since 30d
  hallmark policy fmt policies/release.yaml
  hallmark policy schema > policies/schema.json`,
	}
	cmd.AddCommand(newPolicyCheck(), newPolicyExplain(), newPolicyTest(), newPolicyDiff(), newPolicyReplay(), newPolicyExport(), newPolicySchema(), newPolicyFmt())
	return cmd
}

// policyCheck is the answer of hallmark policy check.
type policyCheck struct {
	OK        bool             `json:"ok"`
	Dir       string           `json:"dir"`
	PolicySet *artifact.Digest `json:"policySet,omitempty"` // when OK
	Problems  []problem        `json:"problems"`
	Warnings  []string         `json:"warnings"` // what loads and cannot have been meant
}

// problem is one mistake in a file. File and Line are empty when it has no place.
type problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}

func newPolicyCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check every policy file",
		Long: `Check every policy file as the service would at its start: every mistake is listed with file,
line and column. Keys, formats, instances and events that policies may name come from the
configuration. A warning is told where keys are named whose time is over, or has an end.

Exit status: 0 all well, 1 there are mistakes, 2 could not check.`,
		Example: `  hallmark policy check --config hallmark.yaml
  hallmark policy check --config hallmark.yaml --dir policies -o json`,
		Args: cobra.NoArgs,
	}
	configure, output := policyFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := configure()
		if err != nil {
			return err
		}
		set, err := c.loadPolicies()
		answer := policyCheck{OK: err == nil, Dir: c.Policies.Value.Dir, Problems: problems(err), Warnings: []string{}}
		if err == nil {
			digest := set.Digest()
			answer.PolicySet, answer.Warnings = &digest, append(answer.Warnings, set.Retirements(time.Now())...)
		}
		text := func(w io.Writer) {
			if err != nil {
				fmt.Fprintf(w, "REFUSED  %s\n%v\n", answer.Dir, err)
				return
			}
			fmt.Fprintf(w, "ok  %s  policy set sha256:%s\n", answer.Dir, answer.PolicySet)
			for _, warning := range answer.Warnings {
				fmt.Fprintf(w, "warning  %s\n", warning)
			}
		}
		if err := show(cmd.OutOrStdout(), *output, answer, text); err != nil {
			return err
		}
		if !answer.OK {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

// problems lists the mistakes that an error joins.
func problems(err error) []problem {
	out := []problem{}
	if err == nil {
		return out
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if many, ok := e.(interface{ Unwrap() []error }); ok {
			for _, one := range many.Unwrap() {
				out = append(out, problems(one)...)
			}
			return out
		}
	}
	if at := (*strictyaml.Error)(nil); errors.As(err, &at) {
		return append(out, problem{File: at.File, Line: at.Line, Column: at.Column, Message: at.Msg})
	}
	return append(out, problem{Message: err.Error()})
}

func newPolicyExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain REPO/PATH",
		Short: "Say which rule applies to an artifact, and why not the others",
		Long: `Say which signing policy applies to an artifact of this name and why the others do not, and
which gate policies guard the place. Nothing is asked on the network: the artifact need not
exist.`,
		Example: `  hallmark policy explain libs-staging-local/app/1.4.2/app.tgz
  hallmark policy explain libs-staging-local/app/1.4.2/app.tgz --event artifact/copied -o json`,
		Args: cobra.ExactArgs(1),
	}
	configure, output := policyFlags(cmd), outputFlag(cmd)
	event := cmd.Flags().String("event", "artifact/deployed", `event that would announce the artifact; "" for somebody who asks by name`)
	_ = cmd.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(webhook.Events(), cobra.ShellCompDirectiveNoFileComp))
	instance := cmd.Flags().String("instance", "", "Artifactory instance (default: the first in the configuration)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := configure()
		if err != nil {
			return err
		}
		set, err := c.loadPolicies()
		if err != nil {
			return err
		}
		name := *instance
		if name == "" {
			name = c.Artifactory[0].Value.Name
		}
		ref, err := artifact.ParseRef(name, args[0])
		if err != nil {
			return err
		}
		e := set.Explain(ref, *event)
		return show(cmd.OutOrStdout(), *output, e, func(w io.Writer) { fmt.Fprint(w, e.Text()) })
	}
	return cmd
}

// policyFlags adds --config and --dir, and returns what reads the configuration they name.
func policyFlags(cmd *cobra.Command) func() (*Config, error) {
	file := configFlag(cmd)
	dir := cmd.Flags().String("dir", "", "policy directory (default: policies.dir of the configuration)")
	_ = cmd.MarkFlagDirname("dir")
	return func() (*Config, error) {
		c, err := loadConfig(*file)
		if err == nil && *dir != "" {
			c.Policies.Value.Dir = *dir
		}
		return c, err
	}
}
