package promotion_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// part is an artifact as a build-info has it.
type part struct {
	Name   string `json:"name"`
	Path   string `json:"path,omitempty"`
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

func partOf(name, content string) part {
	s1, s256 := sha1.Sum([]byte(content)), sha256.Sum256([]byte(content))
	return part{Name: name, SHA1: hex.EncodeToString(s1[:]), SHA256: hex.EncodeToString(s256[:])}
}

// builtPart is the entry of an artifact that built put there.
func builtPart(path string) part {
	return partOf(path[strings.LastIndexByte(path, '/')+1:], "content of "+path)
}

// publish stores a build-info.
func (r *rig) publish(name, number string, parts ...part) {
	r.t.Helper()
	body, err := json.Marshal(map[string]any{
		"name": name, "number": number, "started": time.Now().Format("2006-01-02T15:04:05.000-0700"), "modules": []any{map[string]any{"id": "m", "artifacts": parts}},
	})
	require.NoError(r.t, err)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPut, r.art.URL()+"/artifactory/api/build", strings.NewReader(string(body)))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	_ = resp.Body.Close()
	require.Equal(r.t, http.StatusNoContent, resp.StatusCode)
}

// mark gives a file the properties of build app/1.
func (r *rig) mark(repo string, paths ...string) {
	r.t.Helper()
	client := r.clients(artifactorytest.CI)["main"]
	for _, path := range paths {
		require.NoError(r.t, client.Merge(r.t.Context(), artifact.Ref{Instance: "main", Repo: repo, Path: path},
			map[string][]string{"build.name": {"app"}, "build.number": {"1"}}))
	}
}

// built publishes build app/1 of signed artifacts.
func (r *rig) built(paths ...string) {
	r.t.Helper()
	r.signed(paths...)
	r.mark(staging, paths...)
	var parts []part
	for _, path := range paths {
		parts = append(parts, builtPart(path))
	}
	r.publish("app", "1", parts...)
}

func (r *rig) buildRequest(confirm, move bool) promotion.Request {
	return promotion.Request{Instance: "main", Build: &promotion.Build{Name: "app", Number: "1"}, Target: release, Caller: "ci", Confirm: confirm, Move: move}
}

// history is what the build's history says, the newest first.
func (r *rig) history() (lines []string) {
	r.t.Helper()
	client := r.clients(artifactorytest.CI)["main"]
	ref, err := client.BuildRef(r.t.Context(), "", "app", "1")
	require.NoError(r.t, err)
	b, err := client.Build(r.t.Context(), ref)
	require.NoError(r.t, err)
	for _, p := range b.Promotions {
		lines = append(lines, p.Status+" "+p.Repo)
	}
	return lines
}

func TestBuild(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		for name, move := range map[string]bool{"copy": false, "move": true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, d)
				paths := []string{"app/1/a.tgz", "app/1/sub/b ü+#.tgz", "other/c.tgz"}
				r.built(paths...)
				r.signed("app/1/not-of-the-build.tgz")
				dry := r.promote(r.buildRequest(false, move))
				require.Equal(t, promotion.StateAllowed, dry.State, "%+v", dry)
				require.Equal(t, []any{promotion.KindBuild, "app/1"}, []any{dry.Kind, dry.Name})
				require.Len(t, dry.Items, 3)
				require.Empty(t, r.art.Paths(release))
				require.Empty(t, r.history())

				done := r.promote(r.buildRequest(true, move))
				require.Equal(t, promotion.StateDone, done.State, "%+v", done)
				r.stands(paths...)
				require.Len(t, r.art.Paths(release), 9)
				require.Equal(t, []string{"released " + release}, r.history())
				left := 12
				if move {
					left = 3
				}
				require.Len(t, r.art.Paths(staging), left)
				record, err := r.ledger.Promotion(t.Context(), done.ID)
				require.NoError(t, err)
				require.Equal(t, []string{"build", "app/1"}, []string{record.Kind, record.Name})

				r.art.ForgetRequests()
				again := r.promote(r.buildRequest(true, move))
				require.Equal(t, promotion.StateDone, again.State, "%+v", again)
				require.Len(t, again.Items, 3)
				require.Zero(t, r.art.CountRequests("POST", "/artifactory/api/copy"))
				require.Equal(t, []string{"released " + release}, r.history(), "said once")
			})
		}
	})
}

