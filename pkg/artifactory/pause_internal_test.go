package artifactory

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetryAfterHeader(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 8, 14, 9, 31, 7, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"1.5":                           0,
		"soon":                          0,
		"99999999999999999999":          0,
		"4294967295":                    longestAsked,
		"Fri, 14 Aug 2026 09:31:37 GMT": 30 * time.Second,
		"Fri, 14 Aug 2026 09:30:00 GMT": 0,
		"Fri, 14 Aug 2037 09:30:00 GMT": longestAsked,
	} {
		require.Equal(t, want, retryAfter(header, now), header)
	}
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	t.Parallel()
	for n := 1; n < 100; n++ {
		full := longestPause
		if n < 8 {
			full = firstPause << (n - 1)
		}
		for range 20 {
			d := backoff(n)
			require.GreaterOrEqual(t, d, full/2)
			require.Less(t, d, full)
		}
	}
}

func TestAWaitMustFitTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.True(t, fits(ctx, longestPause))
	require.False(t, fits(ctx, longestPause+1))
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.False(t, fits(short, 2*time.Second))
	require.True(t, fits(t.Context(), longestPause))
}

func TestLibraryLogHasNoQueriesAndIsDebug(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	l := libraryLog{to: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	l.Warn("Get \"https://store.example/blob?X-Amz-Signature=abc\": EOF and https://b.example/?token=xyz")
	require.NotContains(t, out.String(), "abc")
	require.NotContains(t, out.String(), "xyz")
	require.Contains(t, out.String(), "level=DEBUG")
	require.Contains(t, out.String(), "EOF and https://b.example/")
	quiet := libraryLog{to: slog.New(slog.DiscardHandler)}
	quiet.Error("not shown")
	require.NotEqual(t, l.GetLogLevel(), quiet.GetLogLevel())
}
