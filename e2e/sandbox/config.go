package sandbox

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeConfig writes hallmark.yaml and the policies, with the keys and the trust section that there are by now.
func (s *Sandbox) writeConfig() error {
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
	if s.keys != "" {
		fmt.Fprintf(&b, "keys:\n%s", s.keys)
	}
	fmt.Fprint(&b, s.trust)
	if s.Workers > 0 {
		fmt.Fprintf(&b, "queue:\n  workers: %d\n", s.Workers)
	}
	fmt.Fprintf(&b, "policies: {dir: %s, noMatch: skip}\n", s.Path("policies"))
	if s.Sweep != "" {
		fmt.Fprintf(&b, "sweep: %s\n", s.Sweep)
	} else {
		fmt.Fprint(&b, "sweep: {off: true}\n") // its first run comes at a moment left to chance
	}
	fmt.Fprintf(&b, "api:\n  tokens:\n    - {name: sandbox, sha256: %x, roles: [gate, sign, status, promote, sweep, admin, auditor]}\n", caller)
	level := ""
	if s.TrustLevel > 0 {
		level = fmt.Sprintf("  trustLevel: %d\n", s.TrustLevel)
	}
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
%s%s`, Staging, Key, strings.Join(s.Formats, ", "), Release, level, s.Policies)
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
