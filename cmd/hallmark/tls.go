package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// listen opens a listener; with a certificate it speaks TLS.
func listen(ctx context.Context, address string, cert *certificate) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listening on %s: another process has this address; stop it, or change server.listen or server.metrics", address)
	case err != nil:
		return nil, fmt.Errorf("listening on %s: %w; correct server.listen or server.metrics", address, err)
	case cert == nil:
		return l, nil
	}
	return tls.NewListener(l, &tls.Config{GetCertificate: cert.get, MinVersion: tls.VersionTLS12}), nil
}

// certificate is the server's key pair, read again when its files change, so that a renewal needs no restart.
type certificate struct {
	files TLSConfig
	log   *slog.Logger

	mu    sync.Mutex // held while the pair is compared with its files, which is short: they are small and local
	pair  *tls.Certificate
	since [2]time.Time
}

// newCertificate reads the pair; nil without error when none is configured.
func newCertificate(files TLSConfig, log *slog.Logger) (*certificate, error) {
	if files.Certificate == "" {
		return nil, nil //nolint:nilnil // no certificate is a valid choice, not a failure
	}
	c := &certificate{files: files, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("loading the server's certificate: %w; correct server.tls", err)
	}
	return c, nil
}

// get is tls.Config.GetCertificate. A changed pair that cannot be used is logged and the old one stays.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed() != c.since {
		if err := c.load(); err != nil {
			c.since = c.changed() // once per change, not per connection
			c.log.ErrorContext(hello.Context(), "the renewed server certificate cannot be used; the old one stays", slog.Any("err", err))
		} else {
			c.log.InfoContext(hello.Context(), "server certificate renewed", slog.Time("not_after", c.pair.Leaf.NotAfter))
		}
	}
	return c.pair, nil
}

func (c *certificate) load() error {
	since := c.changed()
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return err
	}
	c.pair, c.since = &pair, since
	return nil
}

// changed is when each file was written; zero when it cannot be told.
func (c *certificate) changed() (at [2]time.Time) {
	for i, name := range [...]string{c.files.Certificate, c.files.Key} {
		if info, err := os.Stat(name); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}
