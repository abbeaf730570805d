package artifactory

import "encoding/json"

// Criteria narrow the events of a domain that is about repositories, builds, release bundles, or promotions of release
// bundles into environments. Patterns are Ant's, of paths or of names; no include pattern includes all.
type Criteria struct {
	AnyLocal     bool     `json:"anyLocal"`
	AnyRemote    bool     `json:"anyRemote"`
	AnyFederated bool     `json:"anyFederated,omitempty"` // some releases refuse the word: it is sent only when true
	Repositories []string `json:"repoKeys"`
	Include      []string `json:"includePatterns"`
	Exclude      []string `json:"excludePatterns"`
	AnyBuild     bool     `json:"anyBuild"`
	Builds       []string `json:"selectedBuilds"`
	AnyBundle    bool     `json:"anyReleaseBundle"`
	Bundles      []string `json:"selectedReleaseBundles"`
	Environments []string `json:"selectedEnvironments"` // none is refused: there is no word for all
}

// MarshalJSON leaves out what is not about the things that the criteria choose: a server need not know a domain's
// criteria by the words of another.
func (c Criteria) MarshalJSON() ([]byte, error) {
	list := func(l []string) []string { return append([]string{}, l...) } // [], never null
	switch {
	case len(c.Environments) > 0:
		return json.Marshal(struct {
			Environments []string `json:"selectedEnvironments"`
		}{c.Environments})
	case c.AnyBundle || len(c.Bundles) > 0:
		return json.Marshal(struct {
			AnyBundle bool     `json:"anyReleaseBundle"`
			Bundles   []string `json:"selectedReleaseBundles"`
			Include   []string `json:"includePatterns,omitempty"` // not every document knows patterns here
			Exclude   []string `json:"excludePatterns,omitempty"`
		}{c.AnyBundle, list(c.Bundles), c.Include, c.Exclude})
	case c.AnyBuild || len(c.Builds) > 0:
		return json.Marshal(struct {
			AnyBuild bool     `json:"anyBuild"`
			Builds   []string `json:"selectedBuilds"`
			Include  []string `json:"includePatterns"`
			Exclude  []string `json:"excludePatterns"`
		}{c.AnyBuild, list(c.Builds), c.Include, c.Exclude})
	}
	return json.Marshal(struct {
		AnyLocal     bool     `json:"anyLocal"`
		AnyRemote    bool     `json:"anyRemote"`
		AnyFederated bool     `json:"anyFederated,omitempty"`
		Repositories []string `json:"repoKeys"`
		Include      []string `json:"includePatterns"`
		Exclude      []string `json:"excludePatterns"`
	}{c.AnyLocal, c.AnyRemote, c.AnyFederated, c.Repositories, c.Include, c.Exclude})
}
