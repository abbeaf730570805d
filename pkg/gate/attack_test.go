package gate_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const (
	bundle = path + ".sigstore.json"
	raw    = path + ".sig"
)

// attack is one attempt to get past the gate. All are refused, with exactly one reason, that says what to do.
type attack struct {
	policy  string        // default oneSignature
	keys    []string      // default those of newRig
	prepare func(r *rig)  // what the attacker, with every right on staging and no key, has done
	image   func(p *port) // the same against an image, instead
	ask     *gate.Request // default the file, or the image, into its release repository
	code    reason.Code
	found   string // part of what the reason has found
	fix     string // part of its advice; default to sign
}

// attacks are all that were thought of, by kind. What is about several artifacts at once, promotions that race with one
// another among it, is tested in pkg/promotion: storm_test.go, replicas_test.go, bundleforge_test.go.
var attacks = map[string]map[string]attack{
	"forging": forging, "swapping": swapping, "replaying": replaying, "overwriting": overwriting, "racing": racing, "downgrading": downgrading,
}

// Invariant 7: properties are never evidence; signatures are, by pinned keys, over the bytes' digest.
func TestAttacksOnTheGate(t *testing.T) {
	t.Parallel()
	n := 0
	for kind, some := range attacks {
		require.NotEmpty(t, some, kind)
		n += len(some)
		for name, a := range some {
			t.Run(kind+"/"+name, func(t *testing.T) { t.Parallel(); a.run(t) })
		}
	}
	require.GreaterOrEqual(t, n, 70, "attacks are added, not lost")
}

func (a attack) run(t *testing.T) {
	var r *rig
	about, into := ref(staging, path), ref(release, path)
	if a.image != nil {
		p := newPort(t)
		r, about, into = p.rig, ref(artifactorytest.OCIStaging, imageFile), ref(artifactorytest.OCIRelease, imageFile)
		a.image(p)
	} else {
		r = newRig(t, cmp.Or(a.policy, oneSignature), a.keys...)
		a.prepare(r)
	}
	req := gate.Request{Artifact: about, Target: into, Caller: "ci"}
	if a.ask != nil {
		req.Artifact, req.Target = a.ask.Artifact, a.ask.Target
	}
	r.art.ForgetRequests()
	set := r.policies.Load().Digest()
	start := time.Now()
	v := r.gate.Check(t.Context(), req)
	require.Less(t, time.Since(start), limit)
	require.True(t, v.Decided, "%+v", v.Reasons)
	require.False(t, v.Allow)
	require.Equal(t, []reason.Code{a.code}, codes(v), "%+v", v.Reasons)
	why := v.Reasons[0]
	require.Contains(t, why.Found, a.found)
	require.Contains(t, why.Fix, cmp.Or(a.fix, "hallmark sign "+about.String()), "a refusal says what to do")
	for _, field := range []string{why.Message, why.Found, why.Expected, why.Who} {
		require.NotEmpty(t, field, "%+v", why)
	}
	require.Equal(t, set, v.PolicySet, "one set throughout")
	asked := 0
	for _, q := range r.art.Requests() {
		if a.image == nil { // who pushes an image while it is checked writes
			require.Equal(t, http.MethodGet, q.Method, "the gate writes nothing")
		}
		if strings.Contains(q.Target, "?properties") {
			asked++
		}
	}
	require.LessOrEqual(t, asked, 1, "properties explain; more is not read of them")
	kept, err := r.ledger.Verdicts(t.Context(), req.Artifact, 10)
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.False(t, kept[0].Allow)
	require.Equal(t, "ci", kept[0].Caller)
	require.Equal(t, v.SHA256, kept[0].Subject)
	require.Equal(t, req.Target, kept[0].Target)
}

