package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/job"
)

// artifactDomain is about files and folders.
var artifactDomain = domain{types: map[string]eventType{
	"deployed": {read: artifactAt, lane: job.Upload},
	"copied":   {read: artifactTarget, lane: job.Promotion},
	"moved":    {read: artifactTarget, lane: job.Promotion},
	"deleted":  {read: artifactAt, ignored: gone},
	"cached":   {read: artifactAt, ignored: "a remote repository filled its cache, which is no release of ours"},
}}

// gone is why nothing follows from a deletion, in every domain.
const gone = "nothing is left to sign; the gate asks Artifactory itself"

// artifactData is the data of every type in the domain. Size and name are left out: Artifactory is asked for the one
// and the path ends in the other.
type artifactData struct {
	Repo   string `json:"repo_key"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Target string `json:"target_repo_path"`
}

// artifactAt points at the item that the event is about.
func artifactAt(data []byte) (hint, error) {
	a, err := readArtifact(data)
	if err != nil {
		return nil, err
	}
	return item{Repo: a.Repo, Path: a.Path, SHA256: a.SHA256}, nil
}

// artifactTarget points at the place where a copied or moved item stands now. JFrog does not write down the format of
// target_repo_path; "repo", "repo/path" and "repo:path" are understood. A bare repository keeps the path, a path is
// the item's whole path, and a path that ends in a slash is its folder. Without a target the event's own place is as
// good a hint as any: it is looked up, not believed.
func artifactTarget(data []byte) (hint, error) {
	a, err := readArtifact(data)
	if err != nil {
		return nil, err
	}
	h := item{Repo: a.Repo, Path: a.Path, SHA256: a.SHA256}
	target := strings.TrimPrefix(a.Target, "/")
	if target == "" {
		return h, nil
	}
	h.Repo = target
	if i := strings.IndexAny(target, "/:"); i >= 0 { // no repository's name has either character
		h.Repo = target[:i]
		switch p := strings.TrimPrefix(target[i+1:], "/"); {
		case p == "":
		case strings.HasSuffix(p, "/"):
			h.Path = p + path.Base(a.Path)
		default:
			h.Path = p
		}
	}
	return h, nil
}

// readArtifact reads what every type must have. One leading slash of the path is dropped, for Artifactory's own
// storage API writes paths with one.
func readArtifact(data []byte) (artifactData, error) {
	var a artifactData
	if err := json.Unmarshal(data, &a); err != nil {
		return artifactData{}, fmt.Errorf("decoding artifact event: %w", err)
	}
	if a.Repo == "" || a.Path == "" {
		return artifactData{}, errors.New("decoding artifact event: repo_key or path is missing")
	}
	a.Path = strings.TrimPrefix(a.Path, "/")
	if _, err := artifact.ParseDigest(a.SHA256); err != nil {
		a.SHA256 = "" // empty for folders; anything else that is no digest tells nothing
	}
	return a, nil
}
