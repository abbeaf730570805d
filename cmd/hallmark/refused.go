package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

// failed tells why a command ended with an error and returns its exit code. A refusal by the service is an answer: its
// reasons go where answers go. Whatever the service explains stands there in full, as JSON or annotations when that was
// asked for. With annotations nothing else is printed: a line on standard error could be a command to GitHub's runner.
func failed(cmd *cobra.Command, err error, stdout, stderr io.Writer) int {
	format := ""
	if out := cmd.Flag("output"); out != nil {
		format = out.Value.String()
	}
	complain := func(err error) {
		if format == formatGitHub {
			fmt.Fprintln(stdout, annotation{level: levelError, title: cmd.CommandPath(), message: err.Error()})
		} else {
			fmt.Fprintln(stderr, "error:", err)
		}
	}
	p, ok := errors.AsType[*api.Problem](err)
	if kept := cmd.Flag("report"); ok && kept != nil {
		if err := (&report{kept.Value.String()}).save(p); err != nil {
			complain(err)
		}
	}
	if !ok || len(p.Reasons) == 0 {
		complain(err)
		return exitUndecided
	}
	code, w := exitUndecided, stderr
	if p.Status == http.StatusUnprocessableEntity {
		code, w = exitRefused, stdout
	}
	switch format {
	case "json":
		_ = encode(stdout, p) // strings and numbers
		w = stderr
	case formatGitHub:
		word := "could not be done"
		if code == exitRefused {
			word = "refused"
		}
		for _, a := range reasonAnnotations(levelError, "Hallmark: "+word, "", p.Detail, p.Reasons) {
			fmt.Fprintln(stdout, a)
		}
		return code
	}
	switch {
	case code == exitUndecided:
		fmt.Fprintln(stderr, "error:", p.Detail)
	case w == stdout:
		fmt.Fprintln(stdout, "REFUSED  nothing was changed")
	default:
		return code
	}
	for _, why := range p.Reasons {
		fmt.Fprint(w, why.Text())
	}
	return code
}