// What is signed passes, whatever lies beside it, and no property is asked for.
func TestWhatIsSignedPasses(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(r *rig){
		"with a bundle":              func(r *rig) { r.sign("release-a", "sigstore") },
		"raw":                        func(r *rig) { r.sign("release-b", "raw") },
		"by the second key":          func(r *rig) { r.signAs("release-b", "sigstore", false) },
		"damaged file beside a good": func(r *rig) { r.sign("release-a", "raw"); r.put(bundle, "{") },
		"good file behind a damaged": func(r *rig) { r.put(bundle, "{"); r.put(raw, "x"); r.signAs("release-a", "sigstore", false) },
		"bundle that names no key":   func(r *rig) { r.put(bundle, without(r.made(r.keys["release-a"], "sigstore", content), "hint")) },
		"though its properties deny": func(r *rig) { r.sign("release-a", "raw"); r.mark("denied") },
		"though a foreign one is too": func(r *rig) {
			r.sign("release-a", "raw")
			r.put(bundle, r.made(r.keys["release-b"], "sigstore", "other"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			prepare(r)
			require.True(t, r.check(path).Allow)
			for _, q := range r.art.Requests() {
				require.Equal(t, http.MethodGet, q.Method)
				require.NotContains(t, q.Target, "properties", "nothing is allowed for a property")
			}
		})
	}
}

// However often the bytes change while they are asked about, a yes is about signed ones.
func TestChecksInAStorm(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.sign("release-a", "sigstore")
	signed := artifact.Attachment{Content: []byte(content)}.SHA256()
	done := make(chan struct{})
	group := sync.WaitGroup{}
	group.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				r.put(path, content)
				return
			default:
				r.put(path, []string{"evil", content}[i%2])
			}
		}
	})
	checks := sync.WaitGroup{}
	for range 8 {
		checks.Go(func() {
			for range 10 {
				v := r.check(path)
				if v.Allow && v.SHA256 != signed {
					t.Errorf("a yes about %s", v.SHA256)
				}
			}
		})
	}
	checks.Wait()
	close(done)
	group.Wait()
	require.True(t, r.check(path).Allow)
}

// meanwhile lets something happen when the gate reads the first signature file.
func (r *rig) meanwhile(do func()) {
	r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/**", Do: func(*http.Request) { do() }})
}

// mark writes what only the service should write.
func (r *rig) mark(state string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put("mallory", staging, path, strings.NewReader(content), map[string][]string{
		"hallmark.state": {state}, "hallmark.sha256": {artifact.Attachment{Content: []byte(content)}.SHA256().String()}, "hallmark.keys": {"release-a"},
	}))
}

func stranger(r *rig) *sealtest.Key { return sealtest.NewKey(r.t, "P-256", "stranger") }

// edit changes a bundle.
func edit(bundle string, change func(map[string]any)) string {
	m := map[string]any{}
	if err := json.Unmarshal([]byte(bundle), &m); err != nil {
		return err.Error()
	}
	change(m)
	b, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func at(m map[string]any, key string) map[string]any {
	inner, _ := m[key].(map[string]any)
	return inner
}

func without(bundle, field string) string {
	return edit(bundle, func(m map[string]any) { delete(at(at(m, "verificationMaterial"), "publicKey"), field) })
}

// disguised is a stranger's bundle that claims to be by a pinned key.
func disguised(r *rig) string {
	return edit(r.made(r.keys["release-a"], "sigstore", content), func(m map[string]any) {
		at(m, "messageSignature")["signature"] = base64.StdEncoding.EncodeToString([]byte(r.made(stranger(r), "raw", content)))
	})
}

func swapDigest(bundle, content string) string {
	d := artifact.Attachment{Content: []byte(content)}.SHA256()
	return edit(bundle, func(m map[string]any) {
		at(at(m, "messageSignature"), "messageDigest")["digest"] = base64.StdEncoding.EncodeToString(bytes.Clone(d[:]))
	})
}

func certified(r *rig) string {
	return edit(r.made(r.keys["release-a"], "sigstore", content), func(m map[string]any) {
		m["verificationMaterial"] = map[string]any{"certificate": map[string]any{"rawBytes": sealtest.Certificate(r.t, stranger(r).Public())}}
	})
}
