package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair writes a new self-signed certificate, and gives the files a time of their own.
func pair(t *testing.T, files TLSConfig, serial int64, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "PRIVATE KEY", Bytes: der},
	} {
		require.NoError(t, os.WriteFile(name, pem.EncodeToMemory(block), 0o600))
		at := time.Unix(serial*1000, 0)
		require.NoError(t, os.Chtimes(name, at, at))
	}
}

// A renewed certificate is served without a restart; one that cannot be used leaves the old one in place.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := TLSConfig{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	tomorrow := time.Now().Add(24 * time.Hour)
	pair(t, files, 1, tomorrow)
	var log bytes.Buffer
	cert, err := newCertificate(files, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	l, err := listen(t.Context(), "127.0.0.1:0", cert)
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	served := func() int64 {
		t.Helper()
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := l.Accept()
			if err == nil {
				_ = c.(*tls.Conn).HandshakeContext(context.Background())
				_ = c.Close()
			}
		}()
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		<-done
		state := c.(*tls.Conn).ConnectionState()
		require.GreaterOrEqual(t, state.Version, uint16(tls.VersionTLS12))
		return state.PeerCertificates[0].SerialNumber.Int64()
	}
	require.EqualValues(t, 1, served())
	pair(t, files, 2, tomorrow)
	require.EqualValues(t, 2, served())
	require.Contains(t, log.String(), "renewed")

	require.NoError(t, os.WriteFile(files.Certificate, []byte("half written"), 0o600))
	require.EqualValues(t, 2, served())
	require.EqualValues(t, 2, served())
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("the old one stays")), "once per change")
	pair(t, files, 3, tomorrow)
	require.EqualValues(t, 3, served())

	require.True(t, examineCertificate(files).OK)
	pair(t, files, 4, time.Now().Add(-time.Hour))
	check := examineCertificate(files)
	require.False(t, check.OK)
	require.Contains(t, check.Detail, "expired")
}

func TestListenSaysWhoIsInTheWay(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, err = listen(t.Context(), l.Addr().String(), nil)
	require.ErrorContains(t, err, "another process has this address")
	_, err = listen(t.Context(), "203.0.113.1:80", nil)
	require.ErrorContains(t, err, "server.listen")
}
