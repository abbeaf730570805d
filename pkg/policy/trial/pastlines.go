package trial

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// maxPastLine bounds a line of decisions in bytes: the facts, and as much again for reasons and what is around them.
const maxPastLine = 8 * policy.MaxAsked

// ReadPast reads decisions in lines to their end, and calls each with every one. name is that of the lines, for messages.
// Lines that end without an end are io.ErrUnexpectedEOF; what was read by then was told.
func ReadPast(name string, lines io.Reader, each func(policy.Past) error) (policy.PastEnd, error) {
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(make([]byte, 0, 64<<10), maxPastLine)
	n := 0
	fail := func(format string, args ...any) (policy.PastEnd, error) {
		return policy.PastEnd{}, &strictyaml.Error{File: name, Line: n, Msg: fmt.Sprintf(format, args...)}
	}
	for scanner.Scan() {
		n++
		if len(scanner.Bytes()) == 0 {
			continue
		}
		var line policy.PastLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return fail("this is no line of decisions: %v; hallmark policy export writes them", err)
		}
		switch {
		case (line.Decision == nil) == (line.End == nil):
			return fail("a line has either decision or end; hallmark policy export writes them")
		case line.End != nil:
			return *line.End, nil
		}
		if err := sound(*line.Decision); err != nil {
			return fail("%v", err)
		}
		if err := each(*line.Decision); err != nil {
			return fail("%v", err)
		}
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		n++
		return fail("the line is longer than %d bytes", maxPastLine)
	} else if err != nil {
		return policy.PastEnd{}, fmt.Errorf("reading decisions: %w", err)
	}
	return policy.PastEnd{}, fmt.Errorf("reading decisions: %s ends after line %d without an end, it was cut off: %w", name, n, io.ErrUnexpectedEOF)
}

// outcomes are what a decision can have come to.
var outcomes = map[string][]string{
	policy.PastSigning: {"signed", "denied", "skipped", "expanded"},
	policy.PastGate:    {"allowed", "refused"},
}

// sound refuses what no ledger tells.
func sound(p policy.Past) error {
	known, ok := outcomes[p.Kind]
	switch {
	case !ok:
		return fmt.Errorf("kind is %.40q, not signing or gate", p.Kind)
	case !contains(known, p.Outcome):
		return fmt.Errorf("outcome is %.40q, which is none of %s", p.Outcome, p.Kind)
	case p.At.IsZero():
		return errors.New("at is missing")
	}
	if _, err := artifact.ParseRef(p.Instance, p.Artifact); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if p.Kind == policy.PastGate {
		if _, err := artifact.ParseRef(p.Instance, p.Target); err != nil {
			return fmt.Errorf("target: %w", err)
		}
	}
	return nil
}
