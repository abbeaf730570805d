package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/job"
)

// buildDomain is about builds: records of which files a run of CI made, each of which is worked on for itself.
var buildDomain = domain{mark: "build_name", types: map[string]eventType{
	"uploaded": {read: buildAt, lane: job.Upload},
	"promoted": {read: buildAt, lane: job.Promotion}, // to where, the payload does not say
	"deleted":  {read: buildAt, ignored: gone},
}}

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
	p := place{Repo: b.Repo, Path: spelt(b.Name, true) + "/" + spelt(b.Number, false)}
	p.Parts = strings.HasSuffix(b.Repo, "-build-info") // not so in what the test button sends
	if !b.Started.IsZero() {
		p.Path += fmt.Sprintf("-%d.json", b.Started.UnixMilli())
	}
	return p
}

// spelt is a build's name or number as a path can have it. Where a slash is kept it is a folder's end, as long as that
// makes sense; else it is written as Artifactory itself does in a record's path.
func spelt(s string, folders bool) string {
	s = strings.ReplaceAll(s, `\`, "%5C")
	if !folders || strings.Contains("/"+s+"/", "//") {
		s = strings.ReplaceAll(s, "/", "%2F")
	}
	return s
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
