package promotion

import (
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// maxFound bounds the files that are looked at for one build: several may have the same bytes.
const maxFound = 10 * MaxArtifacts

// contents are the artifacts that a build-info names, and the files found for them. What has no digest cannot be found.
type contents struct {
	lots    []*lot
	bySHA2  map[artifact.Digest]*lot
	bySHA1  map[string]*lot // only of artifacts without SHA-256
	blank   []string        // artifacts without digest
	foreign []string        // files that carry the build's properties and are none of its artifacts
	found   int
}

// lot is all artifacts of a build with the same bytes.
type lot struct {
	names     map[string]bool
	digest    string
	files     []artifact.Info // outside the target
	repos     []string        // of files
	arrived   []artifact.Info // in the target
	signature bool            // by its name a signature file
}

func newContents(all []artifact.Built) *contents {
	c := &contents{bySHA2: map[artifact.Digest]*lot{}, bySHA1: map[string]*lot{}}
	for _, a := range all {
		l := c.bySHA2[a.SHA256]
		if a.SHA256.IsZero() {
			l = c.bySHA1[a.SHA1]
		}
		switch {
		case a.SHA256.IsZero() && a.SHA1 == "":
			c.blank = append(c.blank, a.Name+" (the build-info has no digest of it)")
			continue
		case l == nil:
			l = &lot{names: map[string]bool{}, signature: seal.IsAttachment(a.Name)}
			c.lots = append(c.lots, l)
			if l.digest = "sha256:" + a.SHA256.String(); a.SHA256.IsZero() {
				l.digest, c.bySHA1[a.SHA1] = "sha1:"+a.SHA1, l
			} else {
				c.bySHA2[a.SHA256] = l
			}
		}
		l.names[a.Name] = true
	}
	return c
}

// take sorts one file in that carries the build's properties.
func (c *contents) take(req Request, info artifact.Info) error {
	if c.found++; c.found > maxFound {
		return errTooMany
	}
	l := c.bySHA2[info.SHA256]
	if l == nil || info.SHA256.IsZero() {
		l = c.bySHA1[info.SHA1]
	}
	switch {
	case ofPlatform(info.Ref.Repo):
	case info.Ref.Repo == req.Target:
		if l != nil {
			l.arrived = append(l.arrived, info)
		}
	case req.Build.Source != "" && info.Ref.Repo != req.Build.Source:
	case l != nil:
		l.files = append(l.files, info)
		if !slices.Contains(l.repos, info.Ref.Repo) {
			l.repos = append(l.repos, info.Ref.Repo)
		}
	case !seal.IsAttachment(info.Ref.Name()):
		c.foreign = append(c.foreign, info.Ref.String()+" ("+info.SHA256.String()+")")
	}
	return nil
}

// ofPlatform names the repositories in which the platform keeps copies with all their properties: release bundles, and
// what was deleted.
func ofPlatform(repo string) bool {
	return strings.HasSuffix("-"+repo, "-release-bundles-v2") || repo == "auto-trashcan"
}

// tell names the lot for people.
func (l *lot) tell() string {
	var names []string
	for name := range l.names {
		names = append(names, name)
	}
	slices.Sort(names)
	s := strings.Join(names[:min(3, len(names))], ", ") + " (" + l.digest + ")"
	if len(l.repos) > 0 {
		s += " in " + strings.Join(l.repos, ", ")
	}
	return s
}
