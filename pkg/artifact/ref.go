package artifact

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath bounds a path in bytes. Artifactory's own database column holds 1024 characters for path and name together.
const maxPath = 1024

// maxRepo bounds a repository's name in bytes. Artifactory allows 64 characters.
const maxRepo = 255

// Ref names one item: an instance by its configured name, a repository, and the path below it.
// The path is decoded (no percent-encoding), slash-separated, without a leading slash. Only NewRef and ParseRef make
// one, so a Ref in hand cannot leave its repository. How a path is put on the wire is the Artifactory edge's matter.
type Ref struct {
	Instance string
	Repo     string
	Path     string
}

// NewRef checks and joins the parts. It refuses what could name something else than the intended item: empty and dot
// segments, backslashes, control characters, bytes that are not UTF-8.
func NewRef(instance, repo, p string) (Ref, error) {
	if err := checkRepo(repo); err != nil {
		return Ref{}, err
	}
	if err := checkPath(p); err != nil {
		return Ref{}, err
	}
	return Ref{Instance: instance, Repo: repo, Path: p}, nil
}

// ParseRef reads "repo/path/to/file" as users type it.
func ParseRef(instance, s string) (Ref, error) {
	repo, p, ok := strings.Cut(s, "/")
	if !ok {
		return Ref{}, fmt.Errorf("%.80q is not repository/path", s)
	}
	return NewRef(instance, repo, p)
}

// Name is the last path segment.
func (r Ref) Name() string { return path.Base(r.Path) }

// Dir is the path without the name; "" at the repository's root.
func (r Ref) Dir() string {
	if i := strings.LastIndexByte(r.Path, '/'); i >= 0 {
		return r.Path[:i]
	}
	return ""
}

// Beside names another file in the same folder.
func (r Ref) Beside(name string) Ref {
	r.Path = path.Join(r.Dir(), name)
	return r
}

// String returns repository/path, decoded, for people.
func (r Ref) String() string { return r.Repo + "/" + r.Path }

func checkRepo(repo string) error {
	if repo == "" {
		return fmt.Errorf("repository name is empty")
	}
	if len(repo) > maxRepo {
		return fmt.Errorf("repository name has %d bytes, the limit is %d", len(repo), maxRepo)
	}
	for _, c := range repo {
		if c > unicode.MaxASCII || !(c == '-' || c == '_' || c == '.' || unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return fmt.Errorf("repository name %q has the character %q; letters, digits, '.', '-' and '_' are allowed", repo, c)
		}
	}
	if strings.Trim(repo, ".") == "" {
		return fmt.Errorf("repository name %q is not a name", repo)
	}
	return nil
}

func checkPath(p string) error {
	switch {
	case p == "":
		return fmt.Errorf("path is empty")
	case len(p) > maxPath:
		return fmt.Errorf("path has %d bytes, the limit is %d", len(p), maxPath)
	case !utf8.ValidString(p):
		return fmt.Errorf("path %q is not UTF-8", p)
	}
	for _, c := range p {
		if unicode.IsControl(c) || c == '\\' || c == utf8.RuneError {
			return fmt.Errorf("path %q has the character %q", p, c)
		}
	}
	for seg := range strings.SplitSeq(p, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return fmt.Errorf("path %q has the segment %q", p, seg)
		}
	}
	return nil
}
