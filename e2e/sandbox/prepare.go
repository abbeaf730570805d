package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
)

// modules are the places where distributions put SoftHSM's library.
var modules = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
}

// Module finds SoftHSM's PKCS#11 library.
func Module() (string, error) {
	for _, m := range modules {
		if _, err := os.Stat(m); err == nil {
			return m, nil
		}
	}
	return "", errors.New("SoftHSM is not installed: apt-get install softhsm2")
}

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

// initToken makes a SoftHSM token. SoftHSM's tool takes the PINs as arguments only; they are worth nothing outside this
// directory.
func (s *Sandbox) initToken(ctx context.Context) error {
	conf := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", s.Path("tokens"))
	if err := os.WriteFile(s.Path("softhsm2.conf"), []byte(conf), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "softhsm2-util", "--init-token", "--free", "--label", "hallmark",
		"--pin", s.tokens["pin"], "--so-pin", s.tokens["so-pin"])
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+s.Path("softhsm2.conf"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a SoftHSM token: %w\n%s", err, out)
	}
	return nil
}

// makeKey makes the signing key on the token and pins what came out.
func (s *Sandbox) makeKey(ctx context.Context) error {
	out, code, err := s.Run(ctx, "keys", "generate", Key, "--token", "hsm", "--algorithm", s.Algorithm, "-o", "json")
	if err != nil || code != 0 {
		return fmt.Errorf("making the signing key: %w\n%s", err, out)
	}
	var key struct {
		SPKI string `json:"spki"`
		PEM  string `json:"pem"`
	}
	if err := json.Unmarshal([]byte(out), &key); err != nil {
		return fmt.Errorf("reading the new key: %w\n%s", err, out)
	}
	if err := os.WriteFile(s.Path("release.pub"), []byte(key.PEM), 0o600); err != nil {
		return err
	}
	return s.writeConfig(key.SPKI)
}

// writeConfig writes hallmark.yaml and the policies.
func (s *Sandbox) writeConfig(spki string) error {
	caller := sha256.Sum256([]byte(s.tokens["caller"]))
	var b strings.Builder
	fmt.Fprintf(&b, `server:
  listen: %q
  metrics: %q
database:
  url: %q
artifactory:
%stokens:
  - name: hsm
    module: %s
    label: hallmark
    pin: {file: %s}
`, strings.TrimPrefix(s.URL, "http://"), strings.TrimPrefix(s.MetricsURL, "http://"), s.Database, s.instances(), s.Module, s.Path("secrets", "pin"))
	if spki != "" {
		fmt.Fprintf(&b, "keys:\n  - name: %s\n    token: hsm\n    spki: %s\n    lane: release\n", Key, spki)
	}
	if s.Workers > 0 {
		fmt.Fprintf(&b, "queue:\n  workers: %d\n", s.Workers)
	}
	fmt.Fprintf(&b, "policies: {dir: %s, noMatch: skip}\n", s.Path("policies"))
	if s.Sweep != "" {
		fmt.Fprintf(&b, "sweep: %s\n", s.Sweep)
	} else {
		fmt.Fprint(&b, "sweep: {off: true}\n") // its first run comes at a moment left to chance
	}
	fmt.Fprintf(&b, "api:\n  tokens:\n    - {name: sandbox, sha256: %x, roles: [gate, sign, status, promote, sweep, admin]}\n", caller)
	policies := fmt.Sprintf(`kind: SigningPolicy
name: release-binaries
owner: release-managers
match:
  repositories: [%s]
  paths: ["app/**"]
sign:
  - {key: %s, formats: [%s]}
---
kind: GatePolicy
name: libs-release
owner: release-managers
target:
  repositories: [%s]
require:
  signatures:
    - {lane: release, count: 1}
%s`, Staging, Key, strings.Join(s.Formats, ", "), Release, s.Policies)
	return errors.Join(
		os.WriteFile(s.Path("hallmark.yaml"), []byte(b.String()), 0o600),
		os.WriteFile(filepath.Join(s.Path("policies"), "release.yaml"), []byte(policies), 0o600),
	)
}

// instances is the configuration's list of them.
func (s *Sandbox) instances() string {
	var b strings.Builder
	for _, name := range append([]string{Main}, s.Instances...) {
		url := s.Artifactory.URL()
		if other := s.Others[name]; other != nil {
			url = other.URL()
		}
		fmt.Fprintf(&b, "  - name: %s\n    url: %s\n    token: {file: %s}\n    promotionToken: {file: %s}\n    webhookSecrets: [{file: %s}]\n", name, url,
			s.Path("secrets", of(name, "artifactory")), s.Path("secrets", of(name, "promotion")), s.Path("secrets", of(name, "webhook")))
	}
	return b.String()
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