// What the record of the build says and what is there must be the same.
func TestBuildIsNotWhatItsRecordSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(r *rig)
		want  []reason.Code
	}{
		"an artifact is gone":      {func(r *rig) { require.NoError(r.t, r.art.Delete("dev1", staging, "a.tgz")) }, []reason.Code{reason.BuildIncomplete}},
		"an artifact is elsewhere": {func(r *rig) { r.publish("app", "1", builtPart("a.tgz"), partOf("b.tgz", "nowhere")) }, []reason.Code{reason.BuildIncomplete, reason.BuildForeign}},
		"no digest":                {func(r *rig) { r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), part{Name: "c"}) }, []reason.Code{reason.BuildIncomplete}},
		"a wrong digest": {func(r *rig) {
			r.publish("app", "1", builtPart("a.tgz"), part{Name: "b.tgz", SHA256: strings.Repeat("ab", 32)})
		}, []reason.Code{reason.BuildIncomplete, reason.BuildForeign}},
		"two names, one file": {func(r *rig) {
			r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), partOf("twin.tgz", "content of b.tgz"))
		}, []reason.Code{reason.BuildIncomplete}},
		"a foreign file":    {func(r *rig) { r.signed("evil.tgz"); r.mark(staging, "evil.tgz") }, []reason.Code{reason.BuildForeign}},
		"nothing published": {func(r *rig) { r.publish("app", "1") }, []reason.Code{reason.NothingSelected}},
		"the bytes of an artifact under another name": {func(r *rig) {
			r.put(staging, "victim/9.9/installer.exe", "content of a.tgz")
			r.put(staging, "victim/9.9/installer.exe.sig", r.signature(keyA, "raw", "content of a.tgz"))
			r.mark(staging, "victim/9.9/installer.exe")
		}, []reason.Code{reason.BuildForeign}},
		"an artifact under another name": {func(r *rig) {
			require.NoError(r.t, r.art.Delete("dev1", staging, "a.tgz"))
			r.put(staging, "z.tgz", "content of a.tgz")
			r.mark(staging, "z.tgz")
		}, []reason.Code{reason.BuildIncomplete, reason.BuildForeign}},
		"one of two names, twice": {func(r *rig) {
			r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), partOf("twin.tgz", "content of b.tgz"))
			r.put(staging, "sub/b.tgz", "content of b.tgz")
			r.put(staging, "sub/b.tgz.sig", r.signature(keyA, "raw", "content of b.tgz"))
			r.mark(staging, "sub/b.tgz")
		}, []reason.Code{reason.BuildIncomplete}},
		"no name": {func(r *rig) {
			r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), partOf("", "content of b.tgz"))
		}, []reason.Code{reason.BuildIncomplete}},
		"an artifact named as a signature file": {func(r *rig) {
			r.put(staging, "firmware.bin.sig", "a vendor signature")
			r.mark(staging, "firmware.bin.sig")
			r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), partOf("firmware.bin.sig", "a vendor signature"))
		}, []reason.Code{reason.BuildIncomplete}},
		"an artifact named in the record as a signature file": {func(r *rig) {
			r.publish("app", "1", builtPart("a.tgz"), partOf("b.sig", "content of b.tgz"), builtPart("b.tgz"))
		}, []reason.Code{reason.BuildIncomplete}},
		"a signature file that does not count": {func(r *rig) {
			sig := r.signature(dev, "raw", "content of a.tgz")
			r.put(staging, "a.tgz."+dev+".sig", sig)
			r.mark(staging, "a.tgz."+dev+".sig")
			r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), partOf("a.tgz."+dev+".sig", sig))
		}, []reason.Code{reason.BuildIncomplete}},
		"an artifact is not signed": {func(r *rig) {
			require.NoError(r.t, r.art.Delete("dev1", staging, "a.tgz.sig"), r.art.Delete("dev1", staging, "a.tgz.sigstore.json"))
		},
			[]reason.Code{reason.SignatureMissing}},
		"replaced": {func(r *rig) {
			r.put(staging, "a.tgz", "evil")
			r.mark(staging, "a.tgz")
		}, []reason.Code{reason.BuildIncomplete, reason.BuildForeign}},
		"in two repositories": {func(r *rig) {
			r.put(release+"-too", "a.tgz", "content of a.tgz")
			r.mark(release+"-too", "a.tgz")
		}, []reason.Code{reason.BuildIncomplete}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.built("a.tgz", "b.tgz")
			c.spoil(r)
			report := r.promote(r.buildRequest(true, true))
			require.Equal(t, promotion.StateRefused, report.State, "%+v", report)
			require.ElementsMatch(t, c.want, codes(report), "%+v", report)
			require.Empty(t, r.art.Paths(release))
			require.Empty(t, r.history())
		})
	}
}

