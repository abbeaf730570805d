package artifact

import "strings"

// RegistryName is an image as docker and cosign name it: repository/image:tag or repository/image@sha256:digest.
type RegistryName struct {
	Instance, Repo, Image string
	Tag                   string // "" with a digest
	Digest                Digest // zero with a tag
}

// ParseImage reads a reference as such a name; false when it is none. Whether it means one is for its repository to say:
// in others than those of images, a file may have a colon in its name.
func ParseImage(ref Ref) (RegistryName, bool) {
	dir, last := ref.Dir(), ref.Name()
	n := RegistryName{Instance: ref.Instance, Repo: ref.Repo}
	name, digest, ok := strings.Cut(last, "@"+digestPrefix)
	if ok {
		d, err := ParseDigest(digest)
		if err != nil || d.IsZero() {
			return RegistryName{}, false
		}
		name, _, _ = strings.Cut(name, ":") // docker takes a tag beside the digest; the digest counts
		n.Digest = d
	} else if name, n.Tag, ok = strings.Cut(last, ":"); !ok || n.Tag == "" || strings.Contains(n.Tag, ":") {
		return RegistryName{}, false
	}
	if name == "" || strings.Contains(name, "@") || digestPrefix == name+":" {
		return RegistryName{}, false
	}
	n.Image = strings.TrimPrefix(dir+"/"+name, "/")
	return n, true
}

// Files are the places, below a tag or digest, where Artifactory may keep the manifest.
func (n RegistryName) Files() []Ref {
	version := n.Tag
	if version == "" {
		version = digestPrefix + n.Digest.String()
	}
	ref := Ref{Instance: n.Instance, Repo: n.Repo}
	var files []Ref
	for _, f := range []string{manifestFile, indexFile} {
		ref.Path = n.Image + "/" + version + "/" + f
		files = append(files, ref)
	}
	return files
}

// IsRegistry reports whether a repository is one of images.
func IsRegistry(repo Repository) bool { return isImage(repo, Ref{}) }
