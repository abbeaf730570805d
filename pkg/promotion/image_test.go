package promotion_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

const app = "team/app"

// port is a rig with a registry.
type port struct {
	*rig
	artifactorytest.Registry
}

func newPort(t *testing.T, d ledger.Dialect, q standin.Quirks) *port {
	t.Helper()
	r := newRig(t, d)
	require.NoError(t, r.art.SetQuirks(q))
	return &port{rig: r, Registry: artifactorytest.NewRegistry(t, r.art, ociStaging, artifactorytest.CI)}
}

// seal signs what stands at a path of the staging repository: an image, and of an index all that it lists.
func (p *port) seal(path, key string, formats ...string) {
	p.t.Helper()
	client := p.clients(artifactorytest.CI)["main"]
	m, err := artifact.Resolve(p.t.Context(), client, artifact.Ref{Instance: "main", Repo: ociStaging, Path: path})
	require.NoError(p.t, err)
	p.sealThese(m.Subjects, key, formats...)
}

// sealWhole signs an index and nothing that it lists.
func (p *port) sealWhole(path, key string, formats ...string) {
	p.t.Helper()
	m, err := artifact.Resolve(p.t.Context(), p.clients(artifactorytest.CI)["main"], artifact.Ref{Instance: "main", Repo: ociStaging, Path: path})
	require.NoError(p.t, err)
	p.sealThese(m.Subjects[len(m.Subjects)-1:], key, formats...)
}

func (p *port) sealThese(subjects []artifact.Subject, key string, formats ...string) {
	p.t.Helper()
	client := p.clients(artifactorytest.CI)["main"]
	for _, s := range subjects {
		for _, name := range formats {
			f, ok := seal.Lookup(name)
			require.True(p.t, ok)
			content, err := f.Seal(p.t.Context(), p.keys[key], seal.FromSHA256(s.SHA256))
			require.NoError(p.t, err)
			_, err = shelf.Put(p.t.Context(), client, s, "", f, content)
			require.NoError(p.t, err)
		}
	}
}

// image pushes a signed image, index a signed index; both answer with the path of the manifest.
func (p *port) image(tag string) (artifactorytest.Manifest, string) {
	p.t.Helper()
	m, path := p.Push(app, ":"+tag, p.New("linux/amd64")), app+"/"+tag+"/manifest.json"
	p.seal(path, keyA, "cosign")
	return m, path
}

func (p *port) index(tag string) (artifactorytest.Manifest, []artifactorytest.Manifest) {
	p.t.Helper()
	m, parts := p.NewIndex("linux/amd64", "linux/arm64")
	p.Push(app, ":"+tag, m)
	p.seal(app+"/"+tag+"/list.manifest.json", keyA, "cosign")
	return m, parts
}

func (p *port) ask(image string, confirm, move bool) promotion.Request {
	return promotion.Request{Instance: "main", Image: ociStaging + "/" + app + image, Target: ociRelease, Caller: "ci", Confirm: confirm, Move: move}
}

// ships checks that a manifest stands at the target and that a gate in front of that lets it through: signatures and all.
func (p *port) ships(path string, m artifactorytest.Manifest) {
	p.t.Helper()
	f, ok := p.art.File(ociRelease, path)
	require.True(p.t, ok, path)
	require.Equal(p.t, m.SHA256(), f.SHA256)
	ref := artifact.Ref{Instance: "main", Repo: ociRelease, Path: path}
	g := *p.gate
	g.Instances = p.clients(promoter)
	v := g.Inspect(p.t.Context(), gate.Request{Artifact: ref, Target: ref})
	require.True(p.t, v.Allow, "%+v", v)
}

// tags are the tags of the application in a repository.
func (p *port) tags(repo string) (tags []string) {
	for _, path := range p.art.Paths(repo) {
		if rest, ok := strings.CutPrefix(path, app+"/"); ok && !strings.HasPrefix(rest, "sha256") && strings.HasSuffix(rest, "manifest.json") {
			tags = append(tags, rest[:strings.IndexByte(rest, '/')])
		}
	}
	return tags
}

