package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
	s.keys = fmt.Sprintf("  - name: %s\n    token: hsm\n    spki: %s\n    lane: release\n", Key, key.SPKI)
	return s.writeConfig()
}

// makeAuthorities makes root, issuing authority, clock and log as the manual says, and takes what the command prints into
// the configuration.
func (s *Sandbox) makeAuthorities(ctx context.Context) error {
	cmd := s.Command(ctx, "ca", "init", "--token", "hsm", "--issuer", Issuer, "--organization", "Example", "--dir", s.Path("trust"), "-o", "json")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("making the authorities: %w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return fmt.Errorf("making the authorities: %w", err)
	}
	var made struct {
		YAML string `json:"yaml"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return fmt.Errorf("reading what ca init made: %w\n%s", err, out)
	}
	keys, trust, ok := strings.Cut(strings.TrimPrefix(made.YAML, "keys:\n"), "trust:\n")
	if !ok {
		return fmt.Errorf("ca init prints no trust section:\n%s", made.YAML)
	}
	s.keys, s.trust = s.keys+keys, "trust:\n"+trust
	return s.writeConfig()
}
