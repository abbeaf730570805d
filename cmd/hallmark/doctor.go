package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything the service needs, one by one",
		Long: `Check everything the service needs, one by one, and say what to do about what is wrong:
configuration, policies, addresses and certificates, PKCS#11 module, slots, token, PIN, keys
and their pins, a test signature, issuing, clock and log (trust), Artifactory and the token's
rights there, the database.

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
	checks = append(checks, examineServer(ctx, c.Server)...)
	checks = append(checks, examineAuthorities(c, time.Now())...)
	checks = append(checks, hsm.Diagnose(ctx, values(c.Tokens), values(c.Keys), hsm.Options{AllowSoftwareKeys: software})...)
	checks = append(checks, c.examineTrust(ctx, software)...)
	for _, a := range values(c.Artifactory) {
		checks = append(checks, examineInstance(ctx, a, set)...)
	}
	return append(checks, examineDatabase(ctx, c.Database.Value))
}

// examineInstance checks one Artifactory and the repositories there that policies name; set may be nil.
func examineInstance(ctx context.Context, a artifactory.Config, set *policy.Set) []hsm.Check {
	name := "artifactory " + a.Name
	_, err := webhookInstance(a)
	checks := []hsm.Check{verdict(name+": webhook secrets", fmt.Sprintf("%d readable", len(a.WebhookSecrets)), err,
		"put the secret of the webhook alone into the file, readable by this user")}
	client, err := artifactory.New(a, artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return append(checks, verdict(name+": token and certificates", "", err, "correct what the message names"))
	}
	defer client.Close()
	err = client.Ping(ctx)
	if status := (*artifactory.StatusError)(nil); errors.As(err, &status) && status.Status == http.StatusUnauthorized {
		err = nil // it answers; the token is the next check's matter
	}
	checks = append(checks, verdict(name+": reachable", client.URL(), err, "check url, DNS, firewall and the certificate (ca)"))
	if err != nil {
		return checks
	}
	release, err := client.Version(ctx)
	checks = append(checks, verdict(name+": token accepted", "release "+release, err, "make a new access token and put it into "+a.Token.File))
	if err != nil || set == nil {
		return checks
	}
	checks = append(checks, examineRepositories(ctx, client, a.Name, set)...)
	checks = append(checks, examineFacts(ctx, client, a.Name, set)...)
	return append(checks, examinePromoting(ctx, a, set)...)
}

func verdict(name, detail string, err error, fix string) hsm.Check {
	if err != nil {
		return hsm.Check{Name: name, Detail: err.Error(), Fix: fix}
	}
	return hsm.Check{Name: name, OK: true, Detail: detail}
}

// checksText prints a line per check, then what is wrong in full.
func checksText(w io.Writer, checks []hsm.Check) {
	rows := make([][]string, len(checks))
	bad := 0
	for i, c := range checks {
		rows[i] = []string{"ok", c.Name, c.Detail}
		if !c.OK {
			rows[i] = []string{"FAIL", c.Name, "see below"}
			bad++
		}
	}
	table(w, []string{"", "CHECK", "FOUND"}, rows)
	for _, c := range checks {
		if !c.OK {
			fmt.Fprintf(w, "\n%s\n  found     %s\n  fix       %s\n", c.Name, strings.ReplaceAll(c.Detail, "\n", "\n            "), c.Fix)
		}
	}
	if bad == 0 {
		fmt.Fprintf(w, "\nall %d checks passed\n", len(checks))
	} else {
		fmt.Fprintf(w, "\n%d of %d checks failed\n", bad, len(checks))
	}
}
