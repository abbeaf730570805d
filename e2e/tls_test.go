package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// With server.tls webhooks and API speak TLS alone; the command line trusts the system's authorities and no others.
func TestServerTLS(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	run(t, s, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=hallmark",
		"-addext", "subjectAltName=IP:127.0.0.1", "-keyout", s.Path("secrets", "tls.key"), "-out", s.Path("tls.crt"))
	edit(t, s.Path("hallmark.yaml"), "server:\n", "server:\n  tls: {certificate: tls.crt, key: secrets/tls.key}\n")
	require.NoError(t, s.Serve(t.Context()))

	check := []string{"gate", "check", sandbox.Staging + "/app/x", "--target", sandbox.Release}
	r := hallmark(t, s, check...)
	require.Equal(t, 2, r.code, "plain HTTP is refused")
	check = append(check, "--server", strings.Replace(s.URL, "http://", "https://", 1))
	r = hallmark(t, s, check...)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "certificate")
	cmd := s.Command(t.Context(), check...)
	cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+s.Path("tls.crt"))
	require.Equal(t, 1, finish(t, s, cmd).code)
	require.Equal(t, 0, hallmark(t, s, "doctor").code)
}
