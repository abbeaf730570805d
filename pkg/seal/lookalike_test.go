package seal_test

import (
	"crypto"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

var _ hash.Hash = (*seal.Lookalike)(nil)

// looks feeds the bytes in pieces of one size.
func looks(content string, piece int) string {
	var l seal.Lookalike
	for len(content) > 0 {
		n := min(piece, len(content))
		_, _ = l.Write([]byte(content[:n]))
		content = content[n:]
	}
	return l.Found()
}

// The attack that Lookalike is for: a file that holds what an image signature is made over, signed as a file.
func TestSignatureOfAFilePassesForOneOfAnImage(t *testing.T) {
	t.Parallel()
	k := sealtest.NewKey(t, "P-256", "release")
	victim := artifact.Attachment{Content: []byte("an image that nobody signed")}.SHA256()
	payload := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + victim.String() +
		`"}}],"predicateType":"https://github.com/hallmark-signing/hallmark/signature/v1","predicate":{"result":"signed"}}`
	file := fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload)
	raw, ok := seal.Lookup("raw")
	require.True(t, ok)
	sig, err := raw.Seal(t.Context(), k, seal.FromSHA256(artifact.Attachment{Content: []byte(file)}.SHA256()))
	require.NoError(t, err)
	envelope, err := json.Marshal(map[string]any{"payload": []byte(payload), "payloadType": "application/vnd.in-toto+json",
		"signatures": []any{map[string]any{"keyid": "", "sig": sig}}})
	require.NoError(t, err)
	evidence, ok := seal.Lookup("evidence")
	require.True(t, ok)
	require.NoError(t, evidence.Verify(k.Public(), seal.FromSHA256(victim), envelope), "no verifier can tell")
	require.NotEmpty(t, looks(file, len(file)), "so such a file must not be signed")
}

// Whatever this package signs over a text, a file with that very text is refused.
func TestEveryTextThatIsSignedIsALookalike(t *testing.T) {
	t.Parallel()
	d := seal.FromSHA256(artifact.Attachment{Content: []byte("x")}.SHA256())
	for _, f := range []string{"cosign", "cosign-tag", "evidence"} {
		k := sealtest.NewKey(t, "P-256", "release")
		format, ok := seal.Lookup(f)
		require.True(t, ok)
		content, err := format.Seal(t.Context(), k, d)
		require.NoError(t, err)
		var doc struct {
			Payload  []byte
			Envelope struct{ Payload []byte } `json:"dsseEnvelope"`
		}
		require.NoError(t, json.Unmarshal(content, &doc))
		text := string(append(doc.Payload, doc.Envelope.Payload...))
		require.NotEmpty(t, text)
		if f != "cosign-tag" {
			text = fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(text), text)
		}
		require.Equal(t, crypto.SHA256.Size(), len(d[crypto.SHA256]))
		for _, piece := range []int{1, 7, len(text)} {
			require.NotEmpty(t, looks(text, piece), f)
		}
	}
}

func TestLookalikes(t *testing.T) {
	t.Parallel()
	for content, found := range map[string]bool{
		"":                             false,
		"DSSEv1 ":                      true,
		"DSSEv1":                       false,
		"DSSEv2 x":                     false,
		" DSSEv1 x":                    false,
		"the DSSEv1 x":                 false,
		`{"docker-manifest-digest":1}`: true,
		"\n\t {\"critical\":{\"image\":{\"Docker-Manifest-Digest\":\"sha256:00\"}}}": true,
		`{"a":"\"docker-manifest-digest"}`:                                           false,
		`{"a":"docker\u002dmanifest\u002Ddigest"}`:                                   true,
		`{"doc\u212Aer-manife\u017ft-digest":1}`:                                     true, // these fold to k and s for Go's decoder
		"{\"doc\u212aer-manifest-digest\":1}":                                        true,
		`{"` + strings.Repeat("x", 1000) + `":1,"docker-manifest-digest":1}`:         true,
		`{"a":"docker-manifest-digest of it"}`:                                       false,
		`["docker-manifest-digest"]`:                                                 false, // no simple-signing text is a list
		`docker-manifest-digest`:                                                     false,
		`{"a":1}` + strings.Repeat("\n", 100):                                        false,
	} {
		for _, piece := range []int{1, 3, 4096} {
			require.Equal(t, found, looks(content, piece) != "", "%.80q", content)
		}
	}
	var l seal.Lookalike
	_, _ = l.Write([]byte("DSSEv1 x"))
	l.Reset()
	require.Empty(t, l.Found())
	_, _ = l.Write([]byte("plain"))
	require.Empty(t, l.Found(), "a download that began anew is looked at anew")
}

// FuzzLookalike: what Go's decoder reads as a simple-signing text is never missed, however it is cut.
func FuzzLookalike(f *testing.F) {
	f.Add(`{"critical":{"image":{"docker-manifest-digest":"x"}}}`, 3)
	f.Add(`{"critical":{"image":{"docker\u002dmanifest-digest":"x"}}}`, 1)
	f.Fuzz(func(t *testing.T, content string, piece int) {
		var said struct {
			Critical struct {
				Image struct {
					Digest string `json:"docker-manifest-digest"`
				} `json:"image"`
			} `json:"critical"`
		}
		if json.Unmarshal([]byte(content), &said) == nil && said.Critical.Image.Digest != "" {
			require.NotEmpty(t, looks(content, max(1, piece)))
		}
	})
}
