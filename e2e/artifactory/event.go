package artifactory

import (
	"strings"
)

// Event is one thing that happened, before it becomes a delivery.
type Event struct {
	Domain, Type string
	Repo         string // for moved and copied: the source, which filters match
	Path         string // without a leading slash
	SHA256       string
	Size         int64
	Target       string // for moved and copied: repo/path
	Key          string // for artifact_property
	Values       []string
	User         string
}

// data is the domain's part of a payload.
type data struct {
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

type payload struct {
	Domain          string       `json:"domain"`
	EventType       string       `json:"event_type"`
	Data            any          `json:"data"`
	SubscriptionKey string       `json:"subscription_key"`
	JPDOrigin       string       `json:"jpd_origin,omitempty"`
	Source          string       `json:"source"`
	UserContext     *userContext `json:"userContext,omitempty"`
}

type userContext struct {
	ID      string `json:"id"`
	IsToken bool   `json:"isToken"`
	Realm   string `json:"realm"`
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

func (e Event) data(movePaths string) data {
	d := data{RepoKey: e.Repo, Path: e.Path, Name: e.Path[strings.LastIndexByte(e.Path, '/')+1:], SHA256: e.SHA256, Size: e.Size}
	if e.Target != "" {
		d.SourceRepoPath = movePath(e.Repo+"/"+e.Path, movePaths)
		d.TargetRepoPath = movePath(e.Target, movePaths)
	}
	d.PropertyKey, d.PropertyValues = e.Key, e.Values
	return d
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