func TestImage(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		for name, move := range map[string]bool{"copy": false, "move": true} {
			t.Run(name, func(t *testing.T) {
				p := newPort(t, d, standin.Quirks{})
				idx, parts := p.index("1.0")
				img, path := p.image("2.0")
				for image, whole := range map[string]string{":1.0": app + "/1.0/list.manifest.json", ":2.0": path} {
					dry := p.promote(p.ask(image, false, move))
					require.Equal(t, promotion.StateAllowed, dry.State, "%+v", dry)
					require.Equal(t, []any{promotion.KindImage, ociStaging + "/" + app + image}, []any{dry.Kind, dry.Name})
					done := p.promote(p.ask(image, true, move))
					require.Equal(t, promotion.StateDone, done.State, "%+v", done)
					require.Equal(t, map[string]string{ociStaging + "/" + whole: "done"}, states(done))
				}
				p.ships(app+"/1.0/list.manifest.json", idx)
				p.ships(path, img)
				for _, part := range parts {
					p.ships(app+"/"+part.Digest+"/manifest.json", part)
				}
				f, _ := p.art.File(ociRelease, path)
				require.Equal(t, []string{"signed"}, f.Properties["hallmark.state"])
				require.Equal(t, []string{"oci-release"}, f.Properties["hallmark.policy"])
				if move {
					require.Empty(t, p.tags(ociStaging))
					_, there := p.art.File(ociStaging, app+"/"+parts[0].Digest+"/manifest.json")
					require.True(t, there, "other tags may need it")
				} else {
					require.Len(t, p.tags(ociStaging), 2)
				}
				p.art.ForgetRequests()
				again := p.promote(p.ask(":1.0", true, move))
				require.Equal(t, promotion.StateDone, again.State, "%+v", again)
				require.Zero(t, p.art.CountRequests(http.MethodPost, "/artifactory/api/docker/"+ociStaging+"/v2/promote"), "what is there is not promoted again")
				require.Zero(t, p.art.CountRequests(http.MethodPut, "/artifactory/api/docker"), "nor signed")
			})
		}
	})
}

func TestImageNames(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	m, _ := p.image("2.0")
	other, _ := p.image("3.0")
	for name, c := range map[string]struct {
		image, target string
		want          string // the target's tag
		code          reason.Code
	}{
		"tag":                    {":2.0", "", "2.0", ""},
		"digest":                 {"@" + m.Digest, "", "2.0", ""},
		"both":                   {":2.0@" + m.Digest, "", "2.0", ""},
		"another tag":            {":2.0", "stable", "stable", ""},
		"digest of another":      {":2.0@" + other.Digest, "", "", reason.ArtifactChanged},
		"nobody's digest":        {"@sha256:" + strings.Repeat("ab", 32), "", "", reason.NothingSelected},
		"no such tag":            {":9", "", "", reason.ArtifactGone},
		"nothing behind it":      {"", "", "", reason.PathRefused},
		"half a digest":          {"@sha256:abc", "", "", reason.PathRefused},
		"a signature's tag":      {":sha256-" + m.SHA256() + ".sig", "", "", reason.PathRefused},
		"to a signature's tag":   {":2.0", "sha256-" + m.SHA256(), "", reason.PathRefused},
		"to a tag that is none":  {":2.0", "a/b", "", reason.PathRefused},
		"leaves its place":       {"/../../x:1", "", "", reason.PathRefused},
		"target without a rule":  {":2.0", "", "", reason.NoGatePolicy},
		"target of files":        {":2.0", "", "", reason.PathRefused},
		"its own repository":     {":2.0", "", "", reason.PathRefused},
		"a virtual one":          {":2.0", "", "", reason.VirtualRepository},
		"a repository not there": {":2.0", "", "", reason.PathRefused},
	} {
		req := p.ask(c.image, false, false)
		req.TargetTag = c.target
		switch name {
		case "target of files":
			req.Target = release
		case "its own repository":
			req.Target = ociStaging
		case "a repository not there":
			req.Target = "nowhere"
		case "target without a rule":
			p.setPolicies(map[string]string{"gate.yaml": gatePolicy})
		case "a virtual one":
			req.Image = artifactorytest.OCIVirtual + "/" + app + ":2.0"
		}
		report, err := p.service.Promote(t.Context(), req)
		p.setPolicy(gatePolicy)
		var no *reason.Refused
		switch {
		case c.code == "":
			require.NoError(t, err, name)
			require.Equal(t, promotion.StateAllowed, report.State, "%s: %+v", name, report)
			require.Equal(t, ociRelease+"/"+app+"/"+c.want+"/manifest.json", report.Items[0].Target)
		case err == nil:
			require.Equal(t, promotion.StateRefused, report.State, "%s: %+v", name, report)
			require.Equal(t, []reason.Code{c.code}, codes(report), name)
		default:
			require.ErrorAs(t, err, &no, name)
			require.Equal(t, c.code, no.Reasons[0].Code, "%s: %v", name, err)
		}
	}
	require.Empty(t, p.art.Paths(ociRelease))
	p.Push(app, ":twin", m)
	_, err := p.service.Promote(t.Context(), p.ask("@"+m.Digest, false, false))
	require.ErrorContains(t, err, "several tags")
}

