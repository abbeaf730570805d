package artifact

import (
	"context"
	"errors"
)

// ErrUnnamed means that there are files whose paths NewRef refuses.
var ErrUnnamed = errors.New("paths that cannot be named safely")

// ErrUnsearched means that a search was ended because it would have taken too many queries.
var ErrUnsearched = errors.New("too much to look into")

// Source reports facts about items. It is the edge to Artifactory seen from here. Implementations are safe for
// concurrent use, return ErrGone (wrapped) for what does not exist, and never answer about items from a cache.
type Source interface {
	// Info reports one file.
	Info(ctx context.Context, ref Ref) (Info, error)
	// Read returns a file of at most limit bytes.
	Read(ctx context.Context, ref Ref, limit int64) ([]byte, error)
	// Repository reports what a repository is; it may be a few minutes old.
	Repository(ctx context.Context, key string) (Repository, error)
	// Locate answers where the bytes are that a virtual or remote repository shows at ref; any other ref is its own answer.
	Locate(ctx context.Context, ref Ref) (Ref, error)
	// Build reads the build whose record, or the front of its name, ref is.
	Build(ctx context.Context, ref Ref) (Build, error)
	// Built hands each file of some repositories to found that may belong to a build: by its properties, or by its SHA-1.
	// In a virtual repository these are the files of its members; with "" those of all repositories by their properties
	// alone. An error of found ends it. ErrUnnamed comes after all that can be named, ErrUnsearched after all that could
	// be found with a bounded number of queries, in the order of the repositories.
	Built(ctx context.Context, b Build, repos []string, found func(Info) error) error
	// Bundle reads the release bundle whose record ref is.
	Bundle(ctx context.Context, ref Ref) (Bundle, error)
	// Copies hands each file to found that has the path and the bytes of one of some contents, in whatever repository;
	// the path alone of one whose bytes are unknown. An error of found ends it. ErrUnnamed comes after all that can be
	// named.
	Copies(ctx context.Context, of []Bundled, found func(Info) error) error
}

// Repository is what Artifactory says of a repository.
type Repository struct {
	Key     string
	Class   Class
	Package string // "generic", "docker", "oci", "maven", …, in lower case; "" when the token may not know
	Project string // key of the project that it belongs to; "" for none, and when ProjectKnown is false
	// ProjectKnown is false when the token may not read the whole configuration.
	ProjectKnown bool
}

// Class is what a repository does with files. It is "" when the token may not know.
type Class string

// The classes. A cache is where a remote repository keeps what it fetched; nobody can store a file in it.
const (
	Local     Class = "local"
	Remote    Class = "remote"
	Virtual   Class = "virtual"
	Federated Class = "federated"
	Cache     Class = "cache"
)
