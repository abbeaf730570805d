package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

// distrustView is what keys distrust prints.
type distrustView struct {
	Distrust *api.Distrust      `json:"distrust"` // null with --dry-run
	Affected []api.AffectedItem `json:"affected"`
}

func newKeysDistrust() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "distrust NAME --from TIME",
		Short: "Have a key's signatures from a moment on count for nothing",
		Long: `Have a key's signatures from a moment on count for nothing: the key may have been used by
somebody else since. From the moment this returns, every replica refuses at its gate what
the key signed from then on, or at a time that neither a time-stamp nor the ledger tells,
and signs nothing more with it. What it signed before stays good. Those who verify offline
learn of it from the next hallmark trust export.

Then everything that the key has signed since is listed, by the ledger, with the places
where it stands and those that it was promoted to. What is on record stays on record:
--lift adds a line and takes none away. An earlier moment can be given at any time; for a
later one, lift first. NAME is the key's name in the service's configuration, or its pin
(sha256:…). The token needs the role admin.`,
		Example: `  hallmark keys distrust release-2026 --from 2026-03-01T12:00:00Z --dry-run
  hallmark keys distrust release-2026 --from 2026-03-01T12:00:00Z --why stolen
  hallmark keys distrust release-2026 --lift --why mistaken`,
		Args: cobra.ExactArgs(1),
	}
	connect, _ := clientFlags(cmd)
	_ = cmd.Flags().MarkHidden("instance") // keys belong to none
	output := outputFlag(cmd)
	from := cmd.Flags().String("from", "", "the moment from which it may have been used by others: a time (2006-01-02T15:04:05Z) or how long ago (6h)")
	why := cmd.Flags().String("why", "", "the reason, on one line, for the record and for whoever is refused")
	lift := cmd.Flags().Bool("lift", false, "trust the key again")
	dry := cmd.Flags().Bool("dry-run", false, "list what would be affected, change nothing")
	cmd.MarkFlagsMutuallyExclusive("lift", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("lift", "from")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req := api.DistrustRequest{Key: args[0], Why: *why, Lift: *lift}
		if !*lift {
			at, err := moment(*from, time.Now())
			if err != nil {
				return errors.New(strings.Replace(err.Error(), "--since", "--from", 1))
			}
			if at == nil {
				return errors.New("--from is missing: the moment from which somebody else may have used the key, such as 2026-03-01T12:00:00Z; or --lift to trust it again")
			}
			req.From = at.UTC()
		}
		client, err := connect()
		if err != nil {
			return err
		}
		view := distrustView{Affected: []api.AffectedItem{}}
		if !*dry {
			said, err := client.Distrust(cmd.Context(), req)
			if err != nil {
				return err
			}
			view.Distrust = &said
		}
		if !*lift {
			bar := newProgress(cmd.ErrOrStderr())
			view.Affected, err = client.Affected(cmd.Context(), args[0], req.From, func(read, total int64) {
				bar.draw(fmt.Sprintf("%s %d of %d artifacts", barOf(read, total), read, total))
			})
			bar.clear()
			if err != nil && !*dry {
				return fmt.Errorf("the key is distrusted; listing what is affected: %w", err)
			}
			if err != nil {
				return err
			}
		}
		return show(cmd.OutOrStdout(), *output, view, func(w io.Writer) { distrustText(w, args[0], req, view) })
	}
	return cmd
}

func barOf(done, of int64) string { return bar(float64(done) / float64(max(of, 1))) }

func distrustText(w io.Writer, key string, req api.DistrustRequest, v distrustView) {
	switch {
	case req.Lift:
		fmt.Fprintf(w, "TRUSTED     %s  again; it was distrusted from %s on\n", key, minute(v.Distrust.From))
		return
	case v.Distrust == nil:
		fmt.Fprintf(w, "NOTHING WAS CHANGED  %s would be distrusted from %s on\n", key, minute(req.From))
	default:
		fmt.Fprintf(w, "DISTRUSTED  %s  from %s on, by the word of %s\n", key, minute(v.Distrust.From), v.Distrust.By)
	}
	promoted := 0
	for _, a := range v.Affected {
		if len(a.Promoted) > 0 {
			promoted++
		}
	}
	fmt.Fprintf(w, "%d artifacts were signed with it since, %d of them were promoted\n", len(v.Affected), promoted)
	for _, a := range v.Affected {
		fmt.Fprintf(w, "sha256:%s  signed %s (%s)\n", a.SHA256, minute(a.MadeAt), strings.Join(a.Formats, ", "))
		for _, p := range a.Places {
			fmt.Fprintf(w, "  at        %s  %s\n", p.Instance, p.Artifact)
		}
		for _, p := range a.Promoted {
			may := ""
			if p.State == "begun" {
				may = ", perhaps only in part"
			}
			fmt.Fprintf(w, "  promoted  %s  %s  %s, promotion %d%s\n", p.Instance, p.Target, minute(p.At), p.Promotion, may)
		}
	}
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
