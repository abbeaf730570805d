package artifactory

import (
	"net/http"
	"strings"
)

// checksums is what a client claims about the bytes it deploys; empty fields are not claimed.
type checksums struct{ sha256, sha1, md5 string }

// claimedChecksums reads the X-Checksum headers. Plain X-Checksum, which JFrog's own client sends for SHA-256, is told
// by its length.
func claimedChecksums(h http.Header) (checksums, error) {
	c := checksums{
		sha256: strings.ToLower(h.Get("X-Checksum-Sha256")),
		sha1:   strings.ToLower(h.Get("X-Checksum-Sha1")),
		md5:    strings.ToLower(h.Get("X-Checksum-Md5")),
	}
	for _, field := range []struct {
		value  string
		length int
	}{{c.sha256, 64}, {c.sha1, 40}, {c.md5, 32}} {
		if field.value != "" && len(field.value) != field.length {
			return checksums{}, refuse(http.StatusBadRequest, "The checksum '%s' has a wrong length", field.value)
		}
	}
	plain := strings.ToLower(h.Get("X-Checksum"))
	switch len(plain) {
	case 0:
	case 64:
		c.sha256 = plain
	case 40:
		c.sha1 = plain
	case 32:
		c.md5 = plain
	default:
		return checksums{}, refuse(http.StatusBadRequest, "The checksum '%s' has no known length", plain)
	}
	return c, nil
}

// check answers 409 when a claim is wrong.
func (c checksums) check(at address, b *blob) error {
	for _, x := range []struct{ kind, claimed, actual string }{
		{"sha256", c.sha256, b.sha256}, {"sha1", c.sha1, b.sha1}, {"md5", c.md5, b.md5},
	} {
		if x.claimed != "" && x.claimed != x.actual {
			return refuse(http.StatusConflict, "Checksum error for '%s': received %s '%s' but actual is '%s'", at, x.kind, x.claimed, x.actual)
		}
	}
	return nil
}