func TestBuildVariants(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(r *rig, req *promotion.Request){
		"only SHA-1": func(r *rig, _ *promotion.Request) {
			a, b := builtPart("a.tgz"), builtPart("b.tgz")
			a.SHA256, b.SHA256 = "", ""
			r.publish("app", "1", a, b)
		},
		"the same twice": func(r *rig, _ *promotion.Request) {
			r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), builtPart("a.tgz"))
		},
		"signature files with the build's properties": func(r *rig, _ *promotion.Request) { r.mark(staging, "a.tgz.sig") },
		"signature files in the build-info": func(r *rig, _ *promotion.Request) {
			content, err := r.art.Content(staging, "a.tgz.sig")
			require.NoError(r.t, err)
			r.mark(staging, "a.tgz.sig")
			r.publish("app", "1", builtPart("a.tgz"), builtPart("b.tgz"), partOf("a.tgz.sig", string(content)))
		},
		"a source of several": func(r *rig, req *promotion.Request) {
			r.put(release+"-too", "a.tgz", "content of a.tgz")
			r.mark(release+"-too", "a.tgz")
			req.Build.Source = staging
		},
		"a foreign file in a repository of others": func(r *rig, _ *promotion.Request) {
			r.put(release+"-too", "x/y.bin", "mine")
			r.mark(release+"-too", "x/y.bin")
		},
		"the bytes of an artifact under another name, in a repository of others": func(r *rig, _ *promotion.Request) {
			r.put(release+"-too", "x/y.bin", "content of a.tgz")
			r.mark(release+"-too", "x/y.bin")
		},
		"a name from the machine that built it": func(r *rig, _ *promotion.Request) {
			a := builtPart("a.tgz")
			a.Name, a.Path = "target.tgz", "a.tgz"
			r.publish("app", "1", a, builtPart("b.tgz"))
		},
		"no repository in the history": func(r *rig, _ *promotion.Request) {
			require.NoError(r.t, r.art.SetQuirks(standin.Quirks{EmptyPromotion: "refuse"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.built("a.tgz", "b.tgz")
			req := r.buildRequest(true, false)
			prepare(r, &req)
			for range 2 {
				report := r.promote(req)
				require.Equal(t, promotion.StateDone, report.State, "%+v", report)
				require.Equal(t, map[string]string{"a.tgz": "done", "b.tgz": "done"}, states(report))
				r.stands("a.tgz", "b.tgz")
				require.Len(t, r.history(), 1)
			}
		})
	}
	t.Run("same bytes at two paths", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, ledger.SQLite)
		r.built("a.tgz")
		r.put(staging, "twin/a.tgz", "content of a.tgz")
		r.put(staging, "twin/a.tgz.sig", r.signature(keyA, "raw", "content of a.tgz"))
		r.mark(staging, "twin/a.tgz")
		require.Equal(t, promotion.StateDone, r.promote(r.buildRequest(true, true)).State)
		require.ElementsMatch(t, []string{"a.tgz", "a.tgz.sig", "a.tgz.sigstore.json", "twin/a.tgz", "twin/a.tgz.sig"}, r.art.Paths(release))
		require.Empty(t, r.art.Paths(staging))
	})
}

// With a source named, no other repository is asked for files of the build, so nobody there can hold a promotion up.
func TestBuildWithASourceAsksNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.built("a.tgz")
	var queries []string
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/search/aql", When: standin.Before, Times: -1, Do: func(req *http.Request) {
		body, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.mu.Lock()
		defer r.mu.Unlock()
		queries = append(queries, string(body))
	}})
	req := r.buildRequest(true, false)
	req.Build.Source = staging
	require.Equal(t, promotion.StateDone, r.promote(req).State)
	require.Len(t, queries, 2)
	require.Contains(t, queries[0], `"repo":"`+staging+`"`)
	require.Contains(t, queries[1], `"repo":"`+release+`"`)
}

// A build-info that names signature files is moved with them, also when the command is repeated.
func TestBuildOfSignatureFilesIsMovedTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.built("a.tgz")
	content, err := r.art.Content(staging, "a.tgz.sig")
	require.NoError(t, err)
	r.mark(staging, "a.tgz.sig")
	r.publish("app", "1", builtPart("a.tgz"), partOf("a.tgz.sig", string(content)))
	for range 2 {
		report := r.promote(r.buildRequest(true, true))
		require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	}
	r.stands("a.tgz")
	require.Empty(t, r.art.Paths(staging))
}

