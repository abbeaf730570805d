package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// keyView is a key as list, show and generate print it.
type keyView struct {
	Name       string         `json:"name"` // of the configuration; empty for a key that it does not know
	Label      string         `json:"label"`
	Token      string         `json:"token"`
	Use        string         `json:"use,omitempty"` // empty for a key that the configuration does not know
	Lane       string         `json:"lane,omitempty"`
	From       time.Time      `json:"from,omitzero"`           // before when it signs nothing
	Retired    time.Time      `json:"retired,omitzero"`        // from when on it signs nothing
	Certified  time.Time      `json:"certifiedUntil,omitzero"` // end of the certificate of a root, issuing or time-stamping key
	Algorithm  string         `json:"algorithm"`
	SPKI       string         `json:"spki,omitempty"`
	Pinned     string         `json:"pinned,omitempty"` // what the configuration expects
	Problem    string         `json:"problem,omitempty"`
	PEM        string         `json:"pem,omitempty"`
	Distrusted *api.Distrust  `json:"distrusted,omitempty"` // by the word of the service, when it was asked
	Attributes hsm.Attributes `json:"attributes"`
}

// listKeys joins what the tokens hold with what the configuration expects.
func listKeys(cmd *cobra.Command, c *Config) ([]keyView, error) {
	all, ends := []keyView{}, c.certificateEnds(time.Now())
	for _, t := range values(c.Tokens) {
		infos, err := hsm.List(cmd.Context(), t)
		if err != nil {
			return nil, err
		}
		for _, info := range infos {
			k := keyView{
				Label: info.Label, Token: t.Name, Algorithm: info.Algorithm, SPKI: info.SPKI, Problem: info.Problem,
				PEM: info.PublicPEM, Attributes: info.Attributes, Certified: ends[info.SPKI],
			}
			for _, want := range values(c.Keys) {
				if want.Token == t.Name && (want.Label == info.Label || want.Label == "" && want.Name == info.Label) {
					k.Name, k.Use, k.Lane, k.Pinned, k.From, k.Retired = want.Name, string(want.UseOrDefault()), want.Lane, want.SPKI, want.From.Time, want.Retired.Time
				}
			}
			if k.Pinned != "" && k.Pinned != k.SPKI && k.Problem == "" {
				k.Problem = "the configuration pins another public key"
			}
			all = append(all, k)
		}
	}
	return all, nil
}

func keyText(w io.Writer, k keyView) {
	fmt.Fprintf(w, "%s\n", k.Label)
	for _, f := range [...]struct{ name, value string }{
		{"name", k.Name}, {"token", k.Token}, {"use", k.Use}, {"lane", k.Lane}, {"from", k.from()}, {"retired", k.retired(time.Now())}, {"certified", k.certified(time.Now())}, {"algorithm", k.Algorithm}, {"spki", k.SPKI},
		{"pinned", k.Pinned}, {"problem", k.Problem},
	} {
		if f.value != "" {
			fmt.Fprintf(w, "  %-12s %s\n", f.name, f.value)
		}
	}
	fmt.Fprintf(w, "  %-12s sensitive %s, extractable %s, made on the token %s, modifiable %s\n", "attributes",
		said(k.Attributes.Sensitive), said(k.Attributes.Extractable), said(k.Attributes.Local), said(k.Attributes.Modifiable))
	fmt.Fprint(w, k.PEM)
}

// distrusted notes which of some keys are.
func distrusted(all []keyView, said []api.Distrust) {
	for i := range all {
		for _, d := range said {
			if all[i].SPKI == "sha256:"+d.SPKI.String() {
				all[i].Distrusted = &d
			}
		}
	}
}

// keysTable is a line a key. Who is distrusted stands there when the service was asked.
func keysTable(w io.Writer, all []keyView, asked bool, now time.Time) {
	head := []string{"NAME", "LABEL", "TOKEN", "USE", "LANE", "FROM", "RETIRED", "CERTIFIED", "ALGORITHM", "SPKI", "PROBLEM"}
	if asked {
		head = slices.Insert(head, 7, "DISTRUSTED")
	}
	rows := make([][]string, len(all))
	for i, k := range all {
		rows[i] = []string{orDash(k.Name), k.Label, k.Token, orDash(k.Use), orDash(k.Lane), orDash(k.from()), orDash(k.retired(now)), orDash(k.certified(now)), k.Algorithm, orDash(k.SPKI), k.Problem}
		if asked {
			since := "-"
			if k.Distrusted != nil {
				since = "from " + minute(k.Distrusted.From)
			}
			rows[i] = slices.Insert(rows[i], 7, since)
		}
	}
	table(w, head, rows)
}

// from says when the key's time begins; empty for a key that always was in use.
func (k keyView) from() string {
	if k.From.IsZero() {
		return ""
	}
	return k.From.Format("2006-01-02 15:04 UTC")
}

// retired says since when the key is retired, or from when on it will be; empty for a key whose time does not end.
func (k keyView) retired(now time.Time) string {
	if k.Retired.IsZero() {
		return ""
	}
	word := "since "
	if now.Before(k.Retired) {
		word = "from "
	}
	return word + k.Retired.Format("2006-01-02 15:04 UTC")
}

// certified says until when the key is certified; empty for one that is not.
func (k keyView) certified(now time.Time) string {
	switch left := k.Certified.Sub(now); {
	case k.Certified.IsZero():
		return ""
	case left <= 0:
		return "ENDED " + k.Certified.Format(time.DateOnly)
	case left < trust.ExpiryWarning:
		return fmt.Sprintf("%d DAYS LEFT, until %s", int(left.Hours()/24), k.Certified.Format(time.DateOnly))
	}
	return "until " + k.Certified.Format(time.DateOnly)
}

func said(b *bool) string {
	switch {
	case b == nil:
		return "unknown"
	case *b:
		return "yes"
	default:
		return "no"
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func algorithmNames() string {
	var names []string
	for _, a := range hsm.Algorithms() {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}

func useNames() string {
	var names []string
	for _, u := range hsm.Uses() {
		names = append(names, string(u))
	}
	return strings.Join(names, ", ")
}
