package artifact

import "time"

// Build is one run of CI as Artifactory records it: build-info.
type Build struct {
	Name, Number string
	Project      string // key; "" for none
	Started      time.Time
	Artifacts    []Built          // of all modules, in order; an entry may lack digests
	Promotions   []BuildPromotion // the newest first
}

// Built is one artifact that build-info names. It names no place.
type Built struct {
	Name   string
	SHA1   string // lowercase hexadecimal; "" when build-info has none
	SHA256 Digest // zero when build-info has none
}

// BuildPromotion is one line of a build's history.
type BuildPromotion struct {
	Status string
	Repo   string // "" when only the status changed
	At     time.Time
}
