package trial

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// maxLine bounds a line of an inventory in bytes; no path is as long.
const maxLine = 4096

// Inventory compares what would come of every artifact in a list, a line repository/path each; empty lines and those
// that start with # are passed over. What Artifactory names manifest.json or list.manifest.json counts as an image,
// the record of a release bundle as a bundle, anything else as a file. name is that of the list, for messages.
func (c *Comparison) Inventory(name string, list io.Reader) error {
	lines := bufio.NewScanner(list)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		ref, err := artifact.ParseRef(c.new.Language.instance(), line)
		if err != nil {
			return &strictyaml.Error{File: name, Line: n, Msg: fmt.Sprintf("%v; write repository/path, a line each", err)}
		}
		c.path(ref, fmt.Sprintf("inventory %s:%d", name, n))
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return &strictyaml.Error{File: name, Line: n + 1, Msg: fmt.Sprintf("the line is longer than %d bytes; write repository/path, a line each", maxLine)}
	} else if err != nil {
		return fmt.Errorf("reading the inventory: %w", err)
	}
	return nil
}

func (c *Comparison) path(ref artifact.Ref, source string) {
	c.paths++
	request := policy.Request{Subject: subjectAt(ref), At: c.moment(), Facts: nothingElse(ref)}
	c.weigh(false, decided(c.old.Set.Decide(request)), decided(c.new.Set.Decide(request)),
		Example{Artifact: ref.String(), Source: source, Given: announced("")})

	c.gate(ref, source, false)
}

// moment is when artifacts of which the name alone is known are signed: some moment, or the latest at which the time of a
// key begins.
func (c *Comparison) moment() time.Time {
	at := someMoment
	for _, k := range slices.Concat(c.old.Language.Keys, c.new.Language.Keys) {
		if k.From.After(at) {
			at = k.From
		}
	}
	return at
}

// gate looks for any evidence that would fare otherwise at a place; with once, only if these gates were not looked at
// before.
func (c *Comparison) gate(target artifact.Ref, source string, once bool) {
	old, _ := c.old.Set.Demand(target)
	new, _ := c.new.Set.Demand(target)
	places := old.Rule() + "\x00" + new.Rule()
	w, known := c.witnesses[places]
	if !known {
		w = witnessOf(old, new)
		c.witnesses[places] = w
		c.unsure = c.unsure || w.unsure
	} else if once {
		return
	}
	for _, one := range []struct {
		evidence []policy.Evidence
		at       time.Time
	}{{w.opens, w.opensAt}, {w.closes, w.closesAt}} {
		e := Example{Artifact: target.String(), Source: source, Given: evidenceText(one.evidence, one.at)}
		if !one.at.Equal(someMoment) {
			e.Given += ", at " + one.at.UTC().Format(time.RFC3339)
		}
		if one.evidence != nil && !c.told[target.Instance+" "+e.Artifact+" "+e.Given] {
			c.weigh(true, signed(old.At(one.at), one.evidence), signed(new.At(one.at), one.evidence), e)
		}
	}
	for _, check := range w.dropped {
		refused := answer{outcome: "refuse", reasons: []reason.Reason{{Code: reason.CheckFailed}}}
		c.weigh(true, refused, answer{outcome: "allow"}, Example{Artifact: target.String(), Source: source, Given: "whatever fails the check: " + check})
	}
}

// subjectAt is what stands at a place, as far as its name tells.
func subjectAt(ref artifact.Ref) artifact.Subject {
	s := artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: ref, SHA256: someDigest, Size: someSize}}
	switch ref.Name() {
	case "manifest.json", "list.manifest.json":
		if image, ok := artifact.ImageAt(ref); ok {
			s.Kind, s.Image = artifact.KindImage, image
		}
	case "release-bundle.json.evd":
		s.Kind = artifact.KindBundle
	}
	return s
}
