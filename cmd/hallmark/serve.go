package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Run the service: receive webhooks, sign by policy, answer the promotion gate.

It refuses to start when a key, the HSM, a policy or the database is broken, and says
which and what to do. Changed policy files are taken up while it runs, within seconds, or at
once on SIGHUP; broken ones are told in the log and the policies before them stay in force.
On SIGTERM it takes no new work, finishes what runs and exits.`,
		Example: `  hallmark serve --config /etc/hallmark/hallmark.yaml
  hallmark serve --config hallmark.yaml --log-format text --log-level debug`,
		Args: cobra.NoArgs,
	}
	config := configFlag(cmd)
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	format := cmd.Flags().String("log-format", "json", "json or text")
	hold := cmd.Flags().Bool("hold-on-refused-pin", false, "after a refused PIN stay up, not ready, until SIGTERM, so that automatic restarts do not spend the tries that lock a token")
	software := cmd.Flags().Bool("insecure-software-keys", false, "allow keys that are PEM files. NOT FOR PRODUCTION: anyone who reads the file owns the key")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := newLogger(cmd.ErrOrStderr(), *level, *format)
		if err != nil {
			return err
		}
		audit.SpeakThrough(log)
		c, err := loadConfig(*config)
		if err != nil {
			return err
		}
		if *software {
			log.WarnContext(cmd.Context(), "SOFTWARE KEYS ARE ALLOWED. Signatures by them prove nothing: anyone who can read the key file can make them. Never use this for a release.")
		}
		err = serve(cmd.Context(), c, *software, log)
		if *hold && errors.Is(err, hsm.ErrPIN) {
			err = errors.Join(err, holdRefusedPIN(cmd.Context(), c, err, log))
		}
		if err != nil {
			return fmt.Errorf("%w\n(to see everything checked one by one: hallmark doctor --config %s)", err, *config)
		}
		return nil
	}
	return cmd
}

// holdRefusedPIN keeps the process alive, answering /healthz and refusing /readyz, without touching the token again.
func holdRefusedPIN(ctx context.Context, c *Config, cause error, log *slog.Logger) error {
	log.ErrorContext(ctx, "a PIN was refused; holding, and trying nothing more, until this process is ended", slog.Any("err", cause))
	handler, err := api.Admin(prometheus.NewRegistry(), []api.Check{{Name: "hsm", Run: func(context.Context) error { return cause }}}, log)
	if err != nil {
		return err
	}
	on, err := listen(ctx, c.Server.Metrics, nil)
	if err != nil {
		return err
	}
	server := api.NewServer(handler, log)
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(on); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", on.Addr(), err)
	}
	return nil
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is unknown: debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("log format %q is unknown: json or text", format)
	}
}

// serve runs until ctx ends, then drains within server.drain: requests first, so that no event is acknowledged that is
// not stored; then the queue; the database last.
func serve(ctx context.Context, c *Config, software bool, log *slog.Logger) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	cert, err := newCertificate(c.Server.TLS, log)
	if err != nil {
		return err
	}
	s, err := newService(ctx, c, software, log)
	if err != nil {
		return err
	}
	defer s.close()
	public, err := listen(ctx, c.Server.Listen, cert)
	if err != nil {
		return err
	}
	admin, err := listen(ctx, c.Server.Metrics, nil)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	if err := s.queue.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	log.InfoContext(ctx, "ready", slog.String("listen", public.Addr().String()), slog.String("metrics", admin.Addr().String()),
		slog.String("version", version), slog.String("policy_set", s.policySet().Digest().String()), slog.Int("keys", len(s.keys.Keys())))

	if len(c.API.Tokens) == 0 {
		log.WarnContext(ctx, "api.tokens is empty: nobody can ask the gate or for a status")
	}

	group, ctx := errgroup.WithContext(ctx)
	run := func(h http.Handler, on net.Listener) *http.Server {
		server := api.NewServer(h, log)
		group.Go(func() error {
			if err := server.Serve(on); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving %s: %w", on.Addr(), err)
			}
			return nil
		})
		return server
	}
	publicServer, adminServer := run(s.public, public), run(s.admin, admin)
	group.Go(func() error {
		s.sweeper.Run(ctx)
		return nil
	})
	group.Go(func() error {
		s.policies.Run(ctx, hangup)
		return nil
	})
	<-ctx.Done()

	s.draining.Store(true)
	s.gate.Stop() // nobody waits for a signature any more
	start := time.Now()
	log.InfoContext(ctx, "draining", slog.Duration("at_most", c.Server.Drain))
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Server.Drain)
	defer cancel()
	if err := publicServer.Shutdown(drain); err != nil {
		log.WarnContext(ctx, "requests were cut off", slog.Any("err", errors.Join(err, publicServer.Close())))
	}
	err = s.queue.Stop(drain)
	err = errors.Join(err, adminServer.Close(), group.Wait()) // last, so that probes and metrics see the drain
	log.InfoContext(ctx, "stopped", slog.Duration("took", time.Since(start)))
	return err
}
