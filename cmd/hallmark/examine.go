package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// The parts of doctor that have more than one question.

// examineServer checks the addresses and the certificate. Addresses that a running service of the same configuration
// holds are as they should be.
func examineServer(ctx context.Context, s ServerConfig) []hsm.Check {
	var checks []hsm.Check
	for _, address := range [...]string{s.Listen, s.Metrics} {
		check := hsm.Check{Name: "address " + address, OK: true, Detail: "free"}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		switch {
		case err == nil:
			_ = l.Close()
		case errors.Is(err, syscall.EADDRINUSE) && serviceAnswers(ctx, s.Metrics):
			check.Detail = "in use by a running service"
		default:
			check = hsm.Check{Name: check.Name, Detail: err.Error(), Fix: "stop the process that has the address, or change server.listen or server.metrics"}
		}
		checks = append(checks, check)
	}
	if s.TLS.Certificate != "" {
		checks = append(checks, examineCertificate(s.TLS))
	}
	return checks
}

// serviceAnswers reports whether a hallmark process answers on the metrics address.
func serviceAnswers(ctx context.Context, address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func examineCertificate(files TLSConfig) hsm.Check {
	const name = "server certificate"
	fix := "renew it, and check that certificate and key belong together"
	c, err := newCertificate(files, slog.New(slog.DiscardHandler))
	if err != nil {
		return verdict(name, "", err, fix)
	}
	leaf := c.pair.Leaf
	if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		err = x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired, Detail: "valid from " + leaf.NotBefore.Format(time.RFC3339) + " to " + leaf.NotAfter.Format(time.RFC3339)}
	}
	return verdict(name, fmt.Sprintf("for %v, until %s", leaf.DNSNames, leaf.NotAfter.Format(time.DateOnly)), err, fix)
}

// examineRepositories checks each repository that a policy names. Where artifacts are signed, the token must also
// annotate and deploy; where a gate only guards, it need not have any right: a gate reads at the artifact's own place.
func examineRepositories(ctx context.Context, client *artifactory.Client, instance string, set *policy.Set) []hsm.Check {
	signed, guarded := set.Repositories(instance)
	var checks []hsm.Check
	for _, repo := range signed {
		checks = append(checks, examineSigned(ctx, client, instance, repo))
	}
	for _, repo := range guarded {
		if !slices.Contains(signed, repo) {
			checks = append(checks, examineGuarded(ctx, client, instance, repo))
		}
	}
	return checks
}

func examineSigned(ctx context.Context, client *artifactory.Client, instance, repo string) hsm.Check {
	name := fmt.Sprintf("artifactory %s: signs in %s", instance, repo)
	r, err := client.Repository(ctx, repo)
	if keepsBundles(r, repo) {
		return examineBundles(ctx, client, name, repo)
	}
	if errors.Is(err, artifact.ErrGone) {
		return gone(name, instance)
	}
	if err != nil {
		return verdict(name, "", err, "see the message")
	}
	if check, wrong := elsewhere(ctx, client, r, name); wrong {
		return check
	}
	rights, err := client.Rights(ctx, repo)
	if err != nil {
		return verdict(name, "", err, "see the message")
	}
	check := hsm.Check{Name: name, OK: true, Detail: fmt.Sprintf("read %s, annotate %s, deploy %s", rights.Read, rights.Annotate, rights.Deploy)}
	if r.Class != "" {
		check.Detail = string(r.Class) + " repository; " + check.Detail
	}
	if slices.Contains([]artifactory.Answer{rights.Read, rights.Annotate, rights.Deploy}, artifactory.No) {
		check.OK, check.Fix = false, "grant the token's user read, annotate and deploy on "+repo
	}
	return check
}

func examineGuarded(ctx context.Context, client *artifactory.Client, instance, repo string) hsm.Check {
	name := fmt.Sprintf("artifactory %s: guards %s", instance, repo)
	r, err := client.Repository(ctx, repo)
	if keepsBundles(r, repo) && errors.Is(err, artifact.ErrGone) {
		return examineBundles(ctx, client, name, repo)
	}
	if errors.Is(err, artifact.ErrGone) {
		return gone(name, instance)
	}
	if err != nil {
		return verdict(name, "", err, "see the message")
	}
	if check, wrong := elsewhere(ctx, client, r, name); wrong {
		return check
	}
	if r.Class == "" {
		return hsm.Check{Name: name, OK: true, Detail: "is there; its class is closed to the token"}
	}
	return hsm.Check{Name: name, OK: true, Detail: string(r.Class) + " repository"}
}

// elsewhere is the complaint about a repository whose files lie in another: a policy that names it is about no file.
func elsewhere(ctx context.Context, client *artifactory.Client, r artifact.Repository, name string) (hsm.Check, bool) {
	check := hsm.Check{Name: name, Detail: string(r.Class) + " repository: no file is stored in it, so the policy is about none"}
	switch r.Class {
	case artifact.Virtual:
		check.Fix = "policies match the local repository that holds the bytes: write its name"
		holders, _ := client.Holders(ctx, r.Key)
		holders = slices.DeleteFunc(holders, func(key string) bool {
			h, err := client.Repository(ctx, key)
			return err != nil || h.Class == artifact.Cache
		})
		if len(holders) > 0 {
			check.Fix = "policies match the local repository that holds the bytes: write " + strings.Join(holders, " or ")
		}
	case artifact.Remote, artifact.Cache:
		check.Detail = string(r.Class) + " repository: Artifactory alone stores files in it, so no signature can stand beside one"
		check.Fix = "name the local or federated repository that its files are promoted to"
	default:
		return hsm.Check{}, false
	}
	return check, true
}

func gone(name, instance string) hsm.Check {
	return hsm.Check{
		Name: name, Detail: "there is no such repository on " + instance + ", or the token may not see it",
		Fix: "correct the policy (or limit it with instances), create the repository, or grant the token's user read on it",
	}
}

// examineDatabase proves that the ledger can be written, or made, and leaves it as it is. A file that a running service holds is that service's to check.
func examineDatabase(ctx context.Context, c ledger.Config) hsm.Check {
	const name = "database is writable"
	found, err := ledger.Check(ctx, c)
	if errors.Is(err, ledger.ErrInUse) {
		return hsm.Check{Name: name, OK: true, Detail: "in use by a running service, which checks it itself (/readyz)"}
	}
	return verdict(name, found, err, "check the path, its owner and the free space, or the PostgreSQL account")
}
