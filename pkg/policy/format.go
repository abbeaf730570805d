package policy

import (
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Format returns a policy file in its one form: keys in the order of the reference, two spaces a level, comments kept.
// The formatted file means the same. What is not well-formed is refused, with the place of each mistake; names of keys
// and formats are not looked at. file names the data in errors.
func Format(file string, data []byte) ([]byte, error) {
	return strictyaml.Format(file, data, func(doc *strictyaml.Doc) (any, error) {
		kind, err := kindOf(doc)
		if err != nil {
			return nil, err
		}
		switch kind {
		case kindGate:
			return &GatePolicy{}, nil
		case kindConfiguration:
			return &SigningConfiguration{}, nil
		}
		return &SigningPolicy{}, nil
	})
}

// Files lists the policy files of a directory, in order of name: those that Load reads.
func Files(dir string) ([]string, error) {
	sources, err := readDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.full
	}
	return names, nil
}
