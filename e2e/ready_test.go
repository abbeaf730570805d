package e2e

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func becomes(t *testing.T, s *sandbox.Sandbox, status int) {
	t.Helper()
	eventually(t, func() string { return "/readyz says " + http.StatusText(status) + "\n" + serviceLog(t, s) }, func() bool {
		return probe(t, s.MetricsURL+"/readyz") == status
	})
	require.Equal(t, http.StatusOK, probe(t, s.MetricsURL+"/healthz"), "the process lives all the same")
}

// Without its HSM the service is not ready and signs nothing; events are kept, and signed when it is back.
func TestHSMGoneAndBack(t *testing.T) {
	t.Parallel()
	var c sandbox.Config
	shim := counted(t, &c)
	s := start(t, c)
	const removed = 0x32 // CKR_DEVICE_REMOVED
	for _, function := range []string{"C_GetSessionInfo", "C_SignInit", "C_Sign", "C_OpenSession"} {
		shim.Fail(t, function, removed, hsmtest.Forever)
	}
	becomes(t, s, http.StatusServiceUnavailable)
	upload(t, s, "app/meanwhile.bin", "uploaded while the HSM was away")
	eventually(t, func() string { return "the failure is on record" }, func() bool {
		r := hallmark(t, s, "status", sandbox.Staging+"/app/meanwhile.bin")
		return strings.Contains(r.out, "key-unavailable")
	})
	require.Empty(t, state(s, "app/meanwhile.bin"))
	shim.Clear(t)
	becomes(t, s, http.StatusOK)
	awaitSigned(t, s, "app/meanwhile.bin")
}

// Artifactory may be away when the service starts: it starts, is ready, and what it accepts waits in the queue.
func TestStartsWithoutArtifactory(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	require.NoError(t, s.Artifactory.Close())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.Serve(ctx), "ready")

	body := event("deployed", sandbox.Staging, "app/early.bin")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/webhook/main", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-JFrog-Event-Auth", mac(s.Secret("webhook"), body))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	eventually(t, func() string { return "the failure is on record\n" + serviceLog(t, s) }, func() bool {
		return strings.Contains(hallmark(t, s, "status", sandbox.Staging+"/app/early.bin").out, "store-unavailable")
	})
	require.Equal(t, http.StatusOK, probe(t, s.MetricsURL+"/readyz"), "still")
}

// Without its database the service is not ready, tells the sender to come back, signs nothing and allows nothing; with
// the database it goes on by itself.
func TestDatabaseGoneAndBack(t *testing.T) {
	t.Parallel()
	address := ledgertest.URL(t, ledger.Postgres)
	s := start(t, sandbox.Config{Database: address})
	upload(t, s, "app/before.bin", "before")
	awaitSigned(t, s, "app/before.bin")

	u, err := url.Parse(address)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	db, err := sql.Open("pgx", u.String())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	connections := func(allowed string) {
		_, err := db.ExecContext(t.Context(), "ALTER DATABASE "+name+" ALLOW_CONNECTIONS "+allowed)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
		require.NoError(t, err)
	}
	connections("false")
	becomes(t, s, http.StatusServiceUnavailable)

	body := event("deployed", sandbox.Staging, "app/before.bin")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/webhook/main", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-JFrog-Event-Auth", mac(s.Secret("webhook"), body))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))

	r := hallmark(t, s, "gate", "check", sandbox.Staging+"/app/before.bin", "--target", sandbox.Release)
	require.Equal(t, 2, r.code, r.out)
	require.Contains(t, r.out, "undecided")
	require.NotContains(t, r.out, "ALLOWED")

	upload(t, s, "app/meanwhile.bin", "announced while the database was away")
	eventually(t, func() string { return "a delivery was turned away" }, func() bool {
		for _, d := range s.Artifactory.Deliveries() {
			if d.Event.Path == "app/meanwhile.bin" && d.Status == http.StatusServiceUnavailable {
				return true
			}
		}
		return false
	})
	connections("true")
	becomes(t, s, http.StatusOK)
	awaitSigned(t, s, "app/meanwhile.bin")
	r = hallmark(t, s, "gate", "check", sandbox.Staging+"/app/before.bin", "--target", sandbox.Release)
	require.Equal(t, 0, r.code, r.out)
}
