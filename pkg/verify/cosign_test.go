package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// cosignAccepts asks stock cosign about one bundle, as users of the realm do, without a network and with no check switched off.
func cosignAccepts(t *testing.T, r *verifytest.Realm, key *sealtest.Key, content []byte, by ...string) (bool, string) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"app.tgz": []byte(artifactText), "bundle": content, "root": r.TrustedRoot(), "key": key.PEM(t)} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	args := []string{"verify-blob"}
	if formatOf(content) == "cosign" {
		args = []string{"verify-blob-attestation", "--type", "https://sigstore.dev/cosign/sign/v1"}
	}
	args = append(append(args, "--bundle", "bundle", "--trusted-root", "root"), by...)
	out, err := tooltest.Run(t, dir, tooltest.Cosign(t), append(args, "app.tgz")...)
	require.Equal(t, err == nil, strings.Contains(out, "Verified OK"), out)
	return err == nil, out
}

var (
	byIdentity = []string{"--certificate-identity", verifytest.Identity, "--certificate-oidc-issuer", verifytest.Issuer}
	byKey      = []string{"--key", "key"}
)

// requireNoLaxer holds this package to stock cosign: what cosign refuses is refused here, and never reaches level 3. A bare key
// is the one thing of which less is asked here: that it signed. Then cosign may want a log entry, and here the level is 2.
// It reports whether cosign accepts.
func requireNoLaxer(t *testing.T, r *verifytest.Realm, key *sealtest.Key, content []byte) bool {
	t.Helper()
	by, trust, bare := byIdentity, believing(t, r), !bytes.Contains(content, []byte(`"certificate"`))
	if bare {
		by, trust = byKey, pinning(t, r, key)
	}
	ok, said := cosignAccepts(t, r, key, content, by...)
	f, err := verify.Artifact(trust, formatOf(content), verify.Digests(sealtest.Digests(t, artifactText)), content)
	if !ok && (!bare || !strings.Contains(said, "not enough verified log entries")) {
		require.Error(t, err, "cosign says: %s", said)
	}
	require.True(t, ok || f.Level < verify.LevelCertificate, said)
	return ok
}

// passes are the attacks that stock cosign lets pass, and this package does not.
var passes = map[string]bool{
	"certificate: of a CA": true, "certificate: not for signatures": true, "certificate: for nothing in particular": true,
	"log: of an older kind": true, "log: ended before": true, "log: ended, and no time": true, "time: clock's certificate: a CA": true,
	"time: once more, after the certificate's time": true, "time: once more, before the certificate's time": true,
}

// What stock cosign refuses of all that can be wrong with certificate, promise, log and time, is refused here, too.
func TestNoLaxerThanCosign(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "release")
	for name, a := range attacks(t, key) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, a.want == "" || passes[name], requireNoLaxer(t, a.realm, key, a.content), "whether cosign accepts")
		})
	}
}

// Nor is anything refused by cosign alone of what has any member missing or another's.
func TestNoLaxerThanCosignOnChangedBundles(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "release")
	for name, o := range map[string]verifytest.Order{"file": {More: 3}, "file by key": {Bare: true, More: 3}, "image": {Image: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := verifytest.New(t)
			o.Key, o.Content = key, []byte(artifactText)
			good := r.Bundle(o)
			o.Content = []byte("something else")
			other := r.Bundle(o)
			require.True(t, requireNoLaxer(t, r, key, good))
			refused := 0
			each(t, good, other, func(changed []byte) {
				if !requireNoLaxer(t, r, key, changed) {
					refused++
				}
			})
			require.Greater(t, refused, 15)
		})
	}
}
