package trust_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

func TestStamper(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]*memoryKey{"P-256": newKey(t, elliptic.P256()), "P-384": newKey(t, elliptic.P384()), "RSA": newRSAKey(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			realm := newStampRealm(t, key)
			reg := prometheus.NewRegistry()
			s, err := trust.NewStamper(key, realm.chain, trust.StampOptions{Registerer: reg})
			require.NoError(t, err)
			var clock trust.Clock = s
			signature := newKey(t, elliptic.P256()).sign(t, []byte("bytes"))

			before := time.Now()
			token, at, err := clock.Stamp(t.Context(), signature)
			require.NoError(t, err)
			require.WithinRange(t, at, before.Add(-time.Second), time.Now())
			require.EqualValues(t, 1, key.uses.Load(), "one use of the key for one time-stamp")
			require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
				# HELP hallmark_time_stamps_total Time-stamps asked for, by authority and outcome: given, refused (the token did not hold), failed (no token came), paused (not asked, after failures).
				# TYPE hallmark_time_stamps_total counter
				hallmark_time_stamps_total{authority="built-in",outcome="given"} 1
			`), "hallmark_time_stamps_total"))

			ts, err := timestamp.ParseResponse(token)
			require.NoError(t, err)
			require.Equal(t, at, ts.Time)
			require.Equal(t, crypto.SHA256, ts.HashAlgorithm)
			sum := sha256.Sum256(signature)
			require.Equal(t, sum[:], ts.HashedMessage)
			require.Equal(t, trust.DefaultPolicy, ts.Policy)
			require.Equal(t, trust.DefaultAccuracy, ts.Accuracy)
			require.NotNil(t, ts.Nonce)
			require.Len(t, ts.Certificates, 1)
			require.True(t, ts.Certificates[0].Equal(realm.chain[0]))

			opensslAccepts(t, token, signature, realm.chain)
			opensslRefuses(t, token, []byte("another signature"), realm.chain)

			again, _, err := s.Stamp(t.Context(), signature)
			require.NoError(t, err)
			other, err := timestamp.ParseResponse(again)
			require.NoError(t, err)
			require.NotEqual(t, ts.SerialNumber, other.SerialNumber)
			require.NotEqual(t, ts.Nonce, other.Nonce)
		})
	}
}

func opensslVerify(t *testing.T, token, signature []byte, chain []*x509.Certificate) ([]byte, error) {
	t.Helper()
	return exec.CommandContext(t.Context(), "openssl", "ts", "-verify", "-data", write(t, "sig", signature), "-in", write(t, "tsr", token),
		"-CAfile", write(t, "root.pem", certificatesPEM(chain[len(chain)-1])), "-untrusted", write(t, "chain.pem", certificatesPEM(chain[:len(chain)-1]...))).CombinedOutput()
}

func opensslAccepts(t *testing.T, token, signature []byte, chain []*x509.Certificate) {
	t.Helper()
	out, err := opensslVerify(t, token, signature, chain)
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "Verification: OK")
}

func opensslRefuses(t *testing.T, token, signature []byte, chain []*x509.Certificate) {
	t.Helper()
	out, err := opensslVerify(t, token, signature, chain)
	require.Error(t, err, "%s", out)
}

// A chain that verifiers would not believe is refused before anything is stamped with it.
func TestStamperChain(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	realm := newStampRealm(t, key)
	leaf := func(change func(*x509.Certificate)) []*x509.Certificate {
		tmpl := stampCert(t, "stamp")
		change(tmpl)
		return append([]*x509.Certificate{realm.ca.certify(t, tmpl, key.Public())}, realm.ca.chain()...)
	}
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		says  string
	}{
		"none":             {nil, "has 0 certificates"},
		"leaf alone":       {realm.chain[:1], "has 1 certificates"},
		"no root":          {realm.chain[:2], "is not a root"},
		"out of order":     {[]*x509.Certificate{realm.chain[0], realm.chain[2], realm.chain[1]}, "is not issued by the next"},
		"without the leaf": {realm.chain[1:], "is a CA's"},
		"other key":        {newStampRealm(t, newKey(t, elliptic.P256())).chain, "of another key"},
		"usage not alone": {leaf(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{stampEKU(t, true, usageTimeStamping, usageCodeSigning)}
		}), "critical and alone"},
		"usage not there":   {leaf(func(c *x509.Certificate) { c.ExtraExtensions = nil }), "critical and alone"},
		"another usage":     {leaf(func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{stampEKU(t, true, usageCodeSigning)} }), "critical and alone"},
		"usage uncritical":  {leaf(func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{stampEKU(t, false, usageTimeStamping)} }), "critical and alone"},
		"of another issuer": {append([]*x509.Certificate{realm.chain[0]}, newStampRealm(t, key).chain[1:]...), "is not issued by the next"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := trust.NewStamper(key, c.chain, trust.StampOptions{})
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := trust.NewStamper(key, realm.chain, trust.StampOptions{Tolerance: time.Millisecond})
	require.ErrorContains(t, err, "between 1s and 1h")
}

func TestStamperFails(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	realm := newStampRealm(t, key)

	t.Run("expired certificate", func(t *testing.T) {
		t.Parallel()
		tmpl := stampCert(t, "old")
		tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		s, err := trust.NewStamper(key, append([]*x509.Certificate{realm.ca.certify(t, tmpl, key.Public())}, realm.ca.chain()...), trust.StampOptions{})
		require.NoError(t, err)
		_, _, err = s.Stamp(t.Context(), []byte("signature"))
		require.ErrorIs(t, err, trust.ErrTimeUnavailable)
		require.ErrorContains(t, err, "expired")
	})
	t.Run("expired CA", func(t *testing.T) {
		t.Parallel()
		old := realm.root.below(t, "old CA", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })
		leaf := old.certify(t, stampCert(t, "stamp"), key.Public())
		s, err := trust.NewStamper(key, append([]*x509.Certificate{leaf}, old.chain()...), trust.StampOptions{})
		require.NoError(t, err)
		_, _, err = s.Stamp(t.Context(), []byte("signature"))
		require.ErrorIs(t, err, trust.ErrTimeUnavailable)
		require.ErrorContains(t, err, "expired")
	})
	t.Run("key", func(t *testing.T) {
		t.Parallel()
		broken := newKey(t, elliptic.P256())
		s, err := trust.NewStamper(broken, newStampRealm(t, broken).chain, trust.StampOptions{})
		require.NoError(t, err)
		down := errors.New("token is gone")
		broken.fail.Store(&down)
		_, _, err = s.Stamp(t.Context(), []byte("signature"))
		require.ErrorIs(t, err, trust.ErrTimeUnavailable)
		require.ErrorIs(t, err, down)
		broken.fail.Store(nil)
		_, _, err = s.Stamp(t.Context(), []byte("signature"))
		require.NoError(t, err)
	})
	t.Run("clock set back", func(t *testing.T) {
		t.Parallel()
		used := newKey(t, elliptic.P256())
		chain := newStampRealm(t, used).chain
		s, err := trust.NewStamper(used, chain, trust.StampOptions{After: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		_, _, err = s.Stamp(t.Context(), []byte("signature"))
		require.ErrorIs(t, err, trust.ErrTimeUnavailable)
		require.ErrorIs(t, err, trust.ErrClock)
		require.ErrorContains(t, err, "trust.time.disregard")
		s, err = trust.NewStamper(used, chain, trust.StampOptions{After: time.Now()})
		require.NoError(t, err)
		_, _, err = s.Stamp(t.Context(), []byte("signature"))
		require.NoError(t, err)
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		s, err := trust.NewStamper(key, realm.chain, trust.StampOptions{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err = s.Stamp(ctx, []byte("signature"))
		require.ErrorIs(t, err, trust.ErrTimeUnavailable)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		s, err := trust.NewStamper(key, realm.chain, trust.StampOptions{})
		require.NoError(t, err)
		_, _, err = s.Stamp(t.Context(), nil)
		require.ErrorIs(t, err, trust.ErrTimeUnavailable)
	})
}

// A clock that was set gives no time-stamps until it has settled, whichever way it was set.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	for name, step := range map[string]time.Duration{"back": -time.Hour, "on": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			early := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(-2 * time.Hour) }
			root := newIssuer(t, "root", early)
			tmpl := stampCert(t, "stamp")
			early(tmpl)
			chain := []*x509.Certificate{root.certify(t, tmpl, key.Public()), root.cert}

			var log bytes.Buffer
			reg := prometheus.NewRegistry()
			s, err := trust.NewStamper(key, chain, trust.StampOptions{Registerer: reg, Log: slog.New(slog.NewTextHandler(&log, nil))})
			require.NoError(t, err)
			start, run, set := time.Now(), time.Duration(0), time.Duration(0)
			trust.SetClock(t, s, func() time.Time { return start.Add(run + set) }, func() time.Duration { return run })

			stamp := func() (time.Time, error) {
				_, at, err := s.Stamp(t.Context(), []byte("signature"))
				return at, err
			}
			_, err = stamp()
			require.NoError(t, err)
			run, set = time.Hour/60, 4*time.Second // kept within the tolerance
			_, err = stamp()
			require.NoError(t, err)

			set = step
			_, err = stamp()
			require.ErrorIs(t, err, trust.ErrTimeUnavailable)
			require.ErrorContains(t, err, "clock of this machine was set")
			require.Contains(t, log.String(), "clock was set")
			require.EqualValues(t, 1, counter(t, reg, "hallmark_time_clock_steps_total"))

			run += trust.Settle - time.Second
			_, err = stamp()
			require.ErrorContains(t, err, "believed again in 1s")
			run += time.Second
			at, err := stamp()
			require.NoError(t, err)
			require.Equal(t, start.Add(run+set).UTC().Truncate(time.Second), at)
			require.EqualValues(t, 1, counter(t, reg, "hallmark_time_clock_steps_total"))
		})
	}
}

func counter(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	sum := 0.
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
