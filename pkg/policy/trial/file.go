package trial

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

type text = strictyaml.Located[string]

// File is a file of cases. Keys and noMatch stand in for a configuration; one file of a directory has to say them.
type File struct {
	Pos     strictyaml.Pos
	Keys    []KeyLine `yaml:"keys" doc:"the keys that policies name, for use without a configuration"`
	NoMatch text      `yaml:"noMatch" oneof:"skip,deny" doc:"what happens to an artifact that no signing policy matches, for use without a configuration"`
	Signing []Signing `yaml:"signing" doc:"cases: is it signed, and with what"`
	Gates   []Gate    `yaml:"gates" doc:"cases: may it enter"`
}

// KeyLine names a key.
type KeyLine struct {
	Pos  strictyaml.Pos
	Name text `yaml:"name" required:"true" doc:"the key's name"`
	Lane text `yaml:"lane" required:"true" oneof:"development,release" doc:"its lane"`

	From    text `yaml:"from" default:"always" doc:"the moment from which it is in use; cases that do not say at happen on 2026-01-05"`
	Retired text `yaml:"retired" default:"in use" doc:"the moment from which it is retired"`
}

// Signing is a case about the signing policies.
type Signing struct {
	Pos      strictyaml.Pos
	Name     text `yaml:"name" required:"true" doc:"what the case shows, in a few words"`
	Instance text `yaml:"instance" default:"the first of the configuration, else main" doc:"the Artifactory instance"`
	Artifact text `yaml:"artifact" required:"true" doc:"repository/path"`
	Kind     text `yaml:"kind" default:"file" oneof:"file,image,bundle" doc:"the kind of artifact"`
	Event    text `yaml:"event" default:"none: somebody asks by name" doc:"the event that announces it, such as artifact/deployed"`
	Platform text `yaml:"platform" doc:"of an image that an index lists, such as linux/arm64"`
	PartOf   text `yaml:"partOf" doc:"repository/path of the index that lists the image"`
	Digest   text `yaml:"digest" default:"known" oneof:"known,unknown" doc:"whether Artifactory tells its SHA-256"`
	Given    `yaml:",inline"`

	Signatures []EvidenceLine `yaml:"signatures" default:"none" doc:"the signatures that are there already"`

	Expect SigningExpect `yaml:"expect" required:"true" doc:"what must come of it"`
}

// SigningExpect is what a case about signing must come to.
type SigningExpect struct {
	Pos     strictyaml.Pos
	Outcome text       `yaml:"outcome" required:"true" oneof:"sign,skip,deny" doc:"what happens to it"`
	Sign    []SignLine `yaml:"sign" doc:"with outcome: sign, every key and its formats, in the policy's order"`
	Reasons []text     `yaml:"reasons" doc:"with outcome: deny, the code of every reason"`
	Rule    text       `yaml:"rule" doc:"name of the policy that decides, or of policy/check"`

	Warnings []text `yaml:"warnings" default:"none" doc:"the code of everything that a policy with mode: warn tells"`
}

// SignLine is one key and what it makes.
type SignLine struct {
	Key     text   `yaml:"key" required:"true" doc:"the key's name"`
	Formats []text `yaml:"formats" required:"true" doc:"the formats, in any order"`
}

// Gate is a case about the gate policies.
type Gate struct {
	Pos      strictyaml.Pos
	Name     text           `yaml:"name" required:"true" doc:"what the case shows, in a few words"`
	Instance text           `yaml:"instance" default:"the first of the configuration, else main" doc:"the Artifactory instance"`
	Target   text           `yaml:"target" required:"true" doc:"repository/path where it is to stand"`
	Artifact text           `yaml:"artifact" default:"the target" doc:"repository/path where it stands now; only advice speaks of it"`
	Evidence []EvidenceLine `yaml:"evidence" default:"none" doc:"the signatures that are there"`
	Kind     text           `yaml:"kind" default:"file" oneof:"file,image,bundle" doc:"the kind of artifact"`
	Given    `yaml:",inline"`
	Expect   GateExpect `yaml:"expect" required:"true" doc:"what must come of it"`
}

// EvidenceLine is one signature that the gate finds.
type EvidenceLine struct {
	Pos     strictyaml.Pos
	Format  text `yaml:"format" required:"true" doc:"its format"`
	Key     text `yaml:"key" doc:"the key that made it; required unless it has a problem"`
	Problem text `yaml:"problem" doc:"why it does not verify, a reason code such as signature-wrong-bytes"`
	File    text `yaml:"file" doc:"its file, for messages"`

	Age    *policy.Span `yaml:"age" default:"just made" doc:"how long ago it was made, such as 30d"`
	Dated  text         `yaml:"dated" default:"yes" oneof:"yes,no" doc:"whether the ledger knows when it was made"`
	Stands text         `yaml:"stands" default:"yes" oneof:"yes,no" doc:"whether its file stands with the artifact; no: only the ledger knows of it, which counts against the artifact alone"`
	Level  *int         `yaml:"level" default:"2" doc:"its level of trust"`
}

