package promotion

import (
	"maps"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// maxFound bounds the files that are looked at for one build: several may have the same bytes.
const maxFound = 10 * MaxArtifacts

// contents are the artifacts that a build-info names, and the files found for them. What has no digest or no name cannot
// be found.
type contents struct {
	lots    []*lot
	bySHA2  map[artifact.Digest]*lot
	bySHA1  map[string]*lot     // only of artifacts without SHA-256
	blank   []string            // artifacts without digest or name
	foreign map[string][]string // by repository: files that carry the build's properties and are none of its artifacts
	homes   map[string]bool     // repositories besides the target that hold artifacts of the build
	found   int
}

// lot is all artifacts of a build with the same bytes.
type lot struct {
	names   map[string]bool   // by which build-info knows them; each must be found
	called  map[string]string // what a file may be called: which of names it is then
	digest  string
	files   []artifact.Info // outside the target
	repos   []string        // of files
	arrived []artifact.Info // in the target
}

func newContents(all []artifact.Built) *contents {
	c := &contents{bySHA2: map[artifact.Digest]*lot{}, bySHA1: map[string]*lot{}, foreign: map[string][]string{}, homes: map[string]bool{}}
	for _, a := range all {
		names := a.Names()
		l := c.bySHA2[a.SHA256]
		if a.SHA256.IsZero() {
			l = c.bySHA1[a.SHA1]
		}
		switch {
		case len(names) == 0:
			c.blank = append(c.blank, "an artifact without a name in the build-info")
			continue
		case a.SHA256.IsZero() && a.SHA1 == "":
			c.blank = append(c.blank, names[0]+" (the build-info has no digest of it)")
			continue
		case l == nil:
			l = &lot{names: map[string]bool{}, called: map[string]string{}}
			c.lots = append(c.lots, l)
			if l.digest = "sha256:" + a.SHA256.String(); a.SHA256.IsZero() {
				l.digest, c.bySHA1[a.SHA1] = "sha1:"+a.SHA1, l
			} else {
				c.bySHA2[a.SHA256] = l
			}
		}
		l.names[names[0]] = true
		for _, name := range names {
			if l.called[name] == "" || name == names[0] { // its own name goes before the end of another's path
				l.called[name] = names[0]
			}
		}
	}
	return c
}

// is names the artifact of the lot that a file with its bytes is, by what the file is called; "" for none of them.
func (l *lot) is(file artifact.Ref) string {
	for _, name := range artifact.BuiltAs(file) {
		if known := l.called[name]; known != "" {
			return known
		}
	}
	return ""
}

// take sorts one file in that carries the build's properties. Bytes of the build under another name than build-info gives
// them are none of its artifacts: whoever may upload chooses paths.
func (c *contents) take(req Request, info artifact.Info) error {
	repo := info.Ref.Repo
	if ofPlatform(repo) || req.Build.Source != "" && repo != req.Build.Source && repo != req.Target {
		return nil
	}
	if c.found++; c.found > maxFound {
		return errTooMany
	}
	l := c.bySHA2[info.SHA256]
	if l == nil || info.SHA256.IsZero() {
		l = c.bySHA1[info.SHA1]
	}
	switch {
	case l != nil && l.is(info.Ref) != "":
		if repo == req.Target {
			l.arrived = append(l.arrived, info)
			return nil
		}
		l.files = append(l.files, info)
		if c.homes[repo] = true; !slices.Contains(l.repos, repo) {
			l.repos = append(l.repos, repo)
		}
	case repo == req.Target || seal.IsAttachment(info.Ref.Name()):
	case l != nil:
		c.foreign[repo] = append(c.foreign[repo], info.Ref.String()+", which has the bytes of "+l.tell())
	default:
		c.foreign[repo] = append(c.foreign[repo], info.Ref.String()+" ("+info.SHA256.String()+")")
	}
	return nil
}

// strangers are the foreign files where they count: in the named source, else in the repositories that hold artifacts of
// the build. Elsewhere anybody may set properties.
func (c *contents) strangers(source string) (all []string) {
	for _, repo := range slices.Sorted(maps.Keys(c.foreign)) {
		if repo == source || source == "" && c.homes[repo] {
			all = append(all, c.foreign[repo]...)
		}
	}
	return all
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
