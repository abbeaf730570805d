package hsm_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
)

// What a signature format asks of a key.
var _ interface {
	Public() crypto.PublicKey
	Hash() crypto.Hash
	Sign(ctx context.Context, digest []byte) ([]byte, error)
} = (*hsm.Signer)(nil)

// Every algorithm signs what OpenSSL accepts.
func TestSignEveryAlgorithm(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	want := map[hsm.Algorithm]struct {
		hash crypto.Hash
		flag string
	}{
		hsm.P256: {crypto.SHA256, "-sha256"}, hsm.P384: {crypto.SHA384, "-sha384"},
		hsm.RSA3072: {crypto.SHA256, "-sha256"}, hsm.RSA4096: {crypto.SHA256, "-sha256"},
	}
	var keys []hsm.KeyConfig
	for i, a := range hsm.Algorithms() {
		keys = append(keys, tok.Generate(t, []string{"a", "b", "c", "d"}[i], "release", a))
	}
	ring := open(t, hsm.Options{}, tok.Config(), keys...)
	require.NoError(t, ring.Ready(t.Context()))
	require.Len(t, ring.Keys(), len(want))
	message := []byte("the artifact")
	for i, a := range hsm.Algorithms() {
		pub := ring.Keys()[i]
		require.Equal(t, a, pub.Algorithm)
		require.Equal(t, keys[i].Name, pub.Name)
		require.Equal(t, keys[i].SPKI, pub.Pin())
		s := signer(t, ring, pub.Name)
		require.Equal(t, want[a].hash, s.Hash())
		require.Equal(t, pub.SPKI, s.SPKI())
		require.Equal(t, pub.Name, s.Name())
		h := s.Hash().New()
		h.Write(message)
		sig, err := s.Sign(t.Context(), h.Sum(nil))
		require.NoError(t, err)
		opensslVerify(t, pub, want[a].flag, message, sig)
	}
}

func opensslVerify(t *testing.T, pub hsm.Public, flag string, message, sig []byte) {
	t.Helper()
	dir := t.TempDir()
	pemBytes, err := pub.PEM()
	require.NoError(t, err)
	for name, content := range map[string][]byte{"key.pem": pemBytes, "message": message, "sig": sig} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "dgst", flag, "-verify", "key.pem", "-signature", "sig", "message")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "openssl (apt-get install openssl): %s", out)
}

func TestSignerNeedsAGrant(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	ring := open(t, hsm.Options{}, tok.Config(), tok.Generate(t, "release", "release", hsm.P256), tok.Generate(t, "dev", "development", hsm.P256))
	granted := policytest.Grant(t, artifact.Subject{}, policy.Order{Key: "release", Formats: []string{"raw"}}, policy.Order{Key: "gone", Formats: []string{"raw"}})
	for name, c := range map[string]struct {
		grant *policy.Grant
		key   string
		want  error
	}{
		"no grant":                   {nil, "release", hsm.ErrNotGranted},
		"zero grant":                 {&policy.Grant{}, "release", hsm.ErrNotGranted},
		"grant for another key":      {granted, "dev", hsm.ErrNotGranted},
		"granted but not configured": {granted, "gone", hsm.ErrUnknownKey},
	} {
		s, err := ring.Signer(c.grant, c.key)
		require.ErrorIs(t, err, c.want, name)
		require.Nil(t, s, name)
	}
	_, err := ring.Signer(granted, "release")
	require.NoError(t, err)
}

func TestSignRefusesOtherDigestLengths(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	shim := tok.Shim(t)
	ring := open(t, hsm.Options{}, tok.Config(), tok.Generate(t, "p256", "release", hsm.P256), tok.Generate(t, "p384", "release", hsm.P384))
	before := shim.Calls(t, "C_SignInit")
	for key, lengths := range map[string][]int{"p256": {0, 20, 31, 33, 48, 64}, "p384": {0, 20, 32, 47, 49, 64}} {
		s := signer(t, ring, key)
		for _, n := range lengths {
			_, err := s.Sign(t.Context(), make([]byte, n))
			require.ErrorIs(t, err, hsm.ErrDigest, "%s %d", key, n)
		}
	}
	require.Equal(t, before, shim.Calls(t, "C_SignInit"), "the token was asked")
}

func TestSignConcurrently(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	cfg := tok.Config()
	cfg.MaxSessions = 4
	reg := prometheus.NewPedanticRegistry()
	ring := open(t, hsm.Options{Registerer: reg}, cfg, tok.Generate(t, "release", "release", hsm.P256))
	s := signer(t, ring, "release")
	const callers, each = 16, 8
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := range each {
				digest := sha256.Sum256([]byte{byte(i), byte(n)})
				sig, err := s.Sign(t.Context(), digest[:])
				if err == nil {
					err = ring.Keys()[0].Verify(digest[:], sig)
				}
				if err != nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	var signed uint64
	for _, f := range families {
		if f.GetName() == "hallmark_hsm_sign_seconds" {
			signed = f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	require.EqualValues(t, callers*each, signed)
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestSignWithCancelledContext(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	shim := tok.Shim(t)
	ring := open(t, hsm.Options{}, tok.Config(), tok.Generate(t, "release", "release", hsm.P256))
	s := signer(t, ring, "release")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := shim.Calls(t, "C_SignInit")
	_, err := s.Sign(ctx, make([]byte, 32))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, shim.Calls(t, "C_SignInit"))
}

func TestSoftwareKey(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	key := hsm.KeyConfig{Name: "trial", Lane: "development", Software: file}

	_, err = hsm.Open(t.Context(), nil, []hsm.KeyConfig{key}, hsm.Options{})
	require.ErrorIs(t, err, hsm.ErrKeyUnfit)
	require.ErrorContains(t, err, "--insecure-software-keys")

	ring, err := hsm.Open(t.Context(), nil, []hsm.KeyConfig{key}, hsm.Options{AllowSoftwareKeys: true})
	require.NoError(t, err)
	defer ring.Close()
	pub, ok := ring.Key("trial")
	require.True(t, ok)
	require.True(t, pub.Software)
	digest := sha256.Sum256([]byte("x"))
	sig, err := signer(t, ring, "trial").Sign(t.Context(), digest[:])
	require.NoError(t, err)
	require.NoError(t, pub.Verify(digest[:], sig))

	key.SPKI = "sha256:" + artifact.Digest{1}.String()
	_, err = hsm.Open(t.Context(), nil, []hsm.KeyConfig{key}, hsm.Options{AllowSoftwareKeys: true})
	require.ErrorIs(t, err, hsm.ErrSPKI)
}