// GateExpect is what a case about a gate must come to.
type GateExpect struct {
	Pos     strictyaml.Pos
	Outcome text   `yaml:"outcome" required:"true" oneof:"allow,refuse" doc:"what the gate says"`
	Reasons []text `yaml:"reasons" doc:"with outcome: refuse, the code of every reason"`
	Rule    text   `yaml:"rule" doc:"name of a policy that refuses, or that guards what is allowed"`

	Warnings []text `yaml:"warnings" default:"none" doc:"the code of everything that policies with mode: warn tell"`
}

// files are the files of cases of one directory. If they say nothing of keys, spoken says it for them.
type files struct {
	files  []*File
	spoken []*File
}

func (f files) says() bool {
	return slices.ContainsFunc(f.files, func(f *File) bool { return len(f.Keys) > 0 || f.NoMatch.Value != "" })
}

// or lets the other directory's files speak of keys where these do not.
func (f files) or(other files) files {
	if !f.says() {
		f.spoken = other.files
	}
	return f
}

// language is what the cases may speak of: the configuration's words, or else those of the files.
func (f files) language(dir string, l Language) (Language, error) {
	speaking := slices.Concat(f.files, f.spoken)
	if l.Configured {
		return l, agrees(speaking, l)
	}
	l.Keys = slices.Clone(l.Keys)
	said := map[string]KeyLine{}
	var errs []error
	for _, file := range speaking {
		for _, k := range file.Keys {
			first, known := said[k.Name.Value]
			switch {
			case !known:
				said[k.Name.Value] = k
				key, wrong := k.key()
				errs = append(errs, wrong...)
				l.Keys = append(l.Keys, key)
			case first.Lane.Value != k.Lane.Value:
				errs = append(errs, k.Lane.Pos.Errorf("%s has the lane %s here and %s at %s; write the same lane", k.Name.Value, k.Lane.Value, first.Lane.Value, first.Lane.Pos))
			}
		}
		switch n := policy.NoMatch(file.NoMatch.Value); {
		case n == "":
		case l.NoMatch == "":
			l.NoMatch = n
		case l.NoMatch != n:
			errs = append(errs, file.NoMatch.Pos.Errorf("noMatch is %s here and %s in a file before; write the same", n, l.NoMatch))
		}
	}
	switch {
	case len(errs) > 0:
	case len(l.Keys) == 0:
		errs = append(errs, fmt.Errorf("no configuration is given, and no *%s file in %s lists keys; name the configuration with --config, or write keys: [{name: release-2026, lane: release}] at the top of one", Suffix, dir))
	case l.NoMatch == "":
		errs = append(errs, fmt.Errorf("no configuration is given, and no *%s file in %s has noMatch; name the configuration with --config, or write noMatch: skip or noMatch: deny at the top of one", Suffix, dir))
	}
	return l, errors.Join(errs...)
}

// agrees refuses files that say otherwise than the configuration.
func agrees(files []*File, l Language) error {
	var errs []error
	for _, file := range files {
		for _, k := range file.Keys {
			i := slices.IndexFunc(l.Keys, func(c policy.Key) bool { return c.Name == k.Name.Value })
			switch {
			case i < 0:
				errs = append(errs, k.Name.Pos.Errorf("the configuration has no key %q; %s", k.Name.Value, strictyaml.Hint(k.Name.Value, keyNames(l))))
			case l.Keys[i].Lane != k.Lane.Value:
				errs = append(errs, k.Lane.Pos.Errorf("%s has the lane %s in the configuration; write that, or leave keys out", k.Name.Value, l.Keys[i].Lane))
			default:
				key, wrong := k.key()
				errs = append(errs, wrong...)
				if !key.Retired.IsZero() && !key.Retired.Equal(l.Keys[i].Retired) {
					errs = append(errs, k.Retired.Pos.Errorf("%s is not retired at that moment in the configuration; write what it says, or leave keys out", k.Name.Value))
				}
				if !key.From.IsZero() && !key.From.Equal(l.Keys[i].From) {
					errs = append(errs, k.From.Pos.Errorf("the time of %s does not begin at that moment in the configuration; write what it says, or leave keys out", k.Name.Value))
				}
			}
		}
		if n := file.NoMatch; n.Value != "" && n.Value != string(l.NoMatch) {
			errs = append(errs, n.Pos.Errorf("noMatch is %s in the configuration; write that, or leave it out", l.NoMatch))
		}
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New(`to try the policies without the configuration, give --config ""`))
	}
	return errors.Join(errs...)
}

func keyNames(l Language) []string {
	var names []string
	for _, k := range l.Keys {
		names = append(names, k.Name)
	}
	return names
}
