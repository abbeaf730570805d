package artifactory

import "strings"

// Event is one thing that happened, before it becomes a delivery. Which fields count depends on its domain.
type Event struct {
	Domain, Type string
	User         string

	// The item, in the domains artifact, artifact_property and docker.
	Repo   string // for moved, copied and promoted: the source, which filters match
	Path   string // without a leading slash
	SHA256 string
	Size   int64
	Target string // for moved and copied: repo/path
	Key    string // for artifact_property
	Values []string

	Image  *Image         // in the domain docker
	Build  *BuildRun      // in the domain build
	Bundle *BundleVersion // in the domains release_bundle_v2 and release_bundle_v2_promotion
	Data   map[string]any // in every other domain: the payload's data as it is sent
}

// Image is what the docker domain tells beside the item.
type Image struct {
	Name, Tag             string
	Type                  string // "docker" or "oci"
	Platforms             []Platform
	TargetRepo, TargetTag string // of promoted
}

// Platform is one of an image index.
type Platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// BuildRun names one published build-info.
type BuildRun struct {
	Name, Number string
	Started      string // as published, e.g. 2026-08-14T09:31:07.412+0000
	Repo         string // the build-info repository
}

// BundleVersion names a release bundle; Environment is set for promotions.
type BundleVersion struct {
	Name, Version string
	Repo          string
	Environment   string
	Created       int64 // milliseconds since 1970
}

func artifactEvent(kind, repo string, path []string, b *blob, by *Token) Event {
	return Event{Domain: "artifact", Type: kind, Repo: repo, Path: strings.Join(path, "/"), SHA256: b.sha256, Size: b.size, User: by.User}
}

// propertyEvents has one event per key that is set, and one per key that really goes away.
func propertyEvents(a address, n *node, set map[string][]string, gone []string, by *Token) []Event {
	var out []Event
	one := Event{Domain: "artifact_property", Repo: a.repo, Path: a.below(), User: by.User}
	if n.isFile() {
		one.SHA256, one.Size = n.blob.sha256, n.blob.size
	}
	for key, values := range set {
		e := one
		e.Type, e.Key, e.Values = "added", key, values
		out = append(out, e)
	}
	for _, key := range gone {
		if values, ok := n.props[key]; ok {
			e := one
			e.Type, e.Key, e.Values = "deleted", key, values
			out = append(out, e)
		}
	}
	return out
}

func (s *Server) emitProperties(a address, b *blob, props map[string][]string, by *Token) {
	if len(props) > 0 {
		s.emit(propertyEvents(a, &node{blob: b}, props, nil, by)...)
	}
}
