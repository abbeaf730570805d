// Package trial tries policies before they count: it reads cases that people wrote beside their policies (Read), holds a
// set to them (Run), and compares two sets (Compare). It asks policy.Set.Decide and policy.Demand.Judge and nothing
// else: no network, no keys, no files but those of policies and cases. What it decides is thrown away.
package trial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Suffix ends the names of files of cases.
const Suffix = "_test.yaml"

// Language is what cases may speak of. With a configuration (Configured) keys, instances and noMatch are its own, and
// what files of cases say of them must agree; without one they are what the files say.
type Language struct {
	Configured bool
	policy.Vocabulary
	NoMatch policy.NoMatch
}

// Trial is a policy set with the cases that lie beside it.
type Trial struct {
	Dir      string
	Set      *policy.Set
	Cases    []*Case // in order of file and line, those about signing first
	Language Language
}

// Read loads a directory's policies and cases. The error holds every mistake of the cases, or else every mistake of the
// policies, each with its place. A directory without cases is fine.
func Read(dir string, l Language) (*Trial, error) {
	files, err := readFiles(dir)
	if err != nil {
		return nil, err
	}
	return load(dir, files, l)
}

// ReadPair reads two directories to be compared. One that says nothing of keys and noMatch is read with what the other
// says, so that policies from before there were cases can be compared with those after.
func ReadPair(before, after string, l Language) (*Trial, *Trial, error) {
	old, err := readFiles(before)
	if err != nil {
		return nil, nil, err
	}
	new, err := readFiles(after)
	if err != nil {
		return nil, nil, err
	}
	a, err := load(before, old.or(new), l)
	if err != nil {
		return nil, nil, err
	}
	b, err := load(after, new.or(old), l)
	return a, b, err
}

func load(dir string, files files, l Language) (*Trial, error) {
	l, err := files.language(dir, l)
	if err != nil {
		return nil, err
	}
	t := &Trial{Dir: dir, Language: l}
	var errs []error
	for _, f := range files.files {
		cases, err := f.cases(l)
		t.Cases, errs = append(t.Cases, cases...), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("reading cases:\n%w", err)
	}
	if t.Set, err = policy.Load(dir, l.NoMatch, l.Vocabulary); err != nil {
		return nil, err
	}
	if err := t.rulesExist(); err != nil {
		return nil, fmt.Errorf("reading cases:\n%w", err)
	}
	return t, nil
}

// rulesExist refuses cases that expect a rule no policy has.
func (t *Trial) rulesExist() error {
	var names, places []string
	for _, r := range t.Set.Rules() {
		names, places = append(names, r.Policy), append(places, r.Rule)
		for _, line := range r.Requirements {
			places = append(places, line.Rule)
		}
		for _, check := range r.Checks {
			names, places = append(names, policyOf(check)), append(places, check)
		}
	}
	var errs []error
	for _, c := range t.Cases {
		if want := c.want.rule; want.Value != "" && !contains(names, want.Value) && !contains(places, want.Value) {
			errs = append(errs, want.Pos.Errorf("unknown rule %q; %s", want.Value, strictyaml.Hint(want.Value, names)))
		}
	}
	return errors.Join(errs...)
}

// readFiles reads the files of cases of a directory, in order of name.
func readFiles(dir string) (files, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return files{}, fmt.Errorf("reading the policy directory: %w", err)
	}
	var out files
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), Suffix) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading a file of cases: %w", err))
			continue
		}
		f := &File{}
		errs = append(errs, strictyaml.Decode(name, data, f))
		out.files = append(out.files, f)
	}
	if err := errors.Join(errs...); err != nil {
		return files{}, fmt.Errorf("reading cases:\n%w", err)
	}
	return out, nil
}

// defaultInstance is where cases happen when there is neither a configuration nor a word about it.
const defaultInstance = "main"

func (l Language) instance() string {
	if len(l.Instances) > 0 {
		return l.Instances[0]
	}
	return defaultInstance
}
