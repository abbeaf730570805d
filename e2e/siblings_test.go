package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// awkward are names that mean something in URLs, or are as long as names get.
func awkward() []string {
	return []string{
		"two words.bin", "a+b.bin", "c#1.bin", "100%.bin", "%2F.bin", "é 日本 🔏.bin", "cafe\u0301.bin", "a?b=c&d.bin", "[x]{y}*.bin", "semi;colon=1.bin",
		strings.Repeat("l", 196) + ".bin", strings.Repeat("日", 60) + " +#;.bin",
	}
}

// Awkward names, from the upload over the signature to promotion and sweep: each is its own item everywhere.
func TestAwkwardNamesArePromotedAndSwept(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	edit(t, s.Path("hallmark.yaml"), "artifactory:\n  - name: main\n", "artifactory:\n  - name: main\n    pathSemicolon: encode\n")
	require.NoError(t, s.Serve(t.Context()))
	names := awkward()
	var paths []string
	for _, name := range names {
		path := "app/" + name[:1] + "/" + name
		path = strings.ToValidUTF8(path, "x")
		paths = append(paths, path)
		upload(t, s, path, "content of "+path)
	}
	awaitSigned(t, s, paths...)
	var named []string
	for _, path := range paths {
		named = append(named, sandbox.Staging+"/"+path)
	}
	for _, args := range [][]string{{sandbox.Staging + "/app/"}, named} {
		r := hallmark(t, s, append(append([]string{"promote"}, args...), "--target", sandbox.Release, "--confirm")...)
		require.Equal(t, 0, r.code, r.out+r.err)
	}
	for repo, n := range map[string]int{sandbox.Staging: len(paths), sandbox.Release: len(paths)} {
		var sweep api.Sweep
		r := hallmark(t, s, "sweep", "--repo", repo, "--full", "-o", "json")
		require.Equal(t, 0, r.code, r.out+r.err)
		readJSON(t, r.out, &sweep)
		require.Equal(t, map[string]int64{"signed": int64(n), "signature-file": 2 * int64(n)}, sweep.Findings)
		require.Len(t, s.Artifactory.Paths(repo), 3*n)
		for _, path := range paths {
			content, err := s.Artifactory.Content(repo, path)
			require.NoError(t, err)
			require.Equal(t, "content of "+path, string(content))
			for _, suffix := range []string{".sig", ".sigstore.json"} {
				f, _ := s.Artifactory.File(repo, path+suffix)
				require.Empty(t, f.Properties, "no matrix parameter ever set a property: %s", path)
			}
		}
	}
	observe(t, s, sandbox.Staging, sandbox.Release)()
	require.InDelta(t, len(paths), signaturesMade(t, s), 0)
}

// crowd puts n signed siblings with names of 200 characters into a folder, as if they had been signed long ago. All have
// the same bytes, so one signature is good for all.
func crowd(t *testing.T, s *sandbox.Sandbox, folder string, n int) (name func(int) string) {
	t.Helper()
	const first = "app/first.bin"
	if _, ok := s.Artifactory.File(sandbox.Staging, first); !ok {
		upload(t, s, first, "the same everywhere")
		awaitSigned(t, s, first)
	}
	name = func(i int) string { return fmt.Sprintf("%s/%04d%s.bin", folder, i, strings.Repeat("s", 192)) }
	signed, _ := s.Artifactory.File(sandbox.Staging, first)
	suffixes := []string{"", ".sigstore.json", ".sig"}
	contents := map[string][]byte{}
	for _, suffix := range suffixes {
		var err error
		contents[suffix], err = s.Artifactory.Content(sandbox.Staging, first+suffix)
		require.NoError(t, err)
	}
	for i := range n {
		for _, suffix := range suffixes {
			props := signed.Properties
			if suffix != "" {
				props = nil
			}
			require.NoError(t, s.Artifactory.Put(sandbox.Developer, sandbox.Staging, name(i)+suffix, bytes.NewReader(contents[suffix]), props))
		}
	}
	return name
}

