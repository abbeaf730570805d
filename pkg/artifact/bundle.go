package artifact

import "time"

// Bundle is a release bundle v2. Its contents are those of the moment when it was made.
type Bundle struct {
	Name, Version string
	Project       string // key; "" for none
	Status        string
	Contents      []Bundled
	Promotions    []BundlePromotion // the newest first
}

// Bundled is one artifact of a bundle: where it came from, and its bytes.
type Bundled struct {
	Ref    Ref // in the repository that it came from
	SHA256 Digest
}

// BundlePromotion is one promotion of a bundle into an environment.
type BundlePromotion struct {
	Environment string
	Status      string // COMPLETED, FAILED, …
	Repos       []string
	At          time.Time
}
