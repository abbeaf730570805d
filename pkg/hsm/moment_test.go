package hsm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	var m hsm.Moment
	require.NoError(t, m.UnmarshalText([]byte("2026-06-01T02:00:00+02:00")))
	require.Equal(t, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), m.Time)
	for _, text := range []string{"", "2026-06-01", "2026-06-01 00:00:00", "June", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z"} {
		m = hsm.Moment{}
		err := m.UnmarshalText([]byte(text))
		require.ErrorContains(t, err, "write date, time and zone", text)
		require.True(t, m.IsZero(), "what cannot be read retires nothing silently: the configuration is refused")
	}
}
