package artifactory

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// A promotion that was limited to some repositories is none to all of the environment, nor one to others.
func TestArrivedWhereItWasWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		went, wanted []string
		want         bool
	}{
		{nil, nil, true}, {[]string{"a"}, nil, false}, {[]string{"a"}, []string{"b"}, false}, {[]string{"a"}, []string{"a", "b"}, false},
		{[]string{"a", "b"}, []string{"b"}, true}, {nil, []string{"b"}, true},
	} {
		got, err := (&Client{}).arrived(t.Context(), artifact.Bundle{}, c.went, c.wanted)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%v %v", c.went, c.wanted)
	}
}
