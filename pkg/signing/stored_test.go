package signing_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// between lets something happen after a signature was stored with the right checksum, before it is read back: at the first
// request for its place. The returned function tells how often that was.
func (r *rig) between(place string, do func()) func() int {
	return r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + place, Do: func(*http.Request) { do() }})
}

// somebody makes signatures that are as good as ours, with a key that is not.
func somebody(t *testing.T, format, content string) []byte {
	t.Helper()
	f, _ := seal.Lookup(format)
	made, err := f.Seal(t.Context(), sealtest.NewKey(t, "P-256", key), sealtest.Digests(t, content))
	require.NoError(t, err)
	return made
}

// attacks leave something else where a signature file was stored. They get the rig and the file's path.
var attacks = map[string]func(r *rig, path string){
	"other bytes under the right checksum": func(r *rig, path string) {
		require.NoError(r.t, r.art.Corrupt(repo, path, somebody(r.t, formatOf(path), "hello")))
	},
	"nothing under the right checksum":   func(r *rig, path string) { require.NoError(r.t, r.art.Corrupt(repo, path, nil)) },
	"a signature by another key":         func(r *rig, path string) { r.swap(path, somebody(r.t, formatOf(path), "hello")) },
	"a signature of other bytes by ours": func(r *rig, path string) { r.swap(path, r.kept("other", formatOf(path))) },
	"a bundle that names our key": func(r *rig, path string) {
		if formatOf(path) == "sigstore" {
			forged := sealtest.Set(r.t, somebody(r.t, "sigstore", "hello"), sealtest.Get(r.t, r.kept("hello", "sigstore"), "verificationMaterial"), "verificationMaterial")
			r.swap(path, forged)
			return
		}
		r.swap(path, []byte("-----BEGIN PGP SIGNATURE-----"))
	},
	"the other format's file": func(r *rig, path string) {
		r.swap(path, r.kept("hello", map[string]string{"raw": "sigstore", "sigstore": "raw"}[formatOf(path)]))
	},
	"a page":           func(r *rig, path string) { r.swap(path, []byte("<html>Sign in</html>")) },
	"more than a file": func(r *rig, path string) { r.swap(path, bytes.Repeat([]byte("x"), seal.MaxSize)) },
	"nothing at all":   func(r *rig, path string) { require.NoError(r.t, r.art.Delete("somebody", repo, path)) },
}

func formatOf(path string) string {
	f, _ := seal.FormatOf(path)
	return f.Name
}

func (r *rig) swap(path string, content []byte) {
	require.NoError(r.t, r.art.Put("somebody", repo, path, bytes.NewReader(content), nil))
}

// kept is the signature of some bytes in the ledger.
func (r *rig) kept(content, format string) []byte {
	kept, err := r.ledger.Signatures(r.t.Context(), artifact.Attachment{Content: []byte(content)}.SHA256())
	require.NoError(r.t, err)
	i := slices.IndexFunc(kept, func(s ledger.Signature) bool { return s.Format == format })
	require.NotEqual(r.t, -1, i)
	return kept[i].Content
}

// requireUnstored holds an attempt to what it has to end in when Artifactory does not serve what it took.
func (r *rig) requireUnstored(err error, o ledger.Outcome, found string, failures int) {
	r.t.Helper()
	require.Error(r.t, err, "it is tried again")
	require.Equal(r.t, ledger.Failed, o.State)
	requireExplained(r.t, o, reason.SignatureUnstored)
	require.Contains(r.t, o.Reasons[0].Found, found)
	require.InDelta(r.t, failures, sum(r.t, r.metrics, "hallmark_stored_check_failures_total"), 0)
}

// Invariant 6: that Artifactory took a signature file is not enough. Whatever stands in its place when it is read back, the
// artifact is not signed, and no mark says so.
func TestWhatIsStoredIsNotWhatIsServed(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		for _, suffix := range []string{".sig", ".sigstore.json"} {
			for _, before := range []bool{false, true} {
				t.Run(name+suffix+map[bool]string{true: ", signed before"}[before], func(t *testing.T) {
					t.Parallel()
					r := newRig(t, setup{token: artifactorytest.CI})
					r.upload("app/other.tgz", "other")
					require.NoError(t, r.do("app/other.tgz"))
					r.upload(artifactPath, "hello")
					if before {
						require.NoError(t, r.do(artifactPath))
					}
					struck := r.between(repo+"/"+artifactPath+suffix, func() { attack(r, artifactPath+suffix) })
					err := r.do(artifactPath)
					require.Equal(t, 1, struck())
					r.requireUnstored(err, r.outcome(artifactPath), "a.tgz"+suffix+", by key "+key, 1)
					require.Empty(t, r.props(artifactPath), "a mark of an earlier attempt is not true any more either")
					r.converge(artifactPath)
					r.requireSigned(artifactPath, "hello")
					require.Equal(t, 2, r.uses(), "one for each of the two files")
				})
			}
		}
	}
}

// Bytes that are replaced while the signature files of the old ones are read back are not said to be signed.
func TestOverwrittenWhileItIsReadBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{token: artifactorytest.CI})
	r.upload(artifactPath, "hello")
	struck := r.between(repo+"/"+artifactPath+".sig", func() { r.upload(artifactPath, "new") })
	require.Error(t, r.do(artifactPath))
	require.Equal(t, 1, struck())
	require.Equal(t, ledger.Changed, r.outcome(artifactPath).State)
	require.Empty(t, r.props(artifactPath))
	r.converge(artifactPath)
	r.requireSigned(artifactPath, "new")
}

