package artifactory_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// wide is a server with repositories of every class, and a client that may read, deploy and annotate.
func wide(t *testing.T, quirks standin.Quirks) (*standin.Server, *artifactory.Client) {
	t.Helper()
	cfg := artifactorytest.Wide()
	cfg.Quirks = quirks
	s := artifactorytest.Start(t, cfg)
	return s, newClient(t, s.URL(), func(c *artifactory.Config) { c.Token = secret(t, artifactorytest.Signer) })
}

func TestRepositoryOfEveryClass(t *testing.T) {
	t.Parallel()
	const cache = artifactorytest.Remote + "-cache"
	for _, told := range []string{"open", "partial", "closed"} {
		t.Run(told, func(t *testing.T) {
			t.Parallel()
			s, c := wide(t, standin.Quirks{Configurations: told})
			for _, want := range []artifact.Repository{
				{Key: artifactorytest.Staging, Class: artifact.Local, Package: "generic"},
				{Key: artifactorytest.OCIStaging, Class: artifact.Local, Package: "docker"},
				{Key: artifactorytest.OCIVirtual, Class: artifact.Virtual, Package: "docker"},
				{Key: artifactorytest.Federated, Class: artifact.Federated, Package: "generic"},
				{Key: artifactorytest.Remote, Class: artifact.Remote, Package: "generic"},
				{Key: cache, Class: artifact.Cache, Package: "generic"},
			} {
				got, err := c.Repository(t.Context(), want.Key)
				require.NoError(t, err)
				want.ProjectKnown = told == "open" && want.Class != artifact.Cache // of a cache, nobody tells the configuration
				require.Equal(t, want, got)
			}
			asked := len(s.Requests())
			for _, key := range []string{artifactorytest.Staging, cache} {
				_, err := c.Repository(t.Context(), key)
				require.NoError(t, err)
			}
			require.Len(t, s.Requests(), asked, "asked a moment ago")
			for _, key := range []string{"libs-nowhere", artifactorytest.Staging + "-cache", cache + "-cache", "-cache"} {
				_, err := c.Repository(t.Context(), key)
				require.ErrorIs(t, err, artifact.ErrGone, key)
			}
			_, err := c.Repository(t.Context(), "../system")
			require.ErrorIs(t, err, artifactory.ErrPath)
		})
	}
}

// Failures are not remembered, and neither is what was not there.
func TestRepositoryAsksAgainAfterFailures(t *testing.T) {
	t.Parallel()
	s, _ := wide(t, standin.Quirks{})
	c := newClient(t, s.URL(), func(c *artifactory.Config) { c.Token, c.Retries = secret(t, artifactorytest.Signer), -1 })
	s.Fail(standin.Fault{Path: "/artifactory/api/repositories/*", Status: 503})
	_, err := c.Repository(t.Context(), artifactorytest.Staging)
	require.True(t, artifactory.Temporary(err), "%v", err)
	_, err = c.Repository(t.Context(), artifactorytest.Staging)
	require.NoError(t, err)

	_, err = c.Repository(t.Context(), "libs-new-local")
	require.ErrorIs(t, err, artifact.ErrGone)
	require.NoError(t, s.AddRepository(standin.Repository{Key: "libs-new-local"}))
	got, err := c.Repository(t.Context(), "libs-new-local")
	require.NoError(t, err)
	require.Equal(t, artifact.Local, got.Class)

	s.RemoveToken(artifactorytest.Signer)
	_, err = c.Repository(t.Context(), artifactorytest.Release)
	require.ErrorContains(t, err, "token is not accepted", "a rejected token says nothing about the repository")
}

func TestRepositoryWithoutConfigurationAndList(t *testing.T) {
	t.Parallel()
	s, c := wide(t, standin.Quirks{Configurations: "closed"})
	s.Fail(standin.Fault{Path: "/artifactory/api/repositories", Status: 403, Times: -1})
	got, err := c.Repository(t.Context(), artifactorytest.Staging)
	require.NoError(t, err)
	require.Equal(t, artifact.Repository{Key: artifactorytest.Staging}, got, "that it exists is known all the same")
	_, err = c.Repository(t.Context(), "libs-nowhere")
	require.ErrorIs(t, err, artifact.ErrGone)
	at, err := c.Locate(t.Context(), ref(t, "app.bin"))
	require.NoError(t, err)
	require.Equal(t, ref(t, "app.bin"), at)
}

// Those who ask at one time share a request, and none of them can end it for the others.
func TestRepositoryIsAskedOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	arrived, answer := make(chan struct{}), make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			close(arrived)
		}
		<-answer
		fmt.Fprint(w, `{"key":"libs","rclass":"local","packageType":"Generic"}`)
	})
	c := newClient(t, srv.URL)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := c.Repository(ctx, "libs")
		left <- err
	}()
	<-arrived
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := c.Repository(t.Context(), "libs")
			if err != nil || got != (artifact.Repository{Key: "libs", Class: artifact.Local, Package: "generic"}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	cancel()
	require.ErrorIs(t, <-left, context.Canceled)
	close(answer)
	wg.Wait()
	require.EqualValues(t, 1, asked.Load())
}

func TestRepositoryRefusesStrangeAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		configuration string
		list          string
		root          string
		want          string
	}{
		"another repository":  {`{"key":"other","rclass":"local","packageType":"generic"}`, `[]`, "", "another item"},
		"a page":              {`<html>sign in</html>`, `[]`, "", "invalid character"},
		"a list that is none": {"", `{"errors":[]}`, "", "cannot unmarshal"},
		"endless":             {strings.Repeat(" ", 5<<20), `[]`, "", "larger than allowed"},
		"a cache elsewhere":   {"", `[{"key":"lib","type":"REMOTE","packageType":"Generic"}]`, `{"repo":"lib"}`, "another item"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch _, after, _ := strings.Cut(r.URL.Path, "/api/"); {
				case after == "repositories/lib-cache" && tc.configuration != "":
					fmt.Fprint(w, tc.configuration)
				case after == "repositories":
					fmt.Fprint(w, tc.list)
				case after == "storage/lib-cache" && tc.root != "":
					fmt.Fprint(w, tc.root)
				default:
					http.NotFound(w, r)
				}
			})
			_, err := newClient(t, srv.URL).Repository(t.Context(), "lib-cache")
			require.ErrorContains(t, err, tc.want)
		})
	}
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"key":"lib","rclass":"remote","packageType":"Maven"}`)
	})
	got, err := newClient(t, srv.URL).Repository(t.Context(), "lib-cache")
	require.NoError(t, err, "some servers describe the remote repository in place of its cache")
	require.Equal(t, artifact.Repository{Key: "lib-cache", Class: artifact.Cache, Package: "maven"}, got)
	_, err = newClient(t, srv.URL).Repository(t.Context(), "lib-other")
	require.ErrorIs(t, err, artifactory.ErrOtherItem)
}