// What the gate does not let in, and what would overwrite something.
func TestImageRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(p *port)
		want    reason.Code
	}{
		"not signed":        {func(p *port) { p.Push(app, ":1", p.New("linux/amd64")) }, reason.SignatureMissing},
		"a development key": {func(p *port) { p.Push(app, ":1", p.New("linux/amd64")); p.seal(app+"/1/manifest.json", dev, "cosign") }, reason.KeyDevelopment},
		"tag is taken": {func(p *port) {
			p.image("1")
			r := artifactorytest.NewRegistry(p.t, p.art, ociRelease, artifactorytest.CI)
			r.Push(app, ":1", r.New("linux/amd64"))
		}, reason.TargetOccupied},
		"tag is taken by an index": {func(p *port) {
			p.image("1")
			r := artifactorytest.NewRegistry(p.t, p.art, ociRelease, artifactorytest.CI)
			idx, _ := r.NewIndex("linux/amd64")
			r.Push(app, ":1", idx)
		}, reason.TargetOccupied},
		"a manifest of the index is gone": {func(p *port) {
			_, parts := p.index("1")
			require.NoError(p.t, p.art.Delete("ci", ociStaging, app+"/"+parts[0].Digest+"/manifest.json"))
		}, reason.ImageIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, ledger.SQLite, standin.Quirks{})
			c.prepare(p)
			before := p.art.Paths(ociRelease)
			report := p.promote(p.ask(":1", true, true))
			require.Equal(t, promotion.StateRefused, report.State, "%+v", report)
			require.Equal(t, []reason.Code{c.want}, codes(report))
			require.ElementsMatch(t, before, p.art.Paths(ociRelease))
			require.Equal(t, []string{"1"}, p.tags(ociStaging))
		})
	}
}

// Whatever call fails, and whatever a failed promotion leaves: the image is whole on one side, and the same command
// completes it. The tag is deleted only when everything stands.
func TestEveryCallOfAnImageFails(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]standin.Fault{
		"promote":   {Method: http.MethodPost, Path: "/artifactory/api/docker/" + ociStaging + "/v2/promote"},
		"look":      {Method: http.MethodGet, Path: "/artifactory/api/storage/" + ociRelease + "/" + app + "/1/list.manifest.json"},
		"signature": {Method: http.MethodPut, Path: "/artifactory/api/docker/" + ociRelease + "/**"},
		"property":  {Method: http.MethodPatch, Path: "/artifactory/api/metadata/" + ociRelease + "/**"},
		"delete":    {Method: http.MethodDelete, Path: "/artifactory/" + ociStaging + "/" + app + "/1"},
	} {
		for _, when := range []standin.When{standin.Before, standin.After} {
			for how, set := range map[string]func(*standin.Fault){
				"503":   func(f *standin.Fault) { f.Status = http.StatusServiceUnavailable },
				"reset": func(f *standin.Fault) { f.Reset = true },
			} {
				t.Run(fmt.Sprintf("%s/%s/after=%t", name, how, when == standin.After), func(t *testing.T) {
					t.Parallel()
					p := newPort(t, ledger.SQLite, standin.Quirks{})
					idx, parts := p.index("1")
					p.claim(ociStaging, app+"/1/list.manifest.json")
					f := call
					f.When, f.Times = when, -1
					set(&f)
					disarm := p.fail(f)
					report := p.promote(p.ask(":1", true, true))
					require.Positive(t, disarm(), "nothing failed")
					if report.State != promotion.StateDone {
						require.NotEmpty(t, codes(report), "%+v", report)
					}
					_, here := p.art.File(ociStaging, app+"/1/list.manifest.json")
					_, there := p.art.File(ociRelease, app+"/1/list.manifest.json")
					require.True(t, here || there)
					p.honest(ociRelease, app+"/1/list.manifest.json")
					report = p.promote(p.ask(":1", true, true))
					require.Equal(t, promotion.StateDone, report.State, "%+v", report)
					p.ships(app+"/1/list.manifest.json", idx)
					for _, part := range parts {
						p.ships(app+"/"+part.Digest+"/manifest.json", part)
					}
					require.Empty(t, p.tags(ociStaging))
				})
			}
		}
	}
}

