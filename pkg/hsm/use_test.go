package hsm_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
)

// A key has one use. No grant reaches a service key, and no service key's way leads to an artifact key.
func TestKeysServeOneUse(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	var keys []hsm.KeyConfig
	for _, use := range hsm.Uses() {
		key := tok.GenerateFor(t, string(use), use, hsm.P256)
		if use == hsm.UseArtifact {
			key.Use, key.Lane = "", "release" // the default
		}
		keys = append(keys, key)
	}
	ring := open(t, hsm.Options{Root: true}, tok.Config(), keys...)
	var orders []policy.Order
	for _, k := range keys {
		orders = append(orders, policy.Order{Key: k.Name, Formats: []string{"raw"}})
	}
	grant := policytest.Grant(t, artifact.Subject{}, orders...) // of a policy that could name them all
	for _, k := range keys {
		s, err := ring.Signer(grant, k.Name)
		if k.UseOrDefault() == hsm.UseArtifact {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, hsm.ErrKeyUse, k.Name)
			require.Nil(t, s)
		}
		_, known := ring.Key(k.Name)
		require.Equal(t, k.UseOrDefault() == hsm.UseArtifact, known, k.Name)
		for _, use := range append(hsm.Uses(), "") {
			s, err := ring.Service(k.Name, use)
			if use == k.Use && use != "" {
				require.NoError(t, err)
				require.Equal(t, k.Name, s.Name())
				_, err = s.Sign(t.Context(), make([]byte, 32))
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, hsm.ErrKeyUse, "%s as %s", k.Name, use)
			require.Nil(t, s)
		}
	}
	_, err := ring.Service("gone", hsm.UseLog)
	require.ErrorIs(t, err, hsm.ErrUnknownKey)

	require.Len(t, ring.Keys(), 1, "what counts as a signer of artifacts")
	require.Equal(t, hsm.UseArtifact, ring.Keys()[0].Use)
	var service []hsm.Use
	for _, p := range ring.ServiceKeys() {
		service = append(service, p.Use)
	}
	require.Equal(t, hsm.Uses()[1:], service)
}

// The service holds no root key and does not touch a token that has nothing else.
func TestRootKeysAreLeftAlone(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	key, root := tok.Generate(t, "release", "release", hsm.P256), tok.GenerateFor(t, "root", hsm.UseRoot, hsm.P384)
	offline := hsm.Config{Name: "safe", Module: "/nowhere/p11.so", Label: "safe", PIN: hsm.PINFile{File: "/nowhere/pin"}}
	away := hsm.KeyConfig{Name: "root-2", Token: "safe", Use: hsm.UseRoot, SPKI: "sha256:" + artifact.Digest{1}.String()}
	tokens, keys := []hsm.Config{offline, tok.Config()}, []hsm.KeyConfig{away, key, root}

	ring, err := hsm.Open(t.Context(), tokens, keys, hsm.Options{Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	defer ring.Close()
	require.NoError(t, ring.Ready(t.Context()))
	require.Len(t, ring.Keys(), 1)
	require.Empty(t, ring.ServiceKeys())
	_, err = ring.Service("root", hsm.UseRoot)
	require.ErrorIs(t, err, hsm.ErrUnknownKey)
	for _, c := range hsm.Diagnose(t.Context(), tokens, keys, hsm.Options{}) {
		require.NotContains(t, c.Name, "root")
		require.NotContains(t, c.Name, "safe")
	}
	_, err = hsm.Open(t.Context(), tokens, keys, hsm.Options{Root: true})
	require.ErrorContains(t, err, "/nowhere/p11.so", "asked for, it must be there")
}

func TestUseValidation(t *testing.T) {
	t.Parallel()
	for want, k := range map[string]hsm.KeyConfig{
		"":                                       {Use: hsm.UseLog},
		`use "logs" is unknown`:                  {Use: "logs"},
		"stands in no lane":                      {Use: hsm.UseIssuer, Lane: "release"},
		"must be development or release":         {Use: hsm.UseArtifact},
		"from and retired are for artifact keys": {Use: hsm.UseSCT, Retired: hsm.Moment{Time: time.Unix(1, 0)}},
		`lane is "prod", it must be devel`:       {Lane: "prod"},
	} {
		k.Name, k.Token = "k", "hsm"
		if err := k.Validate(); want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
	use, err := hsm.UseOf("")
	require.NoError(t, err)
	require.Equal(t, hsm.UseArtifact, use)
}

// One key pair under two names would serve two uses.
func TestOnePairHasOneName(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	_, err = hsm.Open(t.Context(), nil, []hsm.KeyConfig{
		{Name: "release", Software: file, Lane: "release"}, {Name: "log", Software: file, Use: hsm.UseLog},
	}, hsm.Options{AllowSoftwareKeys: true})
	require.ErrorIs(t, err, hsm.ErrKeyUnfit)
	require.ErrorContains(t, err, "key log: key found exactly once: key cannot be used for signing")
	require.ErrorContains(t, err, "the same key pair as release")
}
