package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
)

// prepare makes the directory, the secrets and the addresses.
func (s *Sandbox) prepare() error {
	for _, d := range []string{"tokens", "secrets", "policies", "work"} {
		if err := os.MkdirAll(s.Path(d), 0o700); err != nil {
			return err
		}
	}
	names := []string{"pin", "so-pin", "caller"}
	for _, instance := range append([]string{Main}, s.Instances...) {
		for _, name := range []string{"artifactory", "admin", "promotion", "webhook"} {
			names = append(names, of(instance, name))
		}
	}
	for _, name := range names {
		if err := s.secret(name); err != nil {
			return err
		}
	}
	if s.Algorithm == "" {
		s.Algorithm = "P-256"
	}
	if s.Database == "" {
		s.Database = "sqlite://" + s.Path("hallmark.db")
	}
	if len(s.Formats) == 0 {
		s.Formats = []string{"sigstore", "raw"}
	}
	if s.Module == "" {
		module, err := Module()
		if err != nil {
			return err
		}
		s.Module = module
	}
	listen, err := s.reserve()
	if err != nil {
		return err
	}
	metrics, err := s.reserve()
	if err != nil {
		return err
	}
	s.URL, s.MetricsURL = "http://"+listen, "http://"+metrics
	return nil
}

// secret makes a random secret in a file that only this user can read.
func (s *Sandbox) secret(name string) error {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process rather than return an error
	s.tokens[name] = hex.EncodeToString(b[:])
	return os.WriteFile(s.Path("secrets", name), []byte(s.tokens[name]+"\n"), 0o600)
}

func (s *Sandbox) startArtifactory() error {
	var err error
	if s.Artifactory, err = s.startInstance(Main); err != nil {
		return err
	}
	for _, name := range s.Instances {
		if s.Others[name], err = s.startInstance(name); err != nil {
			return err
		}
	}
	return nil
}

// startInstance starts one stand-in.
func (s *Sandbox) startInstance(name string) (*standin.Server, error) {
	c := standin.Config{
		Dir:          s.Path(of(name, "artifactory")),
		Repositories: []standin.Repository{{Key: Staging}, {Key: Release}},
		Webhooks:     s.Timing,
		Tokens: []standin.Token{
			{Value: s.tokens[of(name, "artifactory")], User: "hallmark", Rights: map[string]string{Staging: "rwa", Release: "r"}},
			{Value: s.tokens[of(name, "admin")], User: "admin", Admin: true},
			{Value: s.tokens[of(name, "promotion")], User: Promoter, Rights: map[string]string{Staging: "rd", Release: "rwda", "artifactory-build-info": "rw"}},
			{Value: Developer, User: Developer, Rights: map[string]string{Staging: "rwda"}},
			{Value: Annotator, User: Annotator, Rights: map[string]string{Staging: "rwda"}},
		},
	}
	if s.Standin != nil {
		s.Standin(&c)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	server, err := standin.New(c)
	if err != nil {
		return nil, err
	}
	return server, server.Start("127.0.0.1:0")
}

// of names what belongs to an instance; of the main one by its plain name.
func of(instance, name string) string {
	if instance == Main {
		return name
	}
	return name + "-" + instance
}

// subscribe makes an instance announce what happens in the repositories that policies name.
func (s *Sandbox) subscribe(ctx context.Context, instance string) error {
	out, code, err := s.Run(ctx, "webhook", "install", "--url", s.URL, "--instance", instance, "--admin-token-file", s.Path("secrets", of(instance, "admin")))
	if err != nil || code != 0 {
		return fmt.Errorf("installing the webhook: %w\n%s", err, out)
	}
	return nil
}

// Secret returns one of the sandbox's secrets: pin, so-pin, artifactory, admin, promotion, webhook or caller; of another
// instance by a name such as webhook-mirror.
func (s *Sandbox) Secret(name string) string { return s.tokens[name] }

// Secrets lists all of them: none may ever be printed.
func (s *Sandbox) Secrets() []string { return slices.Collect(maps.Values(s.tokens)) }
