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

// dockerDomain is about images, both Docker's and OCI's.
var dockerDomain = domain{mark: "image_name", types: map[string]eventType{
	"pushed":   {read: imageAt, lane: job.Upload},
	"promoted": {read: imageTarget, lane: job.Promotion},
	"deleted":  {read: imageAt, ignored: gone},
}}

// image is a tag of an image, or one platform's part of it. Its place is the manifest's file.
type image struct{ Repo, Name, Tag, File, SHA256 string }

func (i image) place() place {
	return place{Repo: i.Repo, Path: path.Join(i.Name, i.Tag, i.File), SHA256: i.SHA256, Attachment: artifact.IsSignatureTag(i.Tag)}
}

// imageData is the data of every type in the domain. The path, where there is one, ends in the tag and the manifest's
// file, and its front is the image's name below the repository, which image_name need not be.
type imageData struct {
	Repo       string `json:"repo_key"`
	Path       string `json:"path"`
	SHA256     string `json:"sha256"`
	Name       string `json:"image_name"`
	Tag        string `json:"tag"`
	TargetRepo string `json:"target_repo"`
	TargetTag  string `json:"target_tag"`
}

func imageAt(data []byte) (hint, error) {
	_, i, err := readImage(data)
	if err != nil {
		return nil, err
	}
	return i, nil
}

// imageTarget points at the place where a promoted image stands now. Without a target the event's own place is as good
// a hint as any.
func imageTarget(data []byte) (hint, error) {
	d, i, err := readImage(data)
	if err != nil {
		return nil, err
	}
	if d.TargetRepo != "" {
		i.Repo = d.TargetRepo
	}
	if d.TargetTag != "" {
		i.Tag = d.TargetTag
	}
	return i, nil
}

func readImage(data []byte) (imageData, image, error) {
	var d imageData
	if err := json.Unmarshal(data, &d); err != nil {
		return imageData{}, image{}, fmt.Errorf("decoding docker event: %w", err)
	}
	i := image{Repo: d.Repo, Name: d.Name, Tag: d.Tag, File: "manifest.json", SHA256: d.SHA256}
	if folders := strings.Split(strings.TrimPrefix(d.Path, "/"), "/"); len(folders) >= 3 {
		n := len(folders)
		i.Name, i.Tag, i.File = strings.Join(folders[:n-2], "/"), folders[n-2], folders[n-1]
	}
	if i.Repo == "" || i.Name == "" || i.Tag == "" {
		return imageData{}, image{}, errors.New("decoding docker event: repo_key, image_name or tag is missing")
	}
	if _, err := artifact.ParseDigest(i.SHA256); err != nil {
		i.SHA256 = ""
	}
	return d, i, nil
}
