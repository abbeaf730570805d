// Package sandbox starts a whole small world on one machine: a stand-in Artifactory, a SoftHSM token with a fresh key,
// and the real hallmark binary between them. The demo, the end-to-end tests and the benchmarks all run in it.
package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
)

// Names that the sandbox's configuration and policies use.
const (
	Main       = "main" // the instance that every sandbox has
	Staging    = "libs-staging-local"
	Release    = "libs-release-local"
	Key        = "release-2026"
	Developer  = "dev1"
	Annotator  = "mallory"                // may write everything in staging but owns no key
	Promoter   = "hallmark-promoter"      // the only one who may write to the release repository
	Subscriber = "hallmark-main-artifact" // what hallmark webhook install makes
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
}

// Sandbox is a running world. Stop it when done.
type Sandbox struct {
	Config
	Artifactory *standin.Server
	URL         string // of the service
	MetricsURL  string
	Others      map[string]*standin.Server // by name
	tokens      map[string]string
	reserved    []*os.File // locks on the ports in use
	process     *process
}

// process is one run of the service. Anyone may wait for done; err may be read afterwards.
type process struct {
	*exec.Cmd
	done chan struct{}
	err  error
}

func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
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
	if err := s.writeConfig(""); err != nil {
		return nil, err
	}
	if err := s.makeKey(ctx); err != nil {
		return nil, err
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

// Serve starts the service and waits until it is ready. Use it after Kill to start it again.
func (s *Sandbox) Serve(ctx context.Context) error {
	out := s.Output
	if out == nil {
		f, err := os.OpenFile(s.Path("hallmark.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		out = f
	}
	p := &process{Cmd: s.Command(context.WithoutCancel(ctx), append([]string{"serve", "--config", s.Path("hallmark.yaml")}, s.Flags...)...), done: make(chan struct{})}
	p.Stdout, p.Stderr = out, out
	p.Env = append(p.Env, s.Env...)
	if err := p.Start(); err != nil {
		return fmt.Errorf("starting the service: %w", err)
	}
	go func() {
		defer close(p.done)
		p.err = p.Wait()
	}()
	s.process = p
	return s.ready(ctx)
}

// ready polls /readyz: the process has no other way to say so.
func (s *Sandbox) ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.MetricsURL+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.process.done:
			log, _ := os.ReadFile(s.Path("hallmark.log"))
			return fmt.Errorf("the service ended before it was ready: %w\n%s", s.process.err, tail(log))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the service: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Kill ends the service without warning, as a crash would.
func (s *Sandbox) Kill() error { return s.signal(syscall.SIGKILL) }

// Terminate asks the service to drain and waits for it.
func (s *Sandbox) Terminate() error { return s.signal(syscall.SIGTERM) }

func (s *Sandbox) signal(sig syscall.Signal) error {
	p := s.process
	if !p.running() {
		return errors.New("the service does not run")
	}
	if err := p.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	if sig == syscall.SIGKILL {
		return nil
	}
	return p.err
}

// PID is the service's process id; 0 when it does not run.
func (s *Sandbox) PID() int {
	if !s.process.running() {
		return 0
	}
	return s.process.Process.Pid
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

func tail(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
