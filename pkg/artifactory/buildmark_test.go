package artifactory_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// marking is a server with one build, and its history as a client sees it.
func marking(t *testing.T, cfg standin.Config, p published) (*standin.Server, *artifactory.Client, func() artifact.Build) {
	t.Helper()
	s := artifactorytest.Start(t, cfg)
	c := newClient(t, s.URL(), func(cfg *artifactory.Config) { cfg.Token = secret(t, artifactorytest.Signer) })
	publish(t, s, p, partOf("a", "a"))
	keep(t, s, artifactorytest.Staging, "a", "a", stamps(p.name, p.number))
	repo := buildRepo
	if p.project != "" {
		repo = p.project + "-build-info"
	}
	return s, c, func() artifact.Build {
		b, err := c.Build(t.Context(), buildPlace(t, repo, p.name+"/"+p.number))
		require.NoError(t, err)
		return b
	}
}

// posts counts the promotions that were sent.
func posts(s *standin.Server) (n int) {
	for _, r := range s.Requests() {
		if r.Method == http.MethodPost {
			n++
		}
	}
	return n
}

func TestMarkPromoted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for quirk, repo := range map[string]string{"": artifactorytest.Release, "without": "", "refuse": ""} {
		for _, p := range []published{{name: "bld", number: "7"}, {project: "fw", name: "bld", number: "7"}, {name: "team/my build; +1%", number: "1:2;3"}} {
			s, c, look := marking(t, standin.Config{Quirks: standin.Quirks{EmptyPromotion: quirk}}, p)
			want := artifact.BuildPromotion{Status: "released", Repo: artifactorytest.Release, At: at, By: "hallmark"}
			for range 3 {
				require.NoError(t, c.MarkPromoted(t.Context(), look(), want, "by hallmark"), quirk)
			}
			require.Equal(t, []artifact.BuildPromotion{{Status: "released", Repo: repo, At: at, By: "hallmark"}}, look().Promotions, "%q: once, and in its place", quirk)
			sent := 1
			if quirk == "refuse" {
				sent = 2
				if strings.Contains(p.name, "/") { // a 400 may be about the name: it is sent spelt the other way, too
					sent = 3
				}
			}
			require.Equal(t, sent, posts(s), quirk)
			require.Equal(t, []string{"a"}, s.Paths(artifactorytest.Staging), "nothing moves")
			require.Empty(t, s.Paths(artifactorytest.Release), "nothing is copied")

			// Another status at the same moment, then the first again: each is a line of its own, the newest first.
			require.NoError(t, c.MarkPromoted(t.Context(), look(), artifact.BuildPromotion{Status: "withdrawn", At: at}, "by hallmark"))
			require.NoError(t, c.MarkPromoted(t.Context(), look(), want, "again"))
			got := look().Promotions
			require.Len(t, got, 3)
			require.Equal(t, []string{"released", "withdrawn", "released"}, []string{got[0].Status, got[1].Status, got[2].Status})
			require.True(t, got[0].At.After(got[1].At) && got[1].At.After(got[2].At))
			require.Equal(t, repo, got[0].Repo)
		}
	}
}

// To the same repository under another status, and to another under the same status, are other promotions.
func TestMarkPromotedElsewhere(t *testing.T) {
	t.Parallel()
	_, c, look := marking(t, artifactorytest.Wide(), published{name: "bld", number: "7"})
	for _, repo := range []string{artifactorytest.Release, artifactorytest.Staging, artifactorytest.LibsVirtual, ""} {
		require.NoError(t, c.MarkPromoted(t.Context(), look(), artifact.BuildPromotion{Status: "released", Repo: repo}, "to "+repo))
	}
	got := look().Promotions
	require.Len(t, got, 4)
	require.Equal(t, []string{"", artifactorytest.Staging, artifactorytest.Staging, artifactorytest.Release}, []string{got[0].Repo, got[1].Repo, got[2].Repo, got[3].Repo},
		"a virtual repository is recorded as the local one behind it")
	require.WithinDuration(t, time.Now(), got[3].At, time.Minute)
}

