package seal

import (
	"fmt"
	"strings"
)

// FileName names the signature file of an artifact's file name: <artifact><suffix> for the first key of a format,
// <artifact>.<key><suffix> for every other. It is "" for a format that is unknown or is not kept in files beside the
// subject.
//
// A file name can mean two things: app.tgz.sig is by the first key for app.tgz, and by a key "tgz" for app. Nothing
// rests on that: a file is believed for the bytes and the key that it verifies with, whatever it is called.
func FileName(artifact, format, key string, first bool) string {
	f, ok := Lookup(format)
	switch {
	case !ok || f.Suffix == "":
		return ""
	case first:
		return artifact + f.Suffix
	default:
		return artifact + "." + key + f.Suffix
	}
}

// CheckKeyName refuses a key name that cannot be part of a file name: it has 1 to 64 letters, digits, '-', '_' or '.',
// and no dot at either end.
func CheckKeyName(name string) error {
	if len(name) < 1 || len(name) > 64 {
		return fmt.Errorf("key name %.80q has %d characters; 1 to 64 are allowed", name, len(name))
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return fmt.Errorf("key name %q has the character %q; letters, digits, '-', '_' and '.' are allowed, because the name becomes part of file names", name, c)
		}
	}
	if strings.Trim(name, ".") != name {
		return fmt.Errorf("key name %q begins or ends with a dot", name)
	}
	return nil
}

// FormatOf returns the format that a file name (or a path) ends in. It goes by the name alone.
func FormatOf(name string) (Format, bool) {
	name = name[strings.LastIndexByte(name, '/')+1:]
	for _, f := range formats {
		if f.Suffix != "" && len(name) > len(f.Suffix) && strings.HasSuffix(name, f.Suffix) {
			return f, true
		}
	}
	return Format{}, false
}

// IsAttachment reports whether a file name (or a path) is that of a signature file, which is never signed itself. A
// file that somebody else calls <file>.sig counts too.
func IsAttachment(name string) bool {
	_, ok := FormatOf(name)
	return ok
}

// Owners lists the names of the artifacts that a file of this name may hold a signature of, the likeliest first: by the
// first key of its format, or by one of the given keys. There are none when it is not the name of a signature file.
func Owners(name string, keys []string) []string {
	f, ok := FormatOf(name)
	if !ok {
		return nil
	}
	stem := strings.TrimSuffix(name, f.Suffix)
	owners := []string{stem}
	for _, key := range keys {
		if owner, ok := strings.CutSuffix(stem, "."+key); ok && owner != "" {
			owners = append(owners, owner)
		}
	}
	return owners
}

// Candidate is a file that may hold a signature of an artifact.
type Candidate struct {
	Name   string // file name beside the artifact
	Format string
}

// Candidates lists the files beside an artifact in which a signature by one of the keys can be stored, most likely
// first. Which key comes first was decided when the signature was made, so every key may be in the short name too.
// Unknown formats, those that are not kept as files, and repeated names are left out.
func Candidates(artifact string, keys, formats []string) []Candidate {
	var all []Candidate
	seen := map[string]bool{"": true}
	add := func(format, key string, first bool) {
		if name := FileName(artifact, format, key, first); !seen[name] {
			seen[name] = true
			all = append(all, Candidate{Name: name, Format: format})
		}
	}
	for _, format := range formats {
		add(format, "", true)
	}
	for _, key := range keys {
		for _, format := range formats {
			add(format, key, false)
		}
	}
	return all
}