// A promotion that Artifactory breaks off, having carried half of it or nothing.
func TestImagePromotionBreaksOff(t *testing.T) {
	t.Parallel()
	for _, abort := range []string{"half", "none"} {
		for nth := range 9 {
			t.Run(fmt.Sprintf("%s/%d", abort, nth), func(t *testing.T) {
				t.Parallel()
				p := newPort(t, ledger.SQLite, standin.Quirks{PromotionAbort: abort})
				idx, parts := p.index("1")
				n := 0
				p.art.Interrupt(func(_, _ string) error {
					if n++; n > nth {
						return fmt.Errorf("disk full")
					}
					return nil
				})
				report := p.promote(p.ask(":1", true, true))
				if n > nth {
					require.Equal(t, promotion.StateIncomplete, report.State)
					require.Equal(t, map[string]string{ociStaging + "/" + app + "/1/list.manifest.json": "failed"}, states(report))
					require.Equal(t, []string{"1"}, p.tags(ociStaging), "not deleted before everything stands")
				}
				p.art.Interrupt(nil)
				report = p.promote(p.ask(":1", true, true))
				require.Equal(t, promotion.StateDone, report.State, "%+v", report)
				p.ships(app+"/1/list.manifest.json", idx)
				p.ships(app+"/"+parts[1].Digest+"/manifest.json", parts[1])
			})
		}
	}
}

// A tag that is pushed anew between gate and promotion does not enter, whether it is seen in time or only afterwards.
func TestImageRetagged(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(p *port, push func()){
		"after the verdict": func(p *port, push func()) { p.after = push },
		"during the promotion": func(p *port, push func()) {
			p.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/docker/**/promote", Do: func(*http.Request) { push() }})
		},
	} {
		for _, index := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/index=%t", name, index), func(t *testing.T) {
				t.Parallel()
				p := newPort(t, ledger.SQLite, standin.Quirks{})
				p.image("1")
				evil := p.New("linux/amd64")
				if index {
					evil, _ = p.NewIndex("linux/amd64")
				}
				when(p, func() { p.Push(app, ":1", evil) })
				report := p.promote(p.ask(":1", true, true))
				want := map[bool]promotion.State{true: promotion.StateRefused, false: promotion.StateIncomplete}[p.after != nil]
				require.Equal(t, want, report.State, "%+v", report)
				require.Equal(t, []reason.Code{reason.ArtifactChanged}, codes(report))
				require.Empty(t, p.tags(ociRelease), "taken away again")
				require.Equal(t, []string{"1"}, p.tags(ociStaging))
				switch {
				case p.after != nil: // seen in time
				case index:
					require.Contains(t, report.Items[0].Reasons[0].Found, "stay under their digests")
				default:
					require.Equal(t, "withdrawn", report.Items[0].State)
				}
			})
		}
	}
}

// Where the wrong image cannot be taken away again, that is said loudly.
func TestWrongImageThatStays(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	rights := promoterRights()
	rights[ociRelease] = "rwa"
	require.NoError(t, p.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: rights}))
	p.image("1")
	p.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/docker/**/promote", Do: func(*http.Request) { p.Push(app, ":1", p.New("linux/amd64")) }})
	report := p.promote(p.ask(":1", true, false))
	require.Equal(t, "failed", report.Items[0].State)
	require.Contains(t, report.Items[0].Reasons[0].Message, "COULD NOT BE TAKEN AWAY")
	require.Contains(t, report.Items[0].Reasons[0].Fix, ociRelease+"/"+app+"/1/manifest.json")
}

