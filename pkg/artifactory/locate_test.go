package artifactory_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

func at(t testing.TB, repo, path string) artifact.Ref {
	t.Helper()
	r, err := artifact.NewRef("main", repo, path)
	require.NoError(t, err)
	return r
}

func TestLocate(t *testing.T) {
	t.Parallel()
	const cache = artifactorytest.Remote + "-cache"
	for _, quirks := range []standin.Quirks{
		{}, {VirtualInfo: "virtual"}, {Configurations: "partial"}, {Configurations: "closed"},
	} {
		t.Run(fmt.Sprintf("%s %s", quirks.VirtualInfo, quirks.Configurations), func(t *testing.T) {
			t.Parallel()
			s, c := wide(t, quirks)
			require.NoError(t, s.AddRepository(standin.Repository{
				Key: "everything", Class: standin.Virtual, Members: []string{artifactorytest.Remote, artifactorytest.LibsVirtual, artifactorytest.Federated},
			}))
			for repo, paths := range map[string][]string{
				artifactorytest.Staging: {"a b/only + staged.bin", "both.bin", "equal.bin"}, artifactorytest.Release: {"both.bin", "equal.bin"},
				artifactorytest.Federated: {"fed.bin"},
			} {
				for _, p := range paths {
					content := repo
					if p == "equal.bin" {
						content = p
					}
					require.NoError(t, s.Put("ci", repo, p, strings.NewReader(content), nil))
				}
			}
			_, err := c.Read(t.Context(), at(t, artifactorytest.Remote, "far/off.bin"), 100) // fills the cache
			require.NoError(t, err)

			for from, want := range map[artifact.Ref]artifact.Ref{
				at(t, artifactorytest.LibsVirtual, "a b/only + staged.bin"): at(t, artifactorytest.Staging, "a b/only + staged.bin"),
				at(t, artifactorytest.LibsVirtual, "both.bin"):              at(t, artifactorytest.Release, "both.bin"),
				at(t, artifactorytest.LibsVirtual, "equal.bin"):             at(t, artifactorytest.Release, "equal.bin"),
				at(t, "everything", "both.bin"):                             at(t, artifactorytest.Release, "both.bin"),
				at(t, "everything", "fed.bin"):                              at(t, artifactorytest.Federated, "fed.bin"),
				at(t, "everything", "far/off.bin"):                          at(t, cache, "far/off.bin"),
				at(t, artifactorytest.Remote, "far/off.bin"):                at(t, cache, "far/off.bin"),
				at(t, cache, "far/off.bin"):                                 at(t, cache, "far/off.bin"),
				at(t, artifactorytest.Staging, "both.bin"):                  at(t, artifactorytest.Staging, "both.bin"),
				at(t, artifactorytest.Staging, "nothing.bin"):               at(t, artifactorytest.Staging, "nothing.bin"),
				at(t, artifactorytest.Federated, "fed.bin"):                 at(t, artifactorytest.Federated, "fed.bin"),
			} {
				got, err := c.Locate(t.Context(), from)
				if quirks.VirtualInfo == "virtual" && quirks.Configurations != "" && from.Repo != want.Repo {
					require.ErrorIs(t, err, artifactory.ErrMembers)
					continue
				}
				require.NoError(t, err, from)
				require.Equal(t, want, got)
			}
			for _, missing := range []artifact.Ref{
				at(t, artifactorytest.LibsVirtual, "nothing.bin"), at(t, artifactorytest.Remote, "not/fetched.bin"), at(t, "libs-nowhere", "x"),
			} {
				_, err := c.Locate(t.Context(), missing)
				require.ErrorIs(t, err, artifact.ErrGone, missing)
			}
			_, err = c.Locate(t.Context(), at(t, artifactorytest.LibsVirtual, "a b"))
			require.ErrorIs(t, err, artifactory.ErrNotFile)
		})
	}
}

