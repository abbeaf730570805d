package verify

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// The host is what net/url, which everybody else reads it with, takes for it, or none.
func TestHostOf(t *testing.T) {
	t.Parallel()
	for address, host := range map[string]string{
		"https://log.example": "log.example", "http://log.example:8443/2026?a#b": "log.example", "https://[2001:db8::1]:1/": "2001:db8::1",
		"https://log.example?x=/": "log.example", "https://log.example#x": "log.example", "log.example": "", "https://": "", "https:///x": "", "ftp://log.example": "",
		"https://user@log.example/": "", "https://[2001": "", "": "", "https://a b/": "", `https://a\b/`: "",
	} {
		require.Equal(t, host, hostOf(address), address)
		if host != "" {
			u, err := url.Parse(address)
			require.NoError(t, err)
			require.Equal(t, u.Hostname(), host)
		}
	}
}
