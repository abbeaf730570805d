package signing_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// A file that holds the text which an image's signature is made over would give that image a signature.
func TestLookalikesAreNotSigned(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	for path, content := range map[string]string{
		"app/pae.bin":   `DSSEv1 28 application/vnd.in-toto+json 2 {}`,
		"app/text.json": ` {"critical":{"image":{"docker-manifest-digest":"sha256:00"},"type":"cosign container image signature"}}`,
	} {
		r.upload(path, content)
		require.NoError(t, r.do(path))
		require.Equal(t, ledger.Denied, r.outcome(path).State)
		requireExplained(t, r.outcome(path), reason.ContentRefused)
		require.Equal(t, []string{"denied"}, r.props(path)["hallmark.state"])
		require.Empty(t, r.signatureFiles(path))
	}
	require.Zero(t, r.uses(), "the key was used")
	require.Zero(t, r.intents()[0], "no intent is left live")
	r.upload("app/harmless.json", `{"critical":true}`)
	require.NoError(t, r.do("app/harmless.json"))
	r.requireSigned("app/harmless.json", `{"critical":true}`)
}

// Policies match an image by its tag; the manifests of an index stand under their digests.
func TestManifestsAreDecidedWithTheirIndex(t *testing.T) {
	t.Parallel()
	byTag := strings.Replace(imagePolicy, "match: {", "match: {paths: [\""+imageName+"/1*/**\"], ", 1)
	p := newPort(t, setup{policy: byTag, noMatch: policy.Deny})
	index, children := p.NewIndex("linux/amd64", "linux/arm64")
	p.Push(imageName, ":1.0", index)
	child := imageName + "/" + children[0].Digest + "/manifest.json"
	require.NoError(t, p.sign(child))
	require.Equal(t, ledger.Skipped, p.result(child).State, "nobody refuses a manifest whose index is to come")
	require.NoError(t, p.sign(imageName+"/1.0/list.manifest.json"))
	p.verified(index, "cosign")
	p.verified(children[0], "cosign")
	p.verified(children[1], "cosign")
	require.Equal(t, []string{"signed"}, p.marks(child)["hallmark.state"])
	require.NoError(t, p.sign(child), "its event comes once more")
	require.Equal(t, []string{"signed"}, p.marks(child)["hallmark.state"])
}

// A manifest that goes away while its index is being signed does not take the index with it.
func TestAManifestThatGoesAway(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{quirks: standin.Quirks{MissingChildren: "accept"}})
	index, children := p.NewIndex("linux/amd64", "linux/arm64")
	p.Push(imageName, ":1.0", index)
	child := imageName + "/" + children[1].Digest + "/manifest.json"
	p.art.Fail(standin.Fault{Times: 1, When: standin.Before, Status: http.StatusNotFound, Match: func(q *http.Request) bool {
		return q.Method == http.MethodGet && q.URL.Path == "/artifactory/"+docker+"/"+child
	}})
	path := imageName + "/1.0/list.manifest.json"
	require.Error(t, p.sign(path), "the work comes back")
	require.Equal(t, ledger.Failed, p.result(path).State)
	require.Equal(t, reason.ImageIncomplete, p.result(path).Reasons[0].Code)
	require.NoError(t, p.sign(path))
	p.verified(index, "cosign")
	require.Equal(t, 3, p.uses())
}
