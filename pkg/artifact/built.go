package artifact

import (
	"path"
	"regexp"
	"strings"
)

// Built is one artifact that build-info names. It names no place: what it says of the path need not be true any more.
type Built struct {
	Name   string
	Path   string // where it was uploaded to, within its repository; "" when build-info does not say
	SHA1   string // lowercase hexadecimal; "" when build-info has none
	SHA256 Digest // zero when build-info has none
}

// Names are what the artifact's file may be called, the name that it is told by first: what build-info calls it, and the
// end of its path, for some build tools name the file that they read. There are none when build-info has none.
func (b Built) Names() []string {
	var names []string
	if b.Name != "" {
		names = append(names, b.Name)
	}
	if end := path.Base(b.Path); b.Path != "" && end != b.Name {
		names = append(names, end)
	}
	return names
}

// stamp is what Artifactory puts in the place of SNAPSHOT when a file is uploaded to a Maven repository.
var stamp = regexp.MustCompile(`-[0-9]{8}\.[0-9]{6}-[0-9]+`)

// BuiltAs are the names by which a build-info may know the file at ref: its own; of a snapshot in a Maven layout also that
// with SNAPSHOT instead of the time.
func BuiltAs(ref Ref) []string {
	names := []string{ref.Name()}
	if at := stamp.FindStringIndex(ref.Name()); at != nil && strings.HasSuffix(ref.Dir(), "-SNAPSHOT") {
		names = append(names, ref.Name()[:at[0]]+"-SNAPSHOT"+ref.Name()[at[1]:])
	}
	return names
}
