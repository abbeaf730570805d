package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

// failed tells why a command ended with an error and returns its exit code. A refusal by the service is an answer: its
// reasons go where answers go. Whatever the service explains stands there in full, as JSON when that was asked for.
func failed(cmd *cobra.Command, err error, stdout, stderr io.Writer) int {
	p, ok := errors.AsType[*api.Problem](err)
	if !ok || len(p.Reasons) == 0 {
		fmt.Fprintln(stderr, "error:", err)
		return exitUndecided
	}
	code, w := exitUndecided, stderr
	if p.Status == http.StatusUnprocessableEntity {
		code, w = exitRefused, stdout
	}
	if out := cmd.Flag("output"); out != nil && out.Value.String() == "json" {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		_ = enc.Encode(p) // strings and numbers
		w = stderr
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