// A server that cannot be asked is no server that lies, nor one that has nothing.
func TestReadingBackFails(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]reason.Code{http.StatusServiceUnavailable: reason.StoreUnavailable, http.StatusForbidden: reason.StoreRefused} {
		r := newRig(t, setup{})
		r.upload(artifactPath, "hello")
		r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + repo + "/" + artifactPath + ".sig", Status: status})
		require.Error(t, r.do(artifactPath))
		require.Equal(t, ledger.Failed, r.outcome(artifactPath).State)
		requireExplained(t, r.outcome(artifactPath), code)
		require.Empty(t, r.props(artifactPath))
		require.Zero(t, sum(t, r.metrics, "hallmark_stored_check_failures_total"))
		r.converge(artifactPath)
		r.requireSigned(artifactPath, "hello")
	}
}

// An image's signature that is taken away again, before it is read back for the last time.
func TestAnImagesSignatureIsNotServed(t *testing.T) {
	t.Parallel()
	tags := strings.ReplaceAll(imagePolicy, "raw, cosign]", "cosign-tag]")
	for name, c := range map[string]struct {
		policy string
		place  string // of the request that comes for the last time when the signature is read back
		times  int    // how often it comes before
		attack func(p *port, m artifactorytest.Manifest)
	}{
		"the referrer is deleted": {imagePolicy, "/referrers/", 3, func(p *port, m artifactorytest.Manifest) {
			for _, d := range p.Referrers(imageName, m) {
				p.deleteManifest(d)
			}
		}},
		"the tag is another image": {tags, ".sig", 2, func(p *port, m artifactorytest.Manifest) {
			p.Push(imageName, ":sha256-"+m.SHA256()+".sig", p.New("linux/amd64"))
		}},
		"the tag is deleted": {tags, ".sig", 2, func(p *port, m artifactorytest.Manifest) { p.deleteManifest("sha256-" + m.SHA256() + ".sig") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, setup{token: artifactorytest.CI, policy: c.policy})
			m := p.Push(imageName, ":1.0", p.New("linux/amd64"))
			path := imageName + "/1.0/manifest.json"
			var seen atomic.Int64
			struck := p.art.Fail(standin.Fault{Method: http.MethodGet, Do: func(*http.Request) { c.attack(p, m) }, Match: func(q *http.Request) bool {
				return strings.Contains(q.URL.Path, c.place) && seen.Add(1) == int64(c.times)+1
			}})
			err := p.sign(path)
			require.Equal(t, 1, struck())
			p.requireUnstored(err, p.result(path), "by key "+key+": nothing is there", 1)
			require.NotContains(t, p.marks(path), "hallmark.state")
			p.settle(path)
			require.Equal(t, ledger.Signed, p.result(path).State)
			require.Equal(t, 1, p.uses())
		})
	}
}

// deleteManifest removes what a digest or tag names.
func (p *port) deleteManifest(reference string) {
	p.t.Helper()
	p.platform(http.MethodDelete, "/artifactory/api/docker/"+docker+"/v2/"+imageName+"/manifests/"+reference, nil, http.StatusAccepted)
}

// What is served otherwise for as long as somebody likes is not signed for as long.
func TestServedOtherwiseForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload(artifactPath, "hello")
	answer(http.MethodGet, "/artifactory/"+repo+"/"+artifactPath+".sig", http.StatusOK, "from a cache")(r)
	for i := range 3 {
		r.requireUnstored(r.do(artifactPath), r.outcome(artifactPath), "a.tgz.sig", i+1)
		require.Empty(t, r.props(artifactPath))
	}
	r.disarm()
	r.converge(artifactPath)
	r.requireSigned(artifactPath, "hello")
	require.Equal(t, 1, r.uses())
}

// A bundle's evidence that is not what the service took. A search that does not know of it yet is no such thing.
func TestEvidenceIsNotWhatIsServed(t *testing.T) {
	t.Parallel()
	for name, served := range map[string]func(record string) []byte{
		"by another key":    func(record string) []byte { return somebody(t, "evidence", record) },
		"of another record": func(string) []byte { return somebody(t, "evidence", "another") },
		"nothing":           func(string) []byte { return []byte("\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, shipping())
			r.trust(key)
			r.upload("app/a.tgz", "a")
			r.bundled("app/a.tgz")
			record, err := r.art.Content(bundleRepo, bundleRecord)
			require.NoError(t, err)
			r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + bundleRepo + "/.evidence/**", Status: http.StatusOK, Body: string(served(string(record)))})
			err = r.service.Do(t.Context(), r.bundleEvent(completedEv))
			r.requireUnstored(err, r.bundle(), "by key "+key, 1)
			require.NoError(t, r.service.Do(t.Context(), r.bundleEvent(completedEv)))
			r.requireAttested()
			require.Equal(t, 1, r.uses())
		})
	}

	r := newRig(t, shipping())
	r.trust(key)
	r.upload("app/a.tgz", "a")
	r.bundled("app/a.tgz")
	r.art.Fail(standin.Fault{Method: http.MethodPost, Path: "/onemodel/**", Times: -1, Status: http.StatusOK, Body: `{"data":{"evidence":{"searchEvidence":{"totalCount":0,"edges":[]}}}}`})
	require.NoError(t, r.service.Do(t.Context(), r.bundleEvent(completedEv)))
	r.requireAttested()
}