// Whatever call of a build's promotion fails: nothing is lost, and the same command completes it.
func TestEveryCallOfABuildFails(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]standin.Fault{
		"copy":     {Method: http.MethodPost, Path: "/artifactory/api/copy/**/b.tgz"},
		"delete":   {Method: http.MethodDelete, Path: "/artifactory/" + staging + "/b.tgz"},
		"leftover": {Method: http.MethodDelete, Path: "/artifactory/" + staging + "/b.tgz.sig"},
		"mark":     {Method: http.MethodPost, Path: "/artifactory/api/build/promote/**"},
		"search":   {Method: http.MethodPost, Path: "/artifactory/api/search/aql"},
		"record":   {Method: http.MethodGet, Path: "/artifactory/api/build/**"},
	} {
		for _, when := range []standin.When{standin.Before, standin.After} {
			t.Run(fmt.Sprintf("%s/after=%t", name, when == standin.After), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ledger.SQLite)
				paths := []string{"a.tgz", "b.tgz", "c.tgz"}
				r.built(paths...)
				call.When, call.Times, call.Status = when, -1, http.StatusServiceUnavailable
				disarm := r.fail(call)
				report := r.promote(r.buildRequest(true, true))
				require.Positive(t, disarm())
				r.whole(paths...)
				if report.State != promotion.StateDone {
					require.NotEmpty(t, codes(report))
					require.Contains(t, []promotion.State{promotion.StateIncomplete, promotion.StateUndecided}, report.State)
				}
				report = r.promote(r.buildRequest(true, true))
				require.Equal(t, promotion.StateDone, report.State, "%+v", report)
				r.stands(paths...)
				require.Empty(t, r.art.Paths(staging))
				require.Equal(t, []string{"released " + release}, r.history())
			})
		}
	}
}

// The build's history may not be written, or the build is gone or published again: the files stand, and that is told.
func TestBuildCannotBeMarked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(r *rig)
		want  reason.Code
	}{
		"no right": {func(r *rig) {
			require.NoError(r.t, r.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: map[string]string{staging: "rd", release: "rwda", "artifactory-build-info": "r"}}))
		}, reason.PromotionRefused},
		"published again": {func(r *rig) { r.publish("app", "1", builtPart("a.tgz")) }, reason.ArtifactChanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.built("a.tgz")
			var once bool
			r.after = func() {
				if !once {
					once = true
					c.spoil(r)
				}
			}
			report := r.promote(r.buildRequest(true, false))
			require.Equal(t, promotion.StateIncomplete, report.State)
			require.Equal(t, []reason.Code{c.want}, codes(report), "%+v", report)
			require.Equal(t, map[string]string{"a.tgz": "done"}, states(report))
			r.stands("a.tgz")
		})
	}
}

// A file of the build that is replaced by another signed one after it was found does not enter.
func TestBuildOverwrittenBeforeTheGate(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.built("a.tgz")
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/search/aql", When: standin.After, Do: func(*http.Request) {
		r.put(staging, "a.tgz", "the next version")
		r.put(staging, "a.tgz.sig", r.signature(keyA, "raw", "the next version"))
		r.put(staging, "a.tgz.sigstore.json", r.signature(keyA, "sigstore", "the next version"))
	}})
	report := r.promote(r.buildRequest(true, false))
	require.Equal(t, promotion.StateRefused, report.State)
	require.Equal(t, []reason.Code{reason.ArtifactChanged}, codes(report), "%+v", report)
	require.Empty(t, r.art.Paths(release))
}

func TestBuildRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.built("a.tgz")
	for name, c := range map[string]struct {
		spoil func(req *promotion.Request)
		want  reason.Code
	}{
		"unknown":          {func(req *promotion.Request) { req.Build.Number = "2" }, reason.NothingSelected},
		"other project":    {func(req *promotion.Request) { req.Build.Project = "fw" }, reason.NothingSelected},
		"no number":        {func(req *promotion.Request) { req.Build.Number = "" }, reason.PathRefused},
		"leaves its place": {func(req *promotion.Request) { req.Build.Name = ".." }, reason.PathRefused},
		"own repository":   {func(req *promotion.Request) { req.Build.Source = release }, reason.PathRefused},
		"two lines":        {func(req *promotion.Request) { req.Build.Comment = "a\nb" }, reason.PathRefused},
		"two things":       {func(req *promotion.Request) { req.Artifacts = []string{staging + "/a.tgz"} }, reason.NothingSelected},
	} {
		req := r.buildRequest(true, false)
		c.spoil(&req)
		_, err := r.service.Promote(t.Context(), req)
		var no *reason.Refused
		require.ErrorAs(t, err, &no, name)
		require.Equal(t, c.want, no.Reasons[0].Code, name)
	}
	require.Empty(t, r.art.Paths(release))
}

// Two promotions of one build at once end as one.
func TestBuildTwiceAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.built("a.tgz", "b.tgz")
	done := make(chan promotion.State, 3)
	for range cap(done) {
		go func() {
			report, _ := r.service.Promote(t.Context(), r.buildRequest(true, true))
			done <- report.State
		}()
	}
	for range cap(done) {
		require.Equal(t, promotion.StateDone, <-done)
	}
	r.stands("a.tgz", "b.tgz")
	require.Equal(t, 6, r.art.CountRequests(http.MethodPost, "/artifactory/api/copy"))
	require.Len(t, r.history(), 1)
	require.False(t, slices.Contains(r.art.Paths(staging), "a.tgz"))
}