// What signing and promoting cost does not depend on how many siblings an artifact has, and a sweep over thousands in
// one folder goes by pages.
func TestThousandsOfSiblings(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Sweep: "{off: true, pageSize: 500}", Standin: func(c *standin.Config) { c.KeepRequests = 1 << 16 }})
	s.Artifactory.Distort(standin.Distortion{Drop: func(e standin.Event) bool { return strings.Contains(e.Path, "ssss") }})
	cost := func(work func()) int {
		s.Artifactory.ForgetRequests()
		work()
		return len(s.Artifactory.Requests())
	}
	const promoted = 10
	type costs struct{ sign, promote, list int }
	spent := map[int]costs{}
	for _, siblings := range []int{2 * promoted, 3000} {
		folder := fmt.Sprintf("app/crowd-%d", siblings)
		name := crowd(t, s, folder, siblings)
		var c costs
		path := folder + "/new.bin"
		c.sign = cost(func() {
			upload(t, s, path, "new among "+fmt.Sprint(siblings))
			awaitSigned(t, s, path)
			require.Equal(t, "signed", settled(t, s, path).Current.State)
		})
		args := []string{"promote", "--target", sandbox.Release, "--confirm"}
		for i := range promoted {
			args = append(args, sandbox.Staging+"/"+name(i))
		}
		var report promotion.Report
		c.promote = cost(func() { hallmarkJSON(t, s, 0, &report, args...) })
		require.Len(t, report.Items, promoted)
		c.list = cost(func() { // without --confirm: judged alone, and found by a pattern
			hallmarkJSON(t, s, 0, &report, "promote", "--target", sandbox.Release, sandbox.Staging+"/"+folder+"/000*")
			require.Len(t, report.Items, promoted)
		})
		spent[siblings] = c
	}
	few, many := spent[2*promoted], spent[3000]
	for what, pair := range map[string][2]int{"sign": {few.sign, many.sign}, "promote": {few.promote, many.promote}, "list": {few.list, many.list}} {
		require.InDelta(t, pair[0], pair[1], 3, "%s: what a repository is was asked before; nothing else differs", what)
	}
	require.Less(t, many.promote, 28*promoted, "of each, every format is looked for under the plain name and under the key's")

	var sweep api.Sweep
	requests := cost(func() {
		r := hallmark(t, s, "sweep", "--repo", sandbox.Staging, "--prefix", "app/crowd-3000", "--full", "-o", "json")
		require.Equal(t, 0, r.code, r.out+r.err)
		readJSON(t, r.out, &sweep)
	})
	require.Equal(t, map[string]int64{"signed": 3001, "signature-file": 6002}, sweep.Findings)
	require.Less(t, requests, 60, "two queries for each page of 500, and the signature files that stand on another page than their artifact")
}

// Without pathSemicolon a name with a semicolon cannot be spoken safely. It is refused by name wherever it comes up, and
// keeps its neighbours neither from being signed nor from being swept.
func TestSemicolonAmongSiblings(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Sweep: "{off: true}"})
	const good, bad = "app/semi/good.bin", "app/semi/a;b.bin"
	upload(t, s, good, "good")
	upload(t, s, bad, "bad")
	awaitSigned(t, s, good)
	require.Equal(t, "path-refused", string(settled(t, s, bad).Current.Reasons[0].Code))
	r := hallmark(t, s, "promote", sandbox.Staging+"/app/semi/", "--target", sandbox.Release, "--confirm")
	require.Equal(t, 1, r.code, r.out+r.err)
	require.Contains(t, r.out, "path-refused")
	for range 2 {
		var sweep api.Sweep
		r = hallmark(t, s, "sweep", "--repo", sandbox.Staging, "--full", "-o", "json")
		require.Equal(t, 1, r.code, "somebody has to do something\n%s", r.out)
		readJSON(t, r.out, &sweep)
		require.Equal(t, map[string]int64{"signed": 1, "signature-file": 2, "unspeakable-path": 1}, sweep.Findings)
		require.Zero(t, sweep.Repaired, "no work that could only fail")
		require.Equal(t, "path-refused", string(sweep.Report[0].Reasons[0].Code))
	}
	require.Empty(t, s.Artifactory.Paths(sandbox.Release))
}
