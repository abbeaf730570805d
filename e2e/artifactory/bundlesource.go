package artifactory

import (
	"net/http"
	"slices"
	"strings"
)

// bundleSource is one source of a bundle's contents; its type says which field counts.
type bundleSource struct {
	Type      string `json:"source_type"`
	AQL       string `json:"aql"`
	Artifacts []struct {
		Path   string `json:"path"` // repo/path
		SHA256 string `json:"sha256"`
	} `json:"artifacts"`
	Builds []struct {
		Name         string `json:"build_name"`
		Number       string `json:"build_number"`
		Repo         string `json:"build_repository"`
		Dependencies bool   `json:"include_dependencies"`
	} `json:"builds"`
	Bundles []struct {
		bundleName
		Project string `json:"project"`
	} `json:"release_bundles"`
	Packages []map[string]string `json:"packages"`
}

// gatherBundle finds the contents of all sources, each item once. Callers hold s.mu.
func (s *Server) gatherBundle(c call, sources []bundleSource) ([]*bundled, error) {
	var out []*bundled
	seen := map[string]bool{}
	add := func(n *node, from address, packageType string) error {
		if n.repo.Class != Local && n.repo.Class != Federated {
			return refuse(http.StatusBadRequest, "'%s' is neither local nor federated", from)
		}
		if err := permission(c.by, n.repo.Key, 'r'); err != nil {
			return err
		}
		if key := from.String(); !seen[key] {
			seen[key] = true
			out = append(out, &bundled{from: from, at: from, packageType: packageType, stored: n})
		}
		return nil
	}
	plain := func(n *node) error {
		for _, part := range s.imageParts(n) {
			if err := add(part, part.address(), part.repo.PackageType); err != nil {
				return err
			}
		}
		return nil
	}
	for _, src := range sources {
		var err error
		switch src.Type {
		case "artifacts":
			err = s.artifactsOf(src, plain)
		case "aql":
			err = s.itemsOf(c, src.AQL, plain)
		case "builds":
			err = s.buildsOf(src, plain)
		case "release_bundles":
			err = s.bundlesOf(src, add)
		case "packages":
			err = unsupported("release bundles of packages are not implemented")
		default:
			err = refuse(http.StatusBadRequest, "There is no source type '%s'", src.Type)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, refuse(http.StatusBadRequest, "The sources of the release bundle have no artifacts")
	}
	return out, nil
}

// imageParts is the item itself; for an image's manifest also its layers and, of an index, the manifests it names.
func (s *Server) imageParts(n *node) []*node {
	if registryTypes[n.repo.PackageType] == "" || n.parent.parent == nil || manifestIn(n.parent) != n {
		return []*node{n}
	}
	var out []*node
	for _, d := range s.manifestOf(n).children() {
		if child := manifestIn(n.parent.parent.children[d.Digest]); child != nil && child != n {
			out = append(out, s.imageParts(child)...)
		}
	}
	for _, name := range sortedKeys(n.parent.children) {
		if part := n.parent.children[name]; part.isFile() && part != n {
			out = append(out, part)
		}
	}
	return append(out, n)
}

func (s *Server) artifactsOf(src bundleSource, add func(*node) error) error {
	for _, a := range src.Artifacts {
		segments := strings.Split(a.Path, "/")
		n, err := s.find(address{repo: segments[0], path: segments[1:]})
		if err == nil && (!n.isFile() || (a.SHA256 != "" && a.SHA256 != n.blob.sha256)) {
			err = refuse(http.StatusBadRequest, "'%s' is no file with that checksum", a.Path)
		}
		if err == nil {
			err = add(n)
		}
		if err != nil {
			return refuse(http.StatusBadRequest, "Artifact '%s': %v", a.Path, err)
		}
	}
	return nil
}

func (s *Server) itemsOf(c call, aql string, add func(*node) error) error {
	q, err := s.parseAQL(aql)
	if err != nil {
		return err
	}
	for _, n := range s.matching(c.by, q) {
		if n.isFile() && !n.repo.sealed {
			if err := add(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// buildsOf takes each artifact once: of several places, the first by name.
func (s *Server) buildsOf(src bundleSource, add func(*node) error) error {
	for _, ref := range src.Builds {
		project := strings.TrimSuffix(ref.Repo, "-build-info")
		if project == "artifactory" {
			project = ""
		}
		b, err := s.run(buildKey{project, ref.Name, ref.Number}, "")
		if err != nil {
			return err
		}
		wanted := b.artifacts
		if ref.Dependencies {
			wanted = slices.Concat(wanted, b.dependencies)
		}
		for i := range wanted {
			files := s.filesOf(b, wanted[i:i+1], i < len(b.artifacts))
			if len(files) == 0 {
				return refuse(http.StatusBadRequest, "Unable to find %s%s of build %s/%s", wanted[i].Name, wanted[i].ID, b.name, b.number)
			}
			if err := add(files[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) bundlesOf(src bundleSource, add func(*node, address, string) error) error {
	for _, ref := range src.Bundles {
		b := s.bundles[bundleKey{ref.Project, ref.Name, ref.Version}]
		if b == nil || b.status != completed {
			return refuse(http.StatusBadRequest, "The release bundle '%s/%s' is not complete", ref.Name, ref.Version)
		}
		for _, x := range b.contents {
			if err := add(x.stored, x.from, x.packageType); err != nil {
				return err
			}
		}
	}
	return nil
}
