package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Run the service: receive webhooks, sign by policy, answer the promotion gate.

It refuses to start when a key, the HSM, a policy or the database is broken, and says
which and what to do. On SIGTERM it takes no new work, finishes what runs and exits.`,
		Example: `  hallmark serve --config /etc/hallmark/hallmark.yaml
  hallmark serve --config hallmark.yaml --log-format text --log-level debug`,
		Args: cobra.NoArgs,
	}
	config := configFlag(cmd)
	level := cmd.Flags().String("log-level", "info", "debug, info, warn or error")
	format := cmd.Flags().String("log-format", "json", "json or text")
	software := cmd.Flags().Bool("insecure-software-keys", false, "allow keys that are PEM files. NOT FOR PRODUCTION: anyone who reads the file owns the key")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := newLogger(*level, *format)
		if err != nil {
			return err
		}
		c, err := loadConfig(*config)
		if err != nil {
			return err
		}
		if *software {
			log.WarnContext(cmd.Context(), "SOFTWARE KEYS ARE ALLOWED. Signatures by them prove nothing: anyone who can read the key file can make them. Never use this for a release.")
		}
		return serve(cmd.Context(), c, *software, log)
	}
	return cmd
}

func newLogger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is unknown: debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	default:
		return nil, fmt.Errorf("log format %q is unknown: json or text", format)
	}
}

// serve runs until ctx ends, then drains: listeners first, so that no event is acknowledged that is not stored; then
// the queue; the database last.
func serve(ctx context.Context, c *Config, software bool, log *slog.Logger) error {
	s, err := newService(ctx, c, software, log)
	if err != nil {
		return err
	}
	defer s.close()
	public, err := listen(ctx, c.Server.Listen, c.Server.TLS)
	if err != nil {
		return err
	}
	admin, err := listen(ctx, c.Server.Metrics, TLSConfig{})
	if err != nil {
		return err
	}
	if err := s.queue.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	log.InfoContext(ctx, "ready", slog.String("listen", public.Addr().String()), slog.String("metrics", admin.Addr().String()),
		slog.String("version", version), slog.String("policy_set", s.policies.Digest().String()), slog.Int("keys", len(s.keys.Keys())))

	group, ctx := errgroup.WithContext(ctx)
	for _, server := range []struct {
		http *http.Server
		on   net.Listener
	}{{api.NewServer(s.public, log), public}, {api.NewServer(s.admin, log), admin}} {
		group.Go(func() error {
			if err := server.http.Serve(server.on); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving %s: %w", server.on.Addr(), err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Server.Drain)
			defer cancel()
			return server.http.Shutdown(drain)
		})
	}
	err = group.Wait()
	log.InfoContext(ctx, "draining", slog.Duration("at_most", c.Server.Drain))
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Server.Drain)
	defer cancel()
	start := time.Now()
	err = errors.Join(err, s.queue.Stop(drain))
	log.InfoContext(ctx, "stopped", slog.Duration("took", time.Since(start)))
	return err
}

func listen(ctx context.Context, address string, t TLSConfig) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w (is another process there?)", address, err)
	}
	if t.Certificate == "" {
		return l, nil
	}
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("loading the server's certificate: %w", err)
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), nil
}
