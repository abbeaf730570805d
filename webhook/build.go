package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/job"
)

// buildDomain is about builds: records of which files a run of CI made. To act on a type, take away why it is ignored.
var buildDomain = domain{mark: "build_name", types: map[string]eventType{
	"uploaded": {read: buildAt, lane: job.Upload, ignored: noBuilds},
	"promoted": {read: buildAt, lane: job.Promotion, ignored: noBuilds}, // to where, the payload does not say
	"deleted":  {read: buildAt, ignored: gone},
}}

const noBuilds = "this release takes no build as a whole, only file by file"

// build is one run of CI.
type build struct {
	Name    string
	Number  string
	Started time.Time // zero when the payload does not say, or not so that it can be read
	Repo    string
}

// place is the file that Artifactory keeps the build's record in; without the time of its start, the front of that
// file's path.
func (b build) place() place {
	p := place{Repo: b.Repo, Path: b.Name + "/" + b.Number}
	if !b.Started.IsZero() {
		p.Path += fmt.Sprintf("-%d.json", b.Started.UnixMilli())
	}
	return p
}

// buildRepo is where builds are recorded that belong to no project.
const buildRepo = "artifactory-build-info"

// buildTimes are how the start of a build is written.
var buildTimes = []string{"2006-01-02T15:04:05.000-0700", time.RFC3339Nano}

func buildAt(data []byte) (hint, error) {
	var d struct {
		Name    string `json:"build_name"`
		Number  string `json:"build_number"`
		Started string `json:"build_started"`
		Repo    string `json:"build_repo"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("decoding build event: %w", err)
	}
	if d.Name == "" || d.Number == "" {
		return nil, errors.New("decoding build event: build_name or build_number is missing")
	}
	b := build{Name: d.Name, Number: d.Number, Repo: d.Repo}
	if b.Repo == "" {
		b.Repo = buildRepo // older releases know no other
	}
	for _, layout := range buildTimes {
		if t, err := time.Parse(layout, d.Started); err == nil {
			b.Started = t
			break
		}
	}
	return b, nil
}
