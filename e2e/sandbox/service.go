package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

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

func tail(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
