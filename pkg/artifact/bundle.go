package artifact

import "time"

// KindBundle is a release bundle v2: one subject, the file in which Artifactory lists the bundle's contents with their
// digests (release-bundle.json.evd). A signature of it covers them all.
const KindBundle Kind = "bundle"

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
	Ref    Ref    // in the repository that it came from
	SHA256 Digest // zero when the bundle tells none
}

// BundlePromotion is one promotion of a bundle into an environment.
type BundlePromotion struct {
	Environment string
	Status      string   // COMPLETED, FAILED, …
	Repos       []string // that it was limited to; empty also where Artifactory does not tell
	At          time.Time
}
