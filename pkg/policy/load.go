package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// source is one policy file as read. short is how rules name it, full is how errors do.
type source struct {
	name, short, full string
	data              []byte
}

// maxBytes bounds all policy files of a directory together.
const maxBytes = 16 << 20

// Load reads every *.yaml file directly in dir, in order of name, and checks all of them against each other and the
// vocabulary. Files ending in _test.yaml and hidden files are not policies. The error holds every mistake of every
// file, one a line, each with its place. A missing directory and one without policies are errors too.
func Load(dir string, noMatch NoMatch, v Vocabulary) (*Set, error) {
	if err := noMatch.Check(); err != nil {
		return nil, fmt.Errorf("loading policies: %w", err)
	}
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("loading policies: %w", err)
	}
	return lookAt(dir).load(dir, noMatch, v)
}

// look is what a directory held at one moment: its policy files, or why they cannot be read.
type look struct {
	sources []source
	digest  artifact.Digest
	err     error
}

func lookAt(dir string) look {
	sources, err := readDir(dir)
	return look{sources: sources, digest: digestOf(sources), err: err}
}

// content tells looks apart.
func (l look) content() string {
	if l.err != nil {
		return "unreadable: " + l.err.Error()
	}
	return l.digest.String()
}

func (l look) load(dir string, noMatch NoMatch, v Vocabulary) (*Set, error) {
	if l.err != nil {
		return nil, fmt.Errorf("loading policies: %w", l.err)
	}
	set, err := build(l.sources, v)
	if err != nil {
		return nil, fmt.Errorf("loading policies:\n%w", err)
	}
	set.dir, set.noMatch = dir, noMatch
	return set, nil
}

func readDir(dir string) ([]source, error) {
	if dir == "" {
		return nil, errors.New("no directory is given; set policies.dir to the directory that holds the *.yaml files")
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("the directory %s does not exist; create it with at least one policy file, or point policies.dir elsewhere", dir)
	case err != nil:
		return nil, fmt.Errorf("reading the policy directory: %w", err)
	}
	var out []source
	var errs []error
	total := 0
	for _, e := range entries {
		name, full := e.Name(), filepath.Join(dir, e.Name())
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_test.yaml") {
			continue
		}
		if ext := filepath.Ext(name); ext == ".yml" || strings.EqualFold(ext, ".yaml") && ext != ".yaml" {
			errs = append(errs, &strictyaml.Error{File: full, Msg: "policy files end in .yaml; rename it, or move it away if it is not a policy"})
			continue
		} else if ext != ".yaml" {
			continue
		}
		// Not e.Type(): files of a mounted Kubernetes ConfigMap are symbolic links.
		if info, err := os.Stat(full); err == nil {
			switch {
			case info.IsDir():
				continue
			case !info.Mode().IsRegular():
				errs = append(errs, &strictyaml.Error{File: full, Msg: "this is no regular file; put the policy's text there"})
				continue
			case info.Size() > strictyaml.MaxBytes:
				errs = append(errs, &strictyaml.Error{File: full, Msg: fmt.Sprintf("the file has %d bytes, the limit is %d", info.Size(), strictyaml.MaxBytes)})
				continue
			}
		}
		if total > maxBytes {
			continue // told below
		}
		data, err := os.ReadFile(full)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading a policy file: %w", err))
			continue
		}
		total += len(data)
		out = append(out, source{name: name, short: filepath.Join(filepath.Base(dir), name), full: full, data: data})
	}
	if total > maxBytes {
		errs = append(errs, fmt.Errorf("the policy files in %s have more than %d bytes together; move away what is no policy", dir, maxBytes))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the directory %s holds no *.yaml file; write a SigningPolicy there, the repository's policies/ directory has examples", dir)
	}
	return out, nil
}

// build parses and checks; it does no I/O.
func build(sources []source, v Vocabulary) (*Set, error) {
	set := &Set{vocabulary: v, digest: digestOf(sources)}
	c := &compiler{vocabulary: v, named: map[string]strictyaml.Pos{}, expressions: map[string]expression{}}
	for _, src := range sources {
		if err := strictyaml.DecodeAll(src.full, src.data, func(doc *strictyaml.Doc) error { return c.document(set, src, doc) }); err != nil {
			c.errs = append(c.errs, err)
		}
	}
	c.configured(set)
	if len(c.errs) == 0 {
		c.conflicts(set.signing)
	}
	if len(c.errs) > 0 {
		return nil, inOrder(c.errs)
	}
	if len(set.signing)+len(set.gates) == 0 {
		return nil, fmt.Errorf("%s holds no policy; the files are empty or all commented out", sources[0].full)
	}
	set.index()
	return set, nil
}

// inOrder joins errors in the order of the files' lines.
func inOrder(errs []error) error {
	var flat []error
	for _, err := range errs {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			flat = append(flat, many.Unwrap()...)
		} else {
			flat = append(flat, err)
		}
	}
	slices.SortStableFunc(flat, func(a, b error) int {
		var x, y *strictyaml.Error
		if !errors.As(a, &x) || !errors.As(b, &y) {
			return 0
		}
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	return errors.Join(flat...)
}

// compiler turns documents into rules and gathers what is wrong with them.
type compiler struct {
	vocabulary  Vocabulary
	named       map[string]strictyaml.Pos // policy name → where it is defined
	source      source                    // of the document at hand
	expressions map[string]expression     // that were compiled, by their text
	compiled    int                       // expressions, sound or not
	partial     bool                      // the document at hand was decoded with errors, parts of it are missing
	errs        []error
}

func (c *compiler) fail(pos strictyaml.Pos, format string, args ...any) {
	c.errs = append(c.errs, pos.Errorf(format, args...))
}

// document decodes one document by its kind and compiles what could be decoded, so that mistakes of form do not hide
// mistakes of content. Adding a kind of policy means adding its line here.
func (c *compiler) document(set *Set, src source, doc *strictyaml.Doc) error {
	kind, err := kindOf(doc)
	if err != nil {
		return err
	}
	c.source, doc.Filled = src, true // kinds: [] reads as none and would mean all
	switch kind {
	case kindSigning:
		var p SigningPolicy
		err = doc.Decode(&p)
		c.partial = err != nil
		set.signing = append(set.signing, c.signing(src, p))
	case kindGate:
		var p GatePolicy
		err = doc.Decode(&p)
		c.partial = err != nil
		set.gates = append(set.gates, c.gate(src, p))
	case kindConfiguration:
		var p SigningConfiguration
		err = doc.Decode(&p)
		c.partial = err != nil
		set.configurations = append(set.configurations, c.configuration(src, p))
	}
	return err
}

// kindOf is the kind of policy that a document says it is; what is no kind is an error.
func kindOf(doc *strictyaml.Doc) (string, error) {
	kind, ok := doc.Text("kind")
	switch {
	case !ok:
		return "", doc.Pos.Errorf("the document has no kind; write kind: %s", strings.Join(documentKinds, ", or kind: "))
	case !slices.Contains(documentKinds, kind.Value):
		return "", kind.Pos.Errorf("unknown kind %q; %s", kind.Value, strictyaml.Hint(kind.Value, documentKinds))
	}
	return kind.Value, nil
}

// digestOf hashes names and contents, each preceded by its length as 8 bytes big-endian, in order of name.
func digestOf(sources []source) artifact.Digest {
	h := sha256.New()
	for _, s := range sources {
		for _, part := range [][]byte{[]byte(s.name), s.data} {
			_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			_, _ = h.Write(part)
		}
	}
	return artifact.Digest(h.Sum(nil))
}
