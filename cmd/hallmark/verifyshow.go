package main

import (
	"fmt"
	"io"
)

// verificationsText prints the answer for people: one block for each file, then the sum.
func verificationsText(w io.Writer, all verifications) {
	refused := 0
	for _, v := range all.Files {
		verificationText(w, v)
		if !v.Verified {
			refused++
		}
	}
	if all.single {
		return
	}
	fmt.Fprintf(w, "%d files verified, %d refused", len(all.Files)-refused, refused)
	if n := len(all.Unsigned); n > 0 {
		fmt.Fprintf(w, "; %d have no signature files and were not checked (--all refuses them)", n)
	}
	fmt.Fprintln(w)
}

func verificationText(w io.Writer, v verification) {
	word := "REFUSED"
	if v.Verified {
		word = "VERIFIED"
	}
	fmt.Fprintf(w, "%s  %s  sha256:%s\n", word, v.File, v.SHA256)
	if v.Level > 0 {
		fmt.Fprintf(w, "  trust level %d\n", v.Level)
		for _, p := range v.Proof.Parts {
			fmt.Fprintf(w, "    %-11s %s\n    %-11s   rests on %s\n", p.Name, p.Checked, "", p.Rests)
		}
	}
	for _, s := range v.Signatures {
		switch {
		case s.Problem == "" && s.Attests:
			fmt.Fprintf(w, "  attested  %s (holds, and is no signature)\n", s.File)
		case s.Problem == "":
			fmt.Fprintf(w, "  verified  %s\n", s.File)
		case v.Verified:
			fmt.Fprintf(w, "  other     %s (%s)\n", s.File, s.Problem)
		}
	}
	for _, r := range v.Reasons {
		fmt.Fprint(w, r.Text())
	}
	if len(v.SecondOpinion) > 0 {
		fmt.Fprintln(w, "  second opinion:")
		for _, line := range v.SecondOpinion {
			fmt.Fprintf(w, "%s\n", line)
		}
	}
}