// The server does not name the member, and the token may not know the members.
func TestLocateSaysWhichRightIsMissing(t *testing.T) {
	t.Parallel()
	for _, told := range []string{"partial", "closed"} {
		t.Run(told, func(t *testing.T) {
			t.Parallel()
			s, c := wide(t, standin.Quirks{VirtualInfo: "virtual", Configurations: told})
			put(t, s, "app.bin", payload)
			_, err := c.Locate(t.Context(), at(t, artifactorytest.LibsVirtual, "app.bin"))
			require.ErrorIs(t, err, artifactory.ErrMembers)
			require.ErrorContains(t, err, "api/repositories/libs")
			require.ErrorContains(t, err, "name the local repository")
		})
	}
}

func TestLocateWithoutTheRightToReadTheMember(t *testing.T) {
	t.Parallel()
	s, _ := wide(t, standin.Quirks{VirtualInfo: "virtual"})
	c := newClient(t, s.URL(), func(c *artifactory.Config) { c.Token = secret(t, artifactorytest.Signer) })
	put(t, s, "app.bin", payload)
	s.Fail(standin.Fault{Path: "/artifactory/api/storage/" + artifactorytest.Staging + "/**", Status: 403, Times: -1})
	_, err := c.Locate(t.Context(), at(t, artifactorytest.LibsVirtual, "app.bin"))
	require.ErrorContains(t, err, "may not read member "+artifactorytest.Staging)
	require.NotErrorIs(t, err, artifact.ErrGone)
}

// A file that is replaced or moved between two answers is found with the second try.
func TestLocateWhileAFileChanges(t *testing.T) {
	t.Parallel()
	for _, info := range []string{"member", "virtual"} {
		t.Run(info, func(t *testing.T) {
			t.Parallel()
			s, c := wide(t, standin.Quirks{VirtualInfo: info})
			put(t, s, "app.bin", payload)
			s.Fail(standin.Fault{Path: "/artifactory/api/storage/" + artifactorytest.Staging + "/**", Do: func(*http.Request) {
				put(t, s, "app.bin", "newer")
			}})
			got, err := c.Locate(t.Context(), at(t, artifactorytest.LibsVirtual, "app.bin"))
			require.NoError(t, err)
			require.Equal(t, ref(t, "app.bin"), got)
		})
	}
}

// Servers and proxies that name what they should not.
func TestLocateRefusesStrangeAnswers(t *testing.T) {
	t.Parallel()
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(payload)))
	file := func(repo, path, sum string) string {
		return fmt.Sprintf(`{"repo":%q,"path":%q,"size":"3","checksums":{"sha256":%q}}`, repo, path, sum)
	}
	for name, tc := range map[string]struct {
		virtual, member string
		want            error
	}{
		"in order":                {file("a", "/f", sum), file("a", "/f", sum), nil},
		"no member":               {file("outside", "/f", sum), "", artifactory.ErrMemberDiffers},
		"no repository":           {file("b", "/f", sum), "", artifactory.ErrMemberDiffers},
		"no name":                 {file("../a", "/f", sum), "", artifactory.ErrOtherItem},
		"another path":            {file("a", "/g", sum), "", artifactory.ErrOtherItem},
		"other bytes there":       {file("a", "/f", sum), file("a", "/f", strings.Repeat("0", 63)+"1"), artifactory.ErrMemberDiffers},
		"none there":              {file("a", "/f", sum), "", artifactory.ErrMemberDiffers},
		"a digest here only":      {file("a", "/f", sum), file("a", "/f", ""), artifactory.ErrMemberDiffers},
		"a digest there only":     {file("a", "/f", ""), file("a", "/f", sum), artifactory.ErrMemberDiffers},
		"there names another one": {file("a", "/f", sum), file("outside", "/f", sum), artifactory.ErrOtherItem},
		"a virtual one":           {file("inner", "/f", sum), "", artifactory.ErrMemberDiffers},
		"a folder":                {`{"repo":"v","path":"/f","children":[]}`, "", artifactory.ErrNotFile},
		"unnamed, in no member":   {file("v", "/f", sum), file("a", "/f", strings.Repeat("0", 63)+"1"), artifactory.ErrMemberDiffers},
		"unnamed, in a member":    {file("v", "/f", sum), file("a", "/f", sum), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, asked, _ := strings.Cut(r.URL.Path, "/api/")
				answer := map[string]string{
					"repositories":       `[{"key":"v","type":"VIRTUAL","packageType":"Generic"},{"key":"inner","type":"VIRTUAL","packageType":"Generic"},{"key":"a","type":"LOCAL","packageType":"Generic"},{"key":"outside","type":"LOCAL","packageType":"Generic"}]`,
					"repositories/v":     `{"key":"v","rclass":"virtual","packageType":"generic","repositories":["a","inner","b"]}`,
					"repositories/inner": `{"key":"inner","rclass":"virtual","packageType":"generic","repositories":["v","a","../x"]}`,
					"storage/v/f":        tc.virtual, "storage/a/f": tc.member, "storage/outside/f": file("outside", "/f", sum),
				}[asked]
				if answer == "" {
					http.NotFound(w, r)
					return
				}
				fmt.Fprint(w, answer)
			})
			got, err := newClient(t, srv.URL).Locate(t.Context(), at(t, "v", "f"))
			if tc.want != nil {
				require.ErrorIs(t, err, tc.want)
				require.Zero(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, at(t, "a", "f"), got)
		})
	}
}

