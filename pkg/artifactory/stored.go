package artifactory

// StoredSignature is a signature that Artifactory keeps otherwise than as a file beside its subject: attached to an image
// in its registry, or to any file as evidence. Nobody has verified it; whoever may write there can have put anything.
type StoredSignature struct {
	Name    string // where it is kept, for people: a digest, a tag, or repository/path of an evidence file
	Format  string // the format that it has by its shape, as pkg/seal names it
	Content []byte // nil when it cannot be read whole: damaged, too large, or gone
}
