package webhook

// hint is where an event tells us to look.
type hint interface {
	place() place
}

// place is the item in Artifactory that a hint comes down to. It is text from outside: Repo and Path have not been
// checked, SHA256 is a digest or empty and serves only to tell two events apart. Whatever else a payload says is not
// read, above all not its URLs.
type place struct {
	Repo       string `json:"repo"`
	Path       string `json:"path"`
	SHA256     string `json:"sha256,omitempty"`
	Attachment bool   `json:"attachment,omitempty"` // a signature of an image, not an image
	Parts      bool   `json:"parts,omitempty"`      // a record of things that may lie in any repository
}

// decode reads the data of one event type. An error means that the data lacks what every version of that event has.
type decode func(data []byte) (hint, error)

// item is a file, or a folder.
type item struct{ Repo, Path, SHA256 string }

func (i item) place() place { return place{Repo: i.Repo, Path: i.Path, SHA256: i.SHA256} }
