package artifactory_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// FuzzSignatures: whatever a registry answers, reading ends without a panic, and nothing is listed that has a content
// which cannot be a signature.
func FuzzSignatures(f *testing.F) {
	const digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
	f.Add(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"`+digest+`","size":2}]}`, "application/vnd.oci.image.index.v1+json")
	f.Add(`{"schemaVersion":2,"config":{"digest":"`+digest+`"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"`+digest+`","annotations":{"dev.cosignproject.cosign/signature":"AAAA"}}]}`, "application/vnd.oci.image.manifest.v1+json")
	f.Add(`{"manifests":[{}]}`, "")
	f.Add(`null`, "application/vnd.docker.distribution.manifest.v2+json")
	f.Fuzz(func(t *testing.T, body, kind string) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			if strings.Contains(r.URL.Path, "/blobs/") {
				_, _ = w.Write([]byte("{}"))
				return
			}
			_, _ = w.Write([]byte(body))
		}))
		defer s.Close()
		got, err := newClient(t, s.URL, func(cfg *artifactory.Config) { cfg.Retries = -1 }).Signatures(t.Context(), someImage(t))
		if err != nil {
			return
		}
		for _, sig := range got {
			require.Contains(t, formats, sig.Format)
			require.NotEmpty(t, sig.Name)
			require.LessOrEqual(t, len(sig.Content), 2<<20)
		}
	})
}
