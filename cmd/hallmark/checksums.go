package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Bounds of a list of checksums.
const (
	maxListed    = 1_000_000
	maxListLine  = 16 << 10
	maxListBytes = 256 << 20
)

// listed is a file in a list of checksums.
type listed struct {
	name   string
	digest artifact.Digest
}

// readChecksums reads a list as sha256sum writes it, with and without --tag. A line that is not understood is an error: a list
// that is only checked in part says nothing of the rest.
func readChecksums(r io.Reader) ([]listed, error) {
	in := bufio.NewScanner(io.LimitReader(r, maxListBytes))
	in.Buffer(nil, maxListLine)
	var all []listed
	seen := map[string]artifact.Digest{}
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSuffix(in.Text(), "\r")
		if line == "" {
			continue
		}
		entry, ok := checksumLine(line)
		switch before, twice := seen[entry.name]; {
		case !ok:
			return nil, fmt.Errorf("line %d is no checksum as sha256sum writes it: %.80q", n, line)
		case twice && before != entry.digest:
			return nil, fmt.Errorf("line %d: %.200q is listed twice, with different checksums", n, entry.name)
		case twice:
			continue
		case len(all) == maxListed:
			return nil, fmt.Errorf("more than %d files are listed", maxListed)
		}
		seen[entry.name] = entry.digest
		all = append(all, entry)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no file is listed")
	}
	return all, nil
}

// checksumLine reads "<hash>  name", "<hash> *name" or "SHA256 (name) = <hash>". A backslash in front says that the name has
// line breaks or backslashes, which are written as \n, \r and \\.
func checksumLine(line string) (listed, bool) {
	line, escaped := strings.CutPrefix(line, `\`)
	var hash, name string
	if rest, ok := strings.CutPrefix(line, "SHA256 ("); ok {
		i := strings.LastIndex(rest, ") = ")
		if i < 0 {
			return listed{}, false
		}
		name, hash = rest[:i], rest[i+len(") = "):]
	} else {
		const size = 2 * len(artifact.Digest{})
		if len(line) < size+3 || line[size] != ' ' || line[size+1] != ' ' && line[size+1] != '*' {
			return listed{}, false
		}
		hash, name = line[:size], line[size+2:]
	}
	if escaped {
		var ok bool
		if name, ok = unescape(name); !ok {
			return listed{}, false
		}
	}
	digest, err := artifact.ParseDigest(strings.ToLower(hash))
	return listed{name, digest}, err == nil && name != "" && !strings.ContainsRune(name, 0)
}

func unescape(name string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' {
			out.WriteByte(name[i])
			continue
		}
		if i++; i == len(name) {
			return "", false
		}
		switch name[i] {
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case '\\':
			out.WriteByte('\\')
		default:
			return "", false
		}
	}
	return out.String(), true
}
