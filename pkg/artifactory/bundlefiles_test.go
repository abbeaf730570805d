package artifactory_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// A promoted bundle's contents are found where they are: by path and bytes, in few queries, and not where other bytes
// stand at the path or the bytes at another path.
func TestCopies(t *testing.T) {
	t.Parallel()
	const many = 120
	wide := artifactorytest.Wide()
	s := artifactorytest.Start(t, standin.Config{Repositories: wide.Repositories})
	c := newClient(t, s.URL(), func(cfg *artifactory.Config) { cfg.Token = secret(t, artifactorytest.Signer) })
	put := func(repo, path, content string) {
		t.Helper()
		require.NoError(t, s.Put("ci", repo, path, strings.NewReader(content), nil))
	}
	var of []artifact.Bundled
	var want []string
	for i := range many {
		path := fmt.Sprintf("a+b #%d/ü%s/%d.tgz", i%7, strings.Repeat("-long", i%12), i)
		ref, err := artifact.NewRef("main", artifactorytest.Staging, path)
		require.NoError(t, err)
		put(artifactorytest.Staging, path, path)
		put(artifactorytest.Release, path, path)
		put(artifactorytest.Release, "elsewhere/"+path, path)
		put(artifactorytest.Federated, path, "other bytes "+path)
		info, err := c.Info(t.Context(), ref)
		require.NoError(t, err)
		of = append(of, artifact.Bundled{Ref: ref, SHA256: info.SHA256})
		want = append(want, artifactorytest.Staging+"/"+path, artifactorytest.Release+"/"+path)
	}
	put(artifactorytest.Federated, "at.root", "x")
	root, err := artifact.NewRef("main", artifactorytest.Release, "at.root")
	require.NoError(t, err)
	of, want = append(of, artifact.Bundled{Ref: root}), append(want, artifactorytest.Federated+"/at.root")
	before := s.CountRequests("POST", "/artifactory/api/search/aql")
	var got []string
	require.NoError(t, c.Copies(t.Context(), of, func(i artifact.Info) error {
		require.Equal(t, "main", i.Ref.Instance)
		require.False(t, i.SHA256.IsZero())
		got = append(got, i.Ref.String())
		return nil
	}))
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
	require.Less(t, s.CountRequests("POST", "/artifactory/api/search/aql")-before, 16)

	enough := errors.New("enough")
	require.ErrorIs(t, c.Copies(t.Context(), of, func(artifact.Info) error { return enough }), enough)
	require.NoError(t, c.Copies(t.Context(), nil, func(artifact.Info) error { return enough }))
}
