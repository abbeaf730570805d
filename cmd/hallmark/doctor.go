package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything the service needs, one by one",
		Long: `Check everything the service needs, one by one, and say what to do about what is wrong:
configuration, policies, PKCS#11 module, slots, token, PIN, keys and their pins, a test
signature, Artifactory and the token's rights there, the database.

A PIN is tried once and never again. Exit status: 0 all well, 1 something is wrong.`,
		Example: `  hallmark doctor --config /etc/hallmark/hallmark.yaml
  hallmark doctor --config hallmark.yaml -o json`,
		Args: cobra.NoArgs,
	}
	config, output := configFlag(cmd), outputFlag(cmd)
	software := cmd.Flags().Bool("insecure-software-keys", false, "accept keys that are PEM files, as serve would with this flag")
	timeout := cmd.Flags().Duration("timeout", time.Minute, "how long all checks may take together")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		checks := examine(ctx, *config, *software)
		if err := show(cmd.OutOrStdout(), *output, checks, func(w io.Writer) { checksText(w, checks) }); err != nil {
			return err
		}
		for _, c := range checks {
			if !c.OK {
				return &refusedError{}
			}
		}
		return nil
	}
	return cmd
}

// examine runs every check whose ground is sound.
func examine(ctx context.Context, file string, software bool) []hsm.Check {
	c, err := loadConfig(file)
	checks := []hsm.Check{verdict("configuration is sound", file, err, "correct the places named; docs/configuration.md lists every key")}
	if err != nil {
		return checks
	}
	set, err := c.loadPolicies()
	detail := ""
	if err == nil {
		detail = "policy set sha256:" + set.Digest().String()
	}
	checks = append(checks, verdict("policies are sound", detail, err, "correct the places named, then: hallmark policy check"))
	checks = append(checks, hsm.Diagnose(ctx, c.Tokens, c.Keys, hsm.Options{AllowSoftwareKeys: software})...)
	var repositories []string
	if set != nil {
		repositories = set.Repositories()
	}
	for _, a := range c.Artifactory {
		checks = append(checks, examineArtifactory(ctx, a, repositories)...)
	}
	err = ledger.Check(ctx, c.Database)
	if errors.Is(err, ledger.ErrInUse) {
		return append(checks, hsm.Check{Name: "database is writable", OK: true, Detail: "in use by a running service, which checks it itself (/readyz)"})
	}
	return append(checks, verdict("database is writable", "", err, "check the path, its owner and the free space, or the PostgreSQL account"))
}

func examineArtifactory(ctx context.Context, a artifactory.Config, repositories []string) []hsm.Check {
	name := "artifactory " + a.Name
	client, err := artifactory.New(a, artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return []hsm.Check{verdict(name+" is configured", "", err, "correct its entry in the configuration")}
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return []hsm.Check{verdict(name+" is reachable", client.URL(), err, "check url, DNS, firewall and the certificate (ca)")}
	}
	checks := []hsm.Check{verdict(name+" is reachable", client.URL(), nil, "")}
	release, err := client.Version(ctx)
	checks = append(checks, verdict(name+" accepts the token", "release "+release, err, "make a new access token and put it into "+a.Token.File))
	if err != nil {
		return checks
	}
	for _, repo := range repositories {
		checks = append(checks, examineRepository(ctx, client, a.Name, repo))
	}
	return checks
}

// examineRepository checks one repository that policies name. A repository that only gates name needs no more than
// read; which of the two it is cannot be told from the name alone, so what is missing is said and not judged beyond
// read.
func examineRepository(ctx context.Context, client *artifactory.Client, instance, repo string) hsm.Check {
	name := fmt.Sprintf("repository %s on %s", repo, instance)
	r, err := client.Repository(ctx, repo)
	if errors.Is(err, artifact.ErrGone) {
		return hsm.Check{Name: name, Detail: "it does not exist, or the token may not see it", Fix: "correct the policy, or create the repository"}
	}
	if err != nil {
		return verdict(name, "", err, "see the error")
	}
	rights, err := client.Rights(ctx, repo)
	if err != nil {
		return verdict(name, "", err, "see the error")
	}
	detail := fmt.Sprintf("read %s, annotate %s, deploy %s", rights.Read, rights.Annotate, rights.Deploy)
	if r.Class != "" {
		detail = r.Class + "; " + detail
	}
	check := hsm.Check{Name: name, OK: rights.Read != artifactory.No, Detail: detail}
	if !check.OK {
		check.Fix = "grant the token's user read on " + repo
	} else if rights.Annotate == artifactory.No || rights.Deploy == artifactory.No {
		check.Detail += " (enough for a gate's target; to sign here grant annotate and deploy)"
	}
	return check
}

func verdict(name, detail string, err error, fix string) hsm.Check {
	if err != nil {
		return hsm.Check{Name: name, Detail: err.Error(), Fix: fix}
	}
	return hsm.Check{Name: name, OK: true, Detail: detail}
}

func checksText(w io.Writer, checks []hsm.Check) {
	rows := make([][]string, len(checks))
	bad := 0
	for i, c := range checks {
		word := "ok"
		if !c.OK {
			word, bad = "FAIL", bad+1
		}
		rows[i] = []string{word, c.Name, c.Detail}
	}
	table(w, []string{"", "CHECK", "FOUND"}, rows)
	for _, c := range checks {
		if !c.OK {
			fmt.Fprintf(w, "\n%s\n  found     %s\n  fix       %s\n", c.Name, c.Detail, c.Fix)
		}
	}
	if bad == 0 {
		fmt.Fprintf(w, "\nall %d checks passed\n", len(checks))
	} else {
		fmt.Fprintf(w, "\n%d of %d checks failed\n", bad, len(checks))
	}
}
