package webhook

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/job"
)

// bundle2Domain is about release bundles of the second kind.
var bundle2Domain = domain{types: map[string]eventType{
	"release_bundle_v2_started":   {read: bundleAt, ignored: "nothing is there yet"},
	"release_bundle_v2_failed":    {read: bundleAt, ignored: "nothing came of it"},
	"release_bundle_v2_completed": {read: bundleAt, lane: job.Upload},
}}

// bundle is one version of a release bundle.
type bundle struct{ Name, Version, Repo string }

// place is the file that Artifactory keeps the bundle's list of contents in.
func (b bundle) place() place {
	return place{Repo: b.Repo, Path: b.Name + "/" + b.Version + "/release-bundle.json.evd"}
}

// bundleRepo is where bundles are kept that belong to no project.
const bundleRepo = "release-bundles-v2"

// bundleAt does not read when the bundle was created: one published sample of that field is no JSON, and nothing
// depends on it.
func bundleAt(data []byte) (hint, error) {
	var d struct {
		Name    string `json:"release_bundle_name"`
		Version string `json:"release_bundle_version"`
		Repo    string `json:"repository_key"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("decoding release bundle event: %w", err)
	}
	if d.Name == "" || d.Version == "" {
		return nil, errors.New("decoding release bundle event: release_bundle_name or release_bundle_version is missing")
	}
	b := bundle{Name: d.Name, Version: d.Version, Repo: d.Repo}
	if b.Repo == "" {
		b.Repo = bundleRepo
	}
	return b, nil
}
