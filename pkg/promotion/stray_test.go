package promotion_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func (p *port) stow(repo, path string) {
	p.t.Helper()
	require.NoError(p.t, p.art.Put("dev1", repo, path, strings.NewReader("nobody judged this"), nil))
}

// Artifactory promotes whatever lies in the folder of a tag: an image with anything else there does not enter, and
// nothing of it.
func TestImageWithStowaways(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]func(p *port, parts []string) string{
		"a file":                     func(*port, []string) string { return app + "/1/evil.sh" },
		"a layer of nothing":         func(*port, []string) string { return app + "/1/sha256__" + strings.Repeat("e", 64) },
		"another manifest":           func(*port, []string) string { return app + "/1/manifest.json.bak" },
		"a folder":                   func(*port, []string) string { return app + "/1/sub/evil.sh" },
		"a file beside a platform's": func(_ *port, parts []string) string { return app + "/" + parts[0] + "/evil.sh" },
		"a layer with other bytes": func(p *port, parts []string) string {
			for _, path := range p.art.Paths(ociStaging) {
				if strings.HasPrefix(path, app+"/"+parts[0]+"/sha256__") {
					return path
				}
			}
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, ledger.SQLite, standin.Quirks{})
			_, parts := p.index("1")
			p.stow(ociStaging, path(p, []string{parts[0].Digest}))
			report := p.promote(p.ask(":1", true, true))
			require.Equal(t, promotion.StateRefused, report.State, "%+v", report)
			require.Equal(t, []reason.Code{reason.ImageForeign}, codes(report))
			require.Empty(t, p.art.Paths(ociRelease))
			require.Equal(t, []string{"1"}, p.tags(ociStaging))
		})
	}
}

// An index beside the manifest that was judged is another file in its folder, too.
func TestImageWithTwoManifests(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	p.image("1")
	evil, _ := p.NewIndex("linux/amd64")
	require.NoError(t, p.art.Put("dev1", ociStaging, app+"/1/list.manifest.json", strings.NewReader(string(evil.Raw)), nil))
	report := p.promote(p.ask(":1", true, true))
	require.Equal(t, []reason.Code{reason.ImageForeign}, codes(report), "%+v", report)
	require.Empty(t, p.art.Paths(ociRelease))
}

// What comes into the folder after the last look, and travels, is taken away again, also when the promotion breaks off;
// what somebody puts at the target stays and is told loudly.
func TestStowawaysOnTheWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, repo string
		broken     bool
	}{{"taken away", ociStaging, false}, {"taken away, broken off", ociStaging, true}, {"somebody's own", ociRelease, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, ledger.SQLite, standin.Quirks{PromotionAbort: "half"})
			p.image("1")
			f := standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/docker/**/promote", Do: func(*http.Request) { p.stow(c.repo, app+"/1/a-evil.sh") }}
			if !c.broken { // the stand-in tidies up when it succeeds; not every server may
				f.When, f.Do = standin.After, func(*http.Request) {
					p.stow(ociStaging, app+"/1/a-evil.sh")
					p.stow(ociRelease, app+"/1/a-evil.sh")
					if c.repo == ociRelease {
						require.NoError(t, p.art.Delete("ci", ociStaging, app+"/1/a-evil.sh"))
					}
				}
			}
			p.fail(f)
			if c.broken {
				p.art.Interrupt(func(_, to string) error {
					if strings.HasSuffix(to, "manifest.json") {
						return fmt.Errorf("disk full")
					}
					return nil
				})
			}
			report := p.promote(p.ask(":1", true, true))
			require.Equal(t, promotion.StateIncomplete, report.State, "%+v", report)
			require.NotEmpty(t, codes(report))
			require.Equal(t, []string{"1"}, p.tags(ociStaging))
			_, stays := p.art.File(ociRelease, app+"/1/a-evil.sh")
			require.Equal(t, c.repo == ociRelease, stays, p.art.Paths(ociRelease))
			if !c.broken {
				require.Equal(t, []reason.Code{reason.ImageForeign}, codes(report))
			}
			if stays {
				require.Contains(t, report.Items[0].Reasons[0].Message, "COULD NOT BE TAKEN AWAY")
			}
			p.art.Interrupt(nil)
			report = p.promote(p.ask(":1", true, true))
			want := map[bool]reason.Code{true: reason.TargetOccupied, false: reason.ImageForeign}[stays]
			require.Equal(t, []reason.Code{want}, codes(report), "%+v", report)
			require.NoError(t, p.art.Delete("ci", c.repo, app+"/1/a-evil.sh"))
			require.Equal(t, promotion.StateDone, p.promote(p.ask(":1", true, true)).State)
		})
	}
}

// Of an index within an index all is looked at: what Artifactory leaves behind is told, and a move deletes nothing then.
func TestIndexInIndex(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	inner, parts := p.NewIndex("linux/amd64")
	p.Push(app, ":1", p.Wrap(inner))
	p.seal(app+"/1/list.manifest.json", keyA, "cosign")
	report := p.promote(p.ask(":1", true, true))
	_, there := p.art.File(ociRelease, app+"/"+parts[0].Digest+"/manifest.json")
	require.False(t, there, "the stand-in carries only what the outer index lists")
	require.Equal(t, promotion.StateIncomplete, report.State, "%+v", report)
	require.Contains(t, report.Items[0].Reasons[0].Found, parts[0].Digest)
	require.Equal(t, []string{"1"}, p.tags(ociStaging), "the source stays")
}

// However much refers to an image, a signature at the tag of cosign's older scheme counts.
func TestImageWithManyReferrers(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	m := p.Push(app, ":1", p.New("linux/amd64"))
	for i := range 65 {
		p.Refer(app, m, "application/x", []byte(fmt.Sprint(i)))
	}
	require.Equal(t, []reason.Code{reason.SignaturesTooMany}, codes(p.promote(p.ask(":1", true, true))), "none is not the same as too many")
	p.seal(app+"/1/manifest.json", keyA, "cosign-tag")
	report := p.promote(p.ask(":1", true, true))
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	p.ships(app+"/1/manifest.json", m)
}
