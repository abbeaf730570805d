package artifactory_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

const identities = "token-identities"

func people(t *testing.T, quirks standin.Quirks) *standin.Server {
	t.Helper()
	return artifactorytest.Start(t, standin.Config{
		Quirks: quirks,
		Tokens: []standin.Token{{Value: identities, User: "hallmark", Identities: true}},
		Users:  []standin.User{{Name: "rita", Groups: []string{"release", "developers"}}, {Name: "loner"}, {Name: "an odd/name@acme"}},
	})
}

// Whatever of JFrog's interfaces is there, and whoever may ask it: members are members, and only who is seen not to exist
// is in no group.
func TestGroups(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		users, token string
		allowed      bool
	}{
		{"both", artifactorytest.Admin, true}, {"access", artifactorytest.Admin, true}, {"older", artifactorytest.Admin, true},
		{"both", identities, true}, {"access", identities, true}, {"older", identities, false},
		{"both", artifactorytest.Signer, false}, {"access", artifactorytest.Signer, false}, {"older", artifactorytest.Signer, false},
	} {
		t.Run(tt.users+" "+tt.token, func(t *testing.T) {
			t.Parallel()
			s := people(t, standin.Quirks{Users: tt.users})
			c := newClient(t, s.URL(), func(c *artifactory.Config) { c.Token = secret(t, tt.token) })
			for user, want := range map[string][]string{"rita": {"developers", "release"}, "loner": nil, "an odd/name@acme": nil, "left": nil} {
				got, err := c.Groups(t.Context(), user)
				if !tt.allowed {
					var st *artifactory.StatusError
					require.ErrorAs(t, err, &st, user)
					require.Equal(t, http.StatusForbidden, st.Status, user)
					continue
				}
				require.NoError(t, err, user)
				require.Equal(t, want, append([]string(nil), got...), user)
			}
			require.Equal(t, tt.allowed, c.GroupsKnown(t.Context()) == nil)
		})
	}
}

// An answer serves for half a minute, several share one, and a failure is not remembered.
func TestGroupsAreRemembered(t *testing.T) {
	t.Parallel()
	s := people(t, standin.Quirks{})
	c := newClient(t, s.URL(), func(c *artifactory.Config) { c.Token, c.Retries = secret(t, identities), -1 })
	now := time.Now()
	c.SetNow(func() time.Time { return now })
	ask := func(want ...string) {
		t.Helper()
		got, err := c.Groups(t.Context(), "rita")
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	disarm := s.Fail(standin.Fault{Path: "/access/**", Status: 503})
	_, err := c.Groups(t.Context(), "rita")
	require.True(t, artifactory.Temporary(err), "%v", err)
	disarm()
	before := len(s.Requests())
	ask("developers", "release")
	require.Len(t, s.Requests(), before+1)
	s.SetUser(standin.User{Name: "rita", Groups: []string{"alumni"}})
	ask("developers", "release")
	require.Len(t, s.Requests(), before+1)
	now = now.Add(30 * time.Second)
	ask("alumni")
	s.RemoveUser("rita")
	now = now.Add(31 * time.Second)
	got, err := c.Groups(t.Context(), "rita")
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestGroupsAreAskedForTogether(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	answer := make(chan struct{})
	c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-answer
		fmt.Fprint(w, `{"username":"rita","groups":["release"]}`)
	}).URL)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = c.Groups(context.Background(), "rita") })
	}
	require.Eventually(t, func() bool { return asked.Load() == 1 }, 10*time.Second, time.Millisecond)
	close(answer)
	wg.Wait()
	require.Equal(t, int32(1), asked.Load())
}

// What a server, or somebody in between, answers that cannot be meant.
func TestGroupsOfAnUnreliableServer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"another user": `{"username":"mallory","groups":["release"]}`, "nobody": `{"groups":["release"]}`, "no JSON": `<html>`, "a list": `[]`,
		"endless": `{"username":"rita","groups":["` + strings.Repeat(`a","b`, 1000) + `"]}`, "other types": `{"username":"rita","groups":"release"}`,
	} {
		c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }).URL)
		got, err := c.Groups(t.Context(), "rita")
		require.Error(t, err, name)
		require.Empty(t, got, name)
	}
	s := people(t, standin.Quirks{})
	c := newClient(t, s.URL(), func(c *artifactory.Config) { c.Token = secret(t, identities) })
	for _, user := range []string{"..", ".", "a\nb", strings.Repeat("x", 600)} {
		_, err := c.Groups(t.Context(), user)
		require.Error(t, err, "%q", user)
	}
	got, err := c.Groups(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, got)
	require.Empty(t, s.Requests())
}
