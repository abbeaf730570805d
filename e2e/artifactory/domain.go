package artifactory

import (
	"slices"
	"strings"
)

// domain is one line of the table of what can be subscribed to.
type domain struct {
	types  []string // nil: any, the documents differ
	by     selector
	sample Event // what the test button sends
}

// domains is every domain that JFrog documents. The upper ones happen here, the others come by Emit only.
var domains = map[string]domain{
	"artifact":          {[]string{"deployed", "deleted", "moved", "copied", "cached"}, byRepository, sampleItem},
	"artifact_property": {[]string{"added", "deleted"}, byRepository, sampleItem},
	"docker":            {[]string{"pushed", "deleted", "promoted"}, byRepository, sampleImage},
	"build":             {[]string{"uploaded", "deleted", "promoted"}, byBuild, Event{Build: &BuildRun{"sample_build", "1", "2020-01-01T00:00:00.000+0000", "sample_repo"}}},
	"release_bundle_v2": {
		[]string{"release_bundle_v2_started", "release_bundle_v2_failed", "release_bundle_v2_completed"},
		bySelectedBundle, Event{Bundle: &BundleVersion{Name: "sample_bundle", Version: "1.0", Repo: "sample_repo", Created: 1577836800000}},
	},
	"release_bundle_v2_promotion": {
		[]string{"release_bundle_v2_promotion_started", "release_bundle_v2_promotion_failed", "release_bundle_v2_promotion_completed"},
		byEnvironment, Event{Bundle: &BundleVersion{Name: "sample_bundle", Version: "1.0", Repo: "sample_repo", Environment: "DEV", Created: 1577836800000}},
	},

	"artifact_lifecycle": {[]string{"archive", "restore"}, byRepository, sampleItem},
	"release_bundle":     {[]string{"created", "signed", "deleted"}, byRegisteredBundle, sampleBundle},
	"distribution": {
		[]string{"distribute_started", "distribute_completed", "distribute_aborted", "distribute_failed", "delete_started", "delete_completed", "delete_failed"},
		byRegisteredBundle, sampleBundle,
	},
	"destination":                {[]string{"received", "delete_started", "delete_completed", "delete_failed"}, byRegisteredBundle, sampleBundle},
	"artifactory_release_bundle": {[]string{"received", "delete_started", "delete_completed", "delete_failed"}, byRegisteredBundle, sampleBundle},
	"user":                       {[]string{"locked"}, byNothing, Event{Data: map[string]any{"username": "sample_user"}}},
	"app_trust":                  {nil, byNothing, Event{Data: map[string]any{"application_key": "sample_app"}}},
	"xray_scan_status":           {[]string{"done", "failed", "partial", "not_supported"}, byNothing, sampleItem},
	"curation":                   {nil, byNothing, Event{Data: map[string]any{"package": "sample_package"}}},
}

var sampleItem = Event{
	Repo: "sample_repo", Path: "sample_dir/sample_art", Size: 999,
	SHA256: "7b2ee3a0d7b3e2b6b5f5bb0d7a2f2b9c6f4d3e2c1b0a99887766554433221100",
}

var sampleImage = Event{
	Repo: sampleItem.Repo, Path: "sample_image/sample_tag/manifest.json", Size: 999, SHA256: sampleItem.SHA256,
	Image: &Image{Name: "sample_image", Tag: "sample_tag", Type: "docker"},
}

var sampleBundle = Event{Data: map[string]any{"release_bundle_name": "sample_bundle", "release_bundle_version": "1.0"}}

// selector is how a domain's criteria choose: whether they choose anything at all, and whether they choose an event.
type selector struct {
	any    func(c Criteria) bool
	wanted func(c Criteria, e Event, class Class) bool
}

var byRepository = selector{
	func(c Criteria) bool { return c.AnyLocal || c.AnyRemote || c.AnyFederated || len(c.RepoKeys) > 0 },
	func(c Criteria, e Event, class Class) bool {
		if !slices.Contains(c.RepoKeys, e.Repo) && !map[Class]bool{Local: c.AnyLocal, Federated: c.AnyFederated, cache: c.AnyRemote}[class] {
			return false
		}
		return c.patterns(e.Path)
	},
}

var byBuild = selector{
	func(c Criteria) bool { return c.AnyBuild || len(c.SelectedBuilds) > 0 || len(c.IncludePatterns) > 0 },
	func(c Criteria, e Event, _ Class) bool {
		name := e.text("build_name")
		chosen := c.AnyBuild || slices.Contains(c.SelectedBuilds, name) || (len(c.SelectedBuilds) == 0 && len(c.IncludePatterns) > 0)
		return chosen && c.patterns(name)
	},
}

var bySelectedBundle = selector{
	func(c Criteria) bool { return c.AnyReleaseBundle || len(c.SelectedReleaseBundles) > 0 },
	func(c Criteria, e Event, _ Class) bool {
		name := e.text("release_bundle_name")
		return (c.AnyReleaseBundle || slices.Contains(c.SelectedReleaseBundles, name)) && c.patterns(name)
	},
}

var byEnvironment = selector{
	func(c Criteria) bool { return len(c.SelectedEnvironments) > 0 },
	func(c Criteria, e Event, _ Class) bool {
		return slices.Contains(c.SelectedEnvironments, e.text("environment"))
	},
}

var byRegisteredBundle = selector{
	func(c Criteria) bool { return c.AnyReleaseBundle || len(c.RegisteredReleaseBundlesNames) > 0 },
	func(c Criteria, e Event, _ Class) bool {
		name := e.text("release_bundle_name")
		return (c.AnyReleaseBundle || slices.Contains(c.RegisteredReleaseBundlesNames, name)) && c.patterns(name)
	},
}

var byNothing = selector{
	func(Criteria) bool { return true },
	func(Criteria, Event, Class) bool { return true },
}

// text is what the criteria look at, from the event's own part or its raw data.
func (e Event) text(field string) string {
	switch {
	case field == "build_name" && e.Build != nil:
		return e.Build.Name
	case field == "release_bundle_name" && e.Bundle != nil:
		return e.Bundle.Name
	case field == "environment" && e.Bundle != nil:
		return e.Bundle.Environment
	}
	text, _ := e.Data[field].(string)
	return text
}

// patterns applies the Ant patterns; no include pattern includes all.
func (c Criteria) patterns(path string) bool {
	matches := func(pattern string) bool { return antMatch(strings.TrimPrefix(pattern, "/"), path) }
	return (len(c.IncludePatterns) == 0 || slices.ContainsFunc(c.IncludePatterns, matches)) && !slices.ContainsFunc(c.ExcludePatterns, matches)
}
