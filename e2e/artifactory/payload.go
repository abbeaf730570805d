package artifactory

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// payload is the envelope of a delivery.
type payload struct {
	Domain          string       `json:"domain,omitempty"`
	Destination     string       `json:"destination,omitempty"` // older name of the domain
	EventType       string       `json:"event_type"`
	Data            any          `json:"data,omitempty"`
	SubscriptionKey string       `json:"subscription_key"`
	JPDOrigin       string       `json:"jpd_origin,omitempty"`
	Source          string       `json:"source,omitempty"`
	UserContext     *userContext `json:"userContext,omitempty"`
}

type userContext struct {
	ID      string `json:"id"`
	IsToken bool   `json:"isToken"`
	Realm   string `json:"realm"`
}

// itemData is the data of the domains artifact and artifact_property, and the beginning of docker's.
type itemData struct {
	RepoKey        string   `json:"repo_key"`
	Path           string   `json:"path"`
	Name           string   `json:"name"`
	SHA256         string   `json:"sha256"`
	Size           int64    `json:"size"`
	SourceRepoPath string   `json:"source_repo_path,omitempty"`
	TargetRepoPath string   `json:"target_repo_path,omitempty"`
	PropertyKey    string   `json:"property_key,omitempty"`
	PropertyValues []string `json:"property_values,omitempty"`
}

type imageData struct {
	itemData
	ImageName  string     `json:"image_name"`
	Tag        string     `json:"tag"`
	Platforms  []Platform `json:"platforms"`
	ImageType  string     `json:"image_type"`
	TargetRepo string     `json:"target_repo,omitempty"`
	TargetTag  string     `json:"target_tag,omitempty"`
}

type buildData struct {
	Name    string `json:"build_name"`
	Number  string `json:"build_number"`
	Started string `json:"build_started"`
	Repo    string `json:"build_repo"`
}

type bundleData struct {
	Repo          string `json:"repository_key"`
	Name          string `json:"release_bundle_name"`
	Version       string `json:"release_bundle_version"`
	Environment   string `json:"environment,omitempty"`
	Created       string `json:"created"`
	CreatedMillis int64  `json:"created_millis,omitempty"` // of promotions only
}

// data is the domain's part of a payload.
func (e Event) data(movePaths string) any {
	switch {
	case e.Data != nil:
		return e.Data
	case e.Build != nil:
		return buildData{e.Build.Name, e.Build.Number, e.Build.Started, e.Build.Repo}
	case e.Bundle != nil:
		d := bundleData{Repo: e.Bundle.Repo, Name: e.Bundle.Name, Version: e.Bundle.Version, Created: stamp(time.UnixMilli(e.Bundle.Created))}
		if e.Bundle.Environment != "" {
			d.Environment, d.CreatedMillis = e.Bundle.Environment, e.Bundle.Created
		}
		return d
	}
	d := itemData{RepoKey: e.Repo, Path: e.Path, Name: e.Path[strings.LastIndexByte(e.Path, '/')+1:], SHA256: e.SHA256, Size: e.Size}
	if e.Target != "" {
		d.SourceRepoPath = movePath(e.Repo+"/"+e.Path, movePaths)
		d.TargetRepoPath = movePath(e.Target, movePaths)
	}
	d.PropertyKey, d.PropertyValues = e.Key, e.Values
	if e.Image == nil {
		return d
	}
	return imageData{
		itemData: d, ImageName: e.Image.Name, Tag: e.Image.Tag, Platforms: append([]Platform{}, e.Image.Platforms...), ImageType: e.Image.Type,
		TargetRepo: e.Image.TargetRepo, TargetTag: e.Image.TargetTag,
	}
}

func movePath(full, form string) string {
	repo, path, _ := strings.Cut(full, "/")
	switch form {
	case "repo":
		return repo
	case "repo:path":
		return repo + ":" + path
	}
	return full
}

// body is what is sent, distorted as wanted. It is made of strings and numbers only, so that encoding cannot fail.
func (s *Server) body(key string, e Event, d Distortion) []byte {
	p := payload{
		Domain: e.Domain, EventType: e.Type, Data: e.data(s.Quirks().MovePaths), SubscriptionKey: key,
		JPDOrigin: s.URL(), Source: "jfrog/jfrt@01hzz0000000000000000000ab",
		UserContext: &userContext{ID: e.User, IsToken: true, Realm: "internal"},
	}
	if d.OmitOrigin {
		p.JPDOrigin = ""
	}
	if d.OmitUserContext {
		p.UserContext = nil
	}
	if len(d.Omit) > 0 {
		p.Data = without(p.Data, d.Omit)
	}
	if !d.Flat {
		body, _ := json.Marshal(p)
		return body
	}
	p.JPDOrigin, p.Source, p.UserContext = "", "", nil
	if e.Domain == "release_bundle" { // not flat in the older documents, but under another name
		p.Domain, p.Destination = "", e.Domain
		body, _ := json.Marshal(p)
		return body
	}
	inner, _ := json.Marshal(p.Data)
	p.Data = nil
	outer, _ := json.Marshal(p)
	if len(inner) <= len("{}") {
		return outer
	}
	return slices.Concat(outer[:len(outer)-1], []byte(","), inner[1:])
}

// without is data less some of its fields.
func without(data any, fields []string) any {
	encoded, _ := json.Marshal(data)
	var out map[string]json.RawMessage
	_ = json.Unmarshal(encoded, &out) // an object, just encoded
	for _, f := range fields {
		delete(out, f)
	}
	return out
}
