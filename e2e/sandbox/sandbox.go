// Package sandbox starts a whole small world on one machine: a stand-in Artifactory, a SoftHSM token with a fresh key,
// and the real hallmark binary between them. The demo, the end-to-end tests and the benchmarks all run in it.
package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
)

// Names that the sandbox's configuration and policies use.
const (
	Main       = "main" // the instance that every sandbox has
	Staging    = "libs-staging-local"
	Release    = "libs-release-local"
	Key        = "release-2026"
	Developer  = "dev1"
	Annotator  = "mallory"                  // may write everything in staging but owns no key
	Promoter   = "hallmark-promoter"        // the only one who may write to the release repository
	Subscriber = "hallmark-main-artifact"   // what hallmark webhook install makes
	Issuer     = "https://hallmark.example" // of certificates, with Trust; its host names the log
	Identity   = Issuer + "/keys/" + Key    // in certificates of what policy has Key sign
)

// Config says where and how. Dir and Hallmark are required.
type Config struct {
	Dir       string                // empty directory that everything is kept in
	Hallmark  string                // path of the hallmark binary
	Database  string                // ledger URL; default: SQLite below Dir
	Workers   int                   // queue.workers; 0 leaves the default
	Sweep     string                // the configuration's sweep section, in one line of YAML; "" switches the periodic sweep off
	Algorithm string                // of the key; default P-256
	Module    string                // PKCS#11 library; default SoftHSM's
	Output    io.Writer             // the service's log; default a file below Dir
	Standin   func(*standin.Config) // last changes to the stand-in's configuration
	Formats   []string              // what policy signs as; default sigstore and raw
	Policies  string                // added to the policies; begins with ---
	Env       []string              // added to the environment of the service
	Flags     []string              // added to the command line of the service
	Timing    standin.WebhookTiming // how the stand-in delivers webhooks
	Instances []string              // names of further instances, each with its own stand-in, secrets and webhook
	Trust     bool                  // authorities, clock and log on the token: signatures reach trust level 3

	TrustLevel int // that the gate demands; default the gate's own
}

// Sandbox is a running world. Stop it when done.
type Sandbox struct {
	Config
	Artifactory *standin.Server
	URL         string // of the service
	MetricsURL  string
	Others      map[string]*standin.Server // by name
	tokens      map[string]string
	keys, trust string     // of hallmark.yaml
	reserved    []*os.File // locks on the ports in use
	process     *process
}

// Start builds and starts everything, and returns when the service is ready. What it started is stopped again when it
// fails.
func Start(ctx context.Context, c Config) (_ *Sandbox, err error) {
	s := &Sandbox{Config: c, Others: map[string]*standin.Server{}, tokens: map[string]string{}}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := s.startArtifactory(); err != nil {
		return nil, err
	}
	if err := s.initToken(ctx); err != nil {
		return nil, err
	}
	if err := s.writeConfig(); err != nil {
		return nil, err
	}
	if err := s.makeKey(ctx); err != nil {
		return nil, err
	}
	if s.Trust {
		if err := s.makeAuthorities(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.Serve(ctx); err != nil {
		return nil, err
	}
	for _, instance := range append([]string{Main}, c.Instances...) {
		if err := s.subscribe(ctx, instance); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Stop ends everything that Start began. The directory stays.
func (s *Sandbox) Stop() {
	if s.process.running() {
		_ = s.Terminate()
	}
	if s.Artifactory != nil {
		_ = s.Artifactory.Close()
	}
	for _, other := range s.Others {
		_ = other.Close()
	}
	for _, f := range s.reserved {
		_ = f.Close()
	}
}

// Run executes one hallmark command as a user would and returns what it printed and its exit code.
func (s *Sandbox) Run(ctx context.Context, args ...string) (output string, code int, err error) {
	cmd := s.Command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), exit.ExitCode(), nil
	}
	return out.String(), 0, err
}

// Command is one hallmark command that has not begun, in the sandbox's work directory and environment.
func (s *Sandbox) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Hallmark, args...)
	cmd.Dir = s.Path("work")
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+s.Path("softhsm2.conf"), "HALLMARK_SERVER="+s.URL,
		"HALLMARK_TOKEN_FILE="+s.Path("secrets", "caller"), "HALLMARK_CONFIG="+s.Path("hallmark.yaml"),
		"HALLMARK_ADMIN_TOKEN_FILE="+s.Path("secrets", "admin"))
	return cmd
}

// Path names a file below the sandbox's directory.
func (s *Sandbox) Path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}