func TestLocateFollowsOnlySoMany(t *testing.T) {
	t.Parallel()
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, asked, _ := strings.Cut(r.URL.Path, "/api/")
		key, found := strings.CutPrefix(asked, "repositories/")
		switch {
		case found:
			fmt.Fprintf(w, `{"key":%q,"rclass":"virtual","packageType":"generic","repositories":["%sx","%sy"]}`, key, key, key)
		case strings.HasPrefix(asked, "storage/v/"):
			fmt.Fprint(w, `{"repo":"v","path":"/f","size":"3"}`)
		default:
			http.NotFound(w, r)
		}
	})
	_, err := newClient(t, srv.URL).Locate(t.Context(), at(t, "v", "f"))
	require.ErrorIs(t, err, artifactory.ErrMembers)
	require.ErrorContains(t, err, "more than 200")
}

// What is remembered of the members is not believed against the server that names another one.
func TestLocateInANewMember(t *testing.T) {
	t.Parallel()
	for _, info := range []string{"member", "virtual"} {
		t.Run(info, func(t *testing.T) {
			t.Parallel()
			s, c := wide(t, standin.Quirks{VirtualInfo: info})
			members := []string{artifactorytest.Release, artifactorytest.Staging}
			outer := standin.Repository{Key: "outer", Class: standin.Virtual, Members: []string{"inner"}}
			require.NoError(t, s.AddRepository(standin.Repository{Key: "inner", Class: standin.Virtual, Members: members}))
			require.NoError(t, s.AddRepository(outer))
			put(t, s, "app.bin", payload)
			_, err := c.Locate(t.Context(), at(t, "outer", "app.bin"))
			require.NoError(t, err)

			require.NoError(t, s.AddRepository(standin.Repository{Key: "libs-new-local"}))
			require.NoError(t, s.Put("ci", "libs-new-local", "new.bin", strings.NewReader(payload), nil))
			require.NoError(t, s.SetMembers("inner", append(members, "libs-new-local")))
			got, err := c.Locate(t.Context(), at(t, "outer", "new.bin"))
			require.NoError(t, err)
			require.Equal(t, at(t, "libs-new-local", "new.bin"), got)

			s.Fail(standin.Fault{Path: "/artifactory/api/storage/libs-new-local/new.bin", Status: 404, Times: -1})
			_, err = c.Locate(t.Context(), at(t, "outer", "new.bin"))
			require.ErrorIs(t, err, artifactory.ErrMemberDiffers)
			require.True(t, artifactory.Temporary(err), "somebody may be mending it")
		})
	}
}
