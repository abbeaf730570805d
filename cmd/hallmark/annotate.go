package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// formatGitHub prints workflow commands of GitHub Actions: what went wrong stands on the run's page, not in its log alone.
const formatGitHub = "github"

// Levels of annotations.
const (
	levelError   = "error"
	levelWarning = "warning"
	levelNotice  = "notice"
)

// annotation is one workflow command. Title, file and message may hold anything: a path or a reason that an attacker chose
// is shown, and can be no command of its own.
type annotation struct {
	level, title string
	file         string // repository/path that it is about; "" for none
	message      string
}

// String is the command, one line without its end.
func (a annotation) String() string {
	var properties []string
	for _, p := range [...]struct{ name, value string }{{"title", a.title}, {"file", a.file}} {
		if p.value != "" {
			properties = append(properties, p.name+"="+forProperty.Replace(shown(p.value)))
		}
	}
	return "::" + a.level + " " + strings.Join(properties, ",") + "::" + forMessage.Replace(shown(a.message))
}

// What GitHub's runner turns back. A message ends with its line, a property at a comma, and all of them at a colon's twin.
var (
	forMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	forProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// shown replaces what would make a log say something else than stands there: bytes that are no text, control characters,
// and those that turn the direction of writing.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
}

// showAnnotated is show for commands that have annotations, too.
func showAnnotated(w io.Writer, format string, v any, text func(io.Writer), annotations []annotation) error {
	switch format {
	case formatGitHub:
		for _, a := range annotations {
			fmt.Fprintln(w, a)
		}
		return nil
	case "text", "json":
		return show(w, format, v, text)
	default:
		return fmt.Errorf("output format %q is unknown: text, json or %s", format, formatGitHub)
	}
}

func verdictAnnotations(v gate.Verdict) []annotation {
	warnings := reasonAnnotations(levelWarning, "Hallmark: warning", v.Artifact, "a policy that only warns would not let "+v.Artifact+" enter "+v.Target, v.Warnings)
	if v.Allow {
		message := v.Artifact + " may enter " + v.Target
		for _, s := range v.Signatures {
			if s.Problem == "" {
				message += fmt.Sprintf("\nverified: %s by key %s", s.File, s.Key)
			}
		}
		return append([]annotation{{levelNotice, "Hallmark: allowed", v.Artifact, message}}, warnings...)
	}
	title := "Hallmark: refused"
	if !v.Decided {
		title = "Hallmark: undecided"
	}
	return append(reasonAnnotations(levelError, title, v.Artifact, v.Artifact+" may not enter "+v.Target, v.Reasons), warnings...)
}

func promotionAnnotations(r promotion.Report) []annotation {
	word, sentence := promotionHead(r)
	head := annotation{levelError, "Hallmark: " + strings.ToLower(word), "", sentence}
	if r.State == promotion.StateAllowed || r.State == promotion.StateDone {
		head.level = levelNotice
	}
	all := append([]annotation{head}, reasonAnnotations(levelError, head.title, "", sentence, r.Reasons)...)
	for _, it := range r.Items {
		all = append(all, reasonAnnotations(levelError, head.title, it.Artifact, it.Artifact+" is "+it.State, it.Reasons)...)
		if len(it.Left) > 0 {
			all = append(all, annotation{levelNotice, "Hallmark: left behind", it.Artifact,
				"signature files that do not count at the target stay behind: " + strings.Join(it.Left, ", ")})
		}
	}
	return all
}

// reasonAnnotations gives one annotation for each reason, with all that the reason says.
func reasonAnnotations(level, title, file, about string, why []reason.Reason) []annotation {
	all := make([]annotation, len(why))
	for i, r := range why {
		message := about + "\n" + r.Message
		would := r.Would
		if would == "with "+r.Expected { // once is enough
			would = ""
		}
		for _, f := range [...]struct{ name, value string }{{"found: ", r.Found}, {"expected: ", r.Expected}, {"would pass ", would}, {"fix: ", r.Fix}, {"who: ", r.Who}, {"rule: ", r.Rule}} {
			if f.value != "" {
				message += "\n" + f.name + f.value
			}
		}
		all[i] = annotation{level, title + ": " + string(r.Code), file, message}
	}
	return all
}
