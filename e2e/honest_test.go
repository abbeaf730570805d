package e2e

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// observer looks at repositories all the while and remembers every lie: properties that say signed for these very bytes
// where a signature file is missing or does not verify over them.
type observer struct {
	s     *sandbox.Sandbox
	key   *ecdsa.PublicKey
	good  map[string]bool // digests of artifact and signature files that were verified together
	lies  []string
	looks int
}

// observe begins to look. The returned function ends that, after one last look, and fails the test for every lie.
func observe(t *testing.T, s *sandbox.Sandbox, repos ...string) (end func()) {
	t.Helper()
	file, err := os.ReadFile(s.Path("release.pub"))
	require.NoError(t, err)
	block, _ := pem.Decode(file)
	require.NotNil(t, block)
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	key, ok := parsed.(*ecdsa.PublicKey)
	require.True(t, ok)
	o := &observer{s: s, key: key, good: map[string]bool{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for last := false; ; {
			for _, repo := range repos {
				o.look(repo)
			}
			if last {
				return
			}
			select {
			case <-stop:
				last = true
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	rest := sync.OnceFunc(func() { close(stop); wg.Wait() })
	t.Cleanup(rest)
	return func() {
		rest()
		require.Greater(t, o.looks, 1, "nobody looked")
		require.Empty(t, o.lies)
	}
}

func (o *observer) look(repo string) {
	o.looks++
	for _, path := range o.s.Artifactory.Paths(repo) {
		why := o.lie(repo, path)
		if why == "" {
			continue
		}
		// It is a lie only if the artifact still says so: it may have gone or changed between two looks.
		if why = o.lie(repo, path); why != "" {
			o.lies = append(o.lies, repo+"/"+path+": "+why)
		}
	}
}

func (o *observer) lie(repo, path string) string {
	f, ok := o.s.Artifactory.File(repo, path)
	if !ok || strings.Join(f.Properties["hallmark.state"], ",") != "signed" || strings.Join(f.Properties["hallmark.sha256"], ",") != f.SHA256 {
		return ""
	}
	raw, err := o.s.Artifactory.Content(repo, path+".sig")
	if err != nil {
		return err.Error()
	}
	bundle, err := o.s.Artifactory.Content(repo, path+".sigstore.json")
	if err != nil {
		return err.Error()
	}
	seen := fmt.Sprintf("%s %x %x", f.SHA256, sha256.Sum256(raw), sha256.Sum256(bundle))
	if o.good[seen] {
		return ""
	}
	digest, err := hex.DecodeString(f.SHA256)
	if err != nil || !ecdsa.VerifyASN1(o.key, digest, raw) {
		return "the raw signature does not verify"
	}
	if !strings.Contains(string(bundle), base64.StdEncoding.EncodeToString(raw)) {
		return "the bundle has another signature"
	}
	o.good[seen] = true
	return ""
}
