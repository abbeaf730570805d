package artifactory_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// The server's clock is read off its answers, whatever they are about, and without asking when there was one.
func TestClockAhead(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"right": 0, "ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{Now: func() time.Time { return time.Now().Add(skew) }})
			c := newClient(t, s.URL(), func(c *artifactory.Config) { c.Token = secret(t, artifactorytest.Signer) })
			_, err := c.Info(t.Context(), ref(t, "none")) // also what is not there tells the time
			require.Error(t, err)
			s.ForgetRequests()
			ahead, err := c.ClockAhead(t.Context())
			require.NoError(t, err)
			require.InDelta(t, skew.Seconds(), ahead.Seconds(), 2)
			require.Equal(t, skew == 0, ahead == 0, "%s", ahead)
			require.Empty(t, s.Requests())
		})
	}
}

// Strange answers change nothing.
func TestClockOfStrangeAnswers(t *testing.T) {
	t.Parallel()
	var header atomic.Pointer[http.Header]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range *header.Load() {
			w.Header()[k] = v
		}
	}))
	t.Cleanup(s.Close)
	old := time.Now().Add(-48 * time.Hour).UTC().Format(http.TimeFormat)
	for name, h := range map[string]http.Header{
		"no time": {"Date": nil}, "no date": {"Date": {"yesterday"}}, "from a cache": {"Date": {old}, "Age": {"172800"}},
	} {
		header.Store(&h)
		ahead, err := newClient(t, s.URL).ClockAhead(t.Context())
		require.NoError(t, err, name)
		require.Zero(t, ahead, name)
	}
	c := newClient(t, s.URL, func(c *artifactory.Config) { c.Retries = -1 })
	s.Close()
	_, err := c.ClockAhead(t.Context())
	require.Error(t, err, "nobody knows")
}