// Somebody else takes the target's tag between gate and promotion: it is left alone.
func TestImageTagTakenMeanwhile(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	p.image("1")
	r := artifactorytest.NewRegistry(t, p.art, ociRelease, artifactorytest.CI)
	other := r.New("linux/amd64")
	p.after = func() { r.Push(app, ":1", other) }
	report := p.promote(p.ask(":1", true, true))
	require.Equal(t, []reason.Code{reason.TargetOccupied}, codes(report), "%+v", report)
	f, _ := p.art.File(ociRelease, app+"/1/manifest.json")
	require.Equal(t, other.SHA256(), f.SHA256)
	require.Equal(t, []string{"1"}, p.tags(ociStaging))
}

func TestImageRights(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		staging, release, state string
	}{
		"target not writable":  {"rd", "r", "failed"},
		"source not deletable": {"r", "rwda", "copied"},
	} {
		p := newPort(t, ledger.SQLite, standin.Quirks{})
		rights := promoterRights()
		rights[ociStaging], rights[ociRelease] = c.staging, c.release
		require.NoError(t, p.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: rights}))
		p.image("1")
		report := p.promote(p.ask(":1", true, true))
		require.Equal(t, promotion.StateIncomplete, report.State, name)
		require.Equal(t, c.state, report.Items[0].State, name)
		require.Equal(t, []reason.Code{reason.PromotionRefused}, codes(report), name)
		require.Equal(t, []string{"1"}, p.tags(ociStaging), name)
	}
}

// With the older scheme, with both, and where the API for referrers is missing.
func TestImageSignaturesOfEveryKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks  standin.Quirks
		formats []string
	}{
		"older scheme":      {standin.Quirks{}, []string{"cosign-tag"}},
		"both":              {standin.Quirks{}, []string{"cosign", "cosign-tag"}},
		"no referrers":      {standin.Quirks{Referrers: "404"}, []string{"cosign"}},
		"referrers follow":  {standin.Quirks{PromotedReferrers: "follow"}, []string{"cosign"}},
		"referrers refused": {standin.Quirks{Referrers: "403"}, []string{"cosign-tag"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, ledger.SQLite, c.quirks)
			m := p.Push(app, ":1", p.New("linux/amd64"))
			p.seal(app+"/1/manifest.json", keyA, c.formats...)
			p.seal(app+"/1/manifest.json", keyB, c.formats...)
			p.seal(app+"/1/manifest.json", dev, c.formats...)
			for range 2 {
				report := p.promote(p.ask(":1", true, false))
				require.Equal(t, promotion.StateDone, report.State, "%+v", report)
				require.Len(t, report.Items[0].Files, 2*len(c.formats), "development signatures stay behind")
				p.ships(app+"/1/manifest.json", m)
				found, err := p.clients(promoter)["main"].Signatures(t.Context(), artifact.Subject{
					Kind: artifact.KindImage, Info: artifact.Info{Ref: artifact.Ref{Instance: "main", Repo: ociRelease, Path: app + "/1/manifest.json"}, SHA256: report.Items[0].SHA256},
					Image: artifact.Image{Name: app},
				})
				if c.quirks.Referrers != "403" {
					require.NoError(t, err)
				}
				want := 2 * len(c.formats)
				if c.quirks.PromotedReferrers == "follow" {
					want++ // Artifactory carries whatever refers to it
				}
				require.Len(t, found, want)
			}
		})
	}
}

func TestImageTwiceAtOnce(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	m, path := p.image("1")
	done := make(chan promotion.State, 3)
	for range cap(done) {
		go func() {
			report, _ := p.service.Promote(t.Context(), p.ask(":1", true, true))
			done <- report.State
		}()
	}
	for range cap(done) {
		require.Equal(t, promotion.StateDone, <-done)
	}
	p.ships(path, m)
	require.Equal(t, 1, p.art.CountRequests(http.MethodPost, "/artifactory/api/docker/"+ociStaging+"/v2/promote"))
	require.False(t, slices.Contains(p.tags(ociStaging), "1"))
}