func TestMarkPromotedOfAnUnreliableServer(t *testing.T) {
	t.Parallel()
	for _, f := range []standin.Fault{
		{Status: 503}, {Status: 503, When: standin.After}, {Reset: true, When: standin.After}, {Truncate: 5}, {Status: 429, RetryAfter: time.Second},
	} {
		s, c, look := marking(t, standin.Config{}, published{name: "bld", number: "7"})
		f.Path = "/artifactory/api/build/promote/**"
		disarm := s.Fail(f)
		p := artifact.BuildPromotion{Status: "released", Repo: artifactorytest.Release}
		require.NoError(t, c.MarkPromoted(t.Context(), look(), p, ""))
		require.Equal(t, 1, disarm())
		require.Len(t, look().Promotions, 1, "an attempt whose answer was lost counts")
		require.Equal(t, artifactorytest.Release, look().Promotions[0].Repo)
	}
}

func TestMarkPromotedRefusals(t *testing.T) {
	t.Parallel()
	s, c, look := marking(t, standin.Config{}, published{name: "bld", number: "7"})
	old := look()
	released := artifact.BuildPromotion{Status: "released", Repo: artifactorytest.Release}
	require.ErrorContains(t, c.MarkPromoted(t.Context(), old, artifact.BuildPromotion{Repo: artifactorytest.Release}, ""), "status is empty")
	require.ErrorIs(t, c.MarkPromoted(t.Context(), old, artifact.BuildPromotion{Status: "x", Repo: "a/b"}, ""), artifactory.ErrPath)
	require.ErrorIs(t, c.MarkPromoted(t.Context(), artifact.Build{Name: "bld", Number: "8"}, released, ""), artifact.ErrGone)

	var refused *artifactory.Refused
	require.ErrorAs(t, c.MarkPromoted(t.Context(), old, artifact.BuildPromotion{Status: "released", Repo: "nowhere"}, ""), &refused)
	require.Equal(t, http.StatusNotFound, refused.Status, "of the target: the build is there")
	refused = nil
	require.ErrorAs(t, newClient(t, s.URL(), reader(t)).MarkPromoted(t.Context(), old, released, ""), &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
	require.Empty(t, look().Promotions)

	publish(t, s, published{name: "bld", number: "7", started: "2026-11-23T10:00:00.000+0000"})
	require.ErrorIs(t, c.MarkPromoted(t.Context(), old, released, ""), artifactory.ErrOtherItem, "Artifactory would mark the newer run")
	require.Empty(t, look().Promotions)
	s.Fail(standin.Fault{Path: "/artifactory/api/build/promote/**", Status: 204, Times: -1})
	require.ErrorContains(t, c.MarkPromoted(t.Context(), look(), released, ""), "history does not show it")
	s.Fail(standin.Fault{Path: "/artifactory/api/build/**", Status: 503, Times: -1})
	impatient := newClient(t, s.URL(), reader(t), func(cfg *artifactory.Config) { cfg.Retries = -1 })
	require.True(t, artifactory.Temporary(impatient.MarkPromoted(t.Context(), old, released, "")))
}

// A promotion that may have been recorded although its answer was lost is looked for before it is sent again: two would be
// two lines.
func TestMarkPromotedIsSentOnce(t *testing.T) {
	t.Parallel()
	for _, f := range []standin.Fault{{Status: 503, When: standin.After}, {Reset: true, When: standin.After}, {Status: 502}} {
		s, c, look := marking(t, standin.Config{}, published{name: "bld", number: "7"})
		f.Path = "/artifactory/api/build/promote/**"
		s.Fail(f)
		b := look()
		s.ForgetRequests()
		require.NoError(t, c.MarkPromoted(t.Context(), b, artifact.BuildPromotion{Status: "released", Repo: artifactorytest.Release}, ""))
		want := 1
		if f.When != standin.After {
			want = 2
		}
		require.Equal(t, want, posts(s))
		require.Len(t, look().Promotions, 1)
	}
	s, c, look := marking(t, standin.Config{}, published{name: "bld", number: "7"})
	s.Fail(standin.Fault{Path: "/artifactory/api/build/promote/**", Status: 503, Times: -1})
	b := look()
	err := c.MarkPromoted(t.Context(), b, artifact.BuildPromotion{Status: "released"}, "")
	require.True(t, artifactory.Temporary(err), "%v", err)
	require.Equal(t, 4, posts(s))
}
