package artifact

// KindImage is a manifest of an image, Docker v2 or OCI, an index too: one subject per manifest, the digest of the
// manifest's bytes.
const KindImage Kind = "image"

// Image is what is known of an image manifest besides its bytes.
type Image struct {
	Name      string // below the repository, without tag or digest
	Tag       string // "" when the manifest stands under its digest alone
	MediaType string // of the manifest
	Platform  string // os/architecture[/variant] as the index tells; "" for an index or a lone manifest
}
