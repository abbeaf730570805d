// Package reason holds the one object that explains a refusal, everywhere: HTTP problem detail, CLI, log line and the
// hallmark.reason property all render the same Reason.
package reason

import (
	"fmt"
	"strings"
)

// Code is a stable, machine-readable name of a refusal's cause. Codes are never renamed; docs/reasons.md lists them.
type Code string

// Reason says why something was refused, in terms the reader can act on. All fields are plain text without secrets.
type Reason struct {
	Code     Code   `json:"code"`
	Message  string `json:"message"`            // one sentence
	Found    string `json:"found,omitempty"`    // what was seen
	Expected string `json:"expected,omitempty"` // what would have passed
	Would    string `json:"would,omitempty"`    // counterfactual: "with …", "at …": the least change that alone would make this rule pass
	Fix      string `json:"fix,omitempty"`      // the command or action that fixes it
	Who      string `json:"who,omitempty"`      // who can do that
	Rule     string `json:"rule,omitempty"`     // file:line (policy name) of the rule that refused
}

// String is the reason on one line, as it stands in logs and properties.
func (r Reason) String() string { return fmt.Sprintf("%s: %s", r.Code, r.Message) }

// Text renders the reason as the block that the CLI prints.
func (r Reason) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", r.Code)
	if r.Rule != "" {
		fmt.Fprintf(&b, "   %s", r.Rule)
	}
	fmt.Fprintf(&b, "\n    %s\n", r.Message)
	would := ""
	if r.Would != "" && r.Would != "with "+r.Expected { // once is enough
		would = "would pass " + r.Would
	}
	for _, f := range [...]struct{ name, value string }{{"found", r.Found}, {"expected", r.Expected}, {"", would}, {"fix", r.Fix}, {"who", r.Who}} {
		if f.value != "" {
			fmt.Fprintf(&b, "    %-9s %s\n", f.name, f.value)
		}
	}
	return b.String()
}

// Refused carries reasons through an error return.
type Refused struct{ Reasons []Reason }

// Error joins the reasons on one line.
func (e *Refused) Error() string {
	parts := make([]string, len(e.Reasons))
	for i, r := range e.Reasons {
		parts[i] = r.String()
	}
	return strings.Join(parts, "; ")
}
