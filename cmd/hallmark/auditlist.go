package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// auditEntry is an entry of a log as it is listed.
type auditEntry struct {
	Index uint64          `json:"index"`
	Kind  string          `json:"kind"`
	At    time.Time       `json:"at,omitzero"` // where the entry says it
	What  string          `json:"what"`
	Entry json.RawMessage `json:"entry,omitempty"` // as it was logged
	Raw   []byte          `json:"raw,omitempty"`   // of what is no JSON
}

// auditKinds are the kinds as people name them.
var auditKinds = map[string]string{
	"start": audit.KindStart, "intent": audit.KindIntent, "signature": audit.KindRekord, "draft": audit.KindDraft, "certificate": audit.KindCertificate,
	"outcome": audit.KindOutcome,
}

func newAuditList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the newest entries of a log",
		Long: `List the newest entries of a log, oldest first. Which entries there are is believed here as the log
serves them: hallmark audit verify proves them all, hallmark audit show proves one.

--path takes patterns as policies do: * within a folder, ** across folders. It tells intents; the
entries after one tell what came of it. --key tells all that a key has to do with: its certificates,
each start that opened it, what it was to be used for, its signatures, and how that ended. A name
means the public key that the log last gave this name before the entry. --since reads back to that
moment.`,
		Example: `  hallmark audit list --log /var/lib/hallmark/log --trusted-root trusted_root.json
  hallmark audit list --server https://hallmark.example --trusted-root trusted_root.json --since 7d --key release-2026 --kind intent
  hallmark audit list --log copy --trusted-root trusted_root.json --path libs-staging-local/app/** --last 1000 -o json`,
		Args: cobra.NoArgs,
	}
	flags, output := addLogFlags(cmd), outputFlag(cmd)
	key := cmd.Flags().String("key", "", "only what this key has to do with, by its name or its public key (sha256:…)")
	path := cmd.Flags().String("path", "", "only intents to sign what stands there: repository/path")
	kind := cmd.Flags().String("kind", "", "only start, intent, signature, draft, certificate or outcome")
	since := cmd.Flags().String("since", "", "only entries from then on: a moment (2026-11-22T15:04:05Z), a date, or how long ago (30d)")
	last := cmd.Flags().Int("last", 100, "how many to list at most")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"start", "intent", "signature", "draft", "certificate", "outcome"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("since", cobra.FixedCompletions([]string{"1d", "7d", "30d", "90d"}, cobra.ShellCompDirectiveNoFileComp))
	for _, flag := range []string{"key", "path"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *kind != "" && auditKinds[*kind] == "" {
			return fmt.Errorf("--kind %q is none; write start, intent, signature, draft, certificate or outcome", *kind)
		}
		after, err := pastTime("--since", *since, time.Now(), startOfDay)
		if err != nil {
			return err
		}
		filter, err := newAuditFilter(*key, *path, auditKinds[*kind], after)
		if err != nil {
			return err
		}
		r, keys, err := flags.open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		head, err := r.Head(cmd.Context(), keys)
		if err != nil {
			return err
		}
		walk := auditWalk{filter: filter, last: *last}
		if err = r.Back(cmd.Context(), head, walk.back); err != nil {
			return err
		}
		found := walk.listed()
		return show(cmd.OutOrStdout(), *output, found, func(w io.Writer) {
			rows := make([][]string, len(found))
			for i, e := range found {
				at := "-"
				if !e.At.IsZero() {
					at = e.At.Format(time.RFC3339)
				}
				rows[i] = []string{fmt.Sprint(e.Index), at, e.Kind, e.What}
			}
			table(w, []string{"ENTRY", "WHEN", "KIND", "WHAT"}, rows)
		})
	}
	return cmd
}

// describe says what an entry is, in a line.
func describe(e audit.Entry) auditEntry {
	d := auditEntry{Index: e.Index, Kind: "unknown", What: "an entry of no known kind"}
	if json.Valid(e.Raw) {
		d.Entry = e.Raw
	} else {
		d.Raw = e.Raw
	}
	for name, kind := range auditKinds {
		if e.Leaf != nil && e.Leaf.Kind() == kind {
			d.Kind = name
		}
	}
	switch l := e.Leaf.(type) {
	case audit.Start:
		d.At, d.What = l.At, fmt.Sprintf("%s started, with %d keys", l.Replica, len(l.Keys))
	case audit.Intent:
		d.At, d.What = l.At, fmt.Sprintf("%s %s/%s with %s as %s", l.Purpose, l.Repo, l.Path, l.Key, strings.Join(l.Formats, ", "))
	case audit.Outcome:
		d.At, d.What = l.At, fmt.Sprintf("%s, intent %d, %d signatures", l.Result, l.Intent, len(l.Uses))
	case audit.Draft:
		d.What = "a certificate, before it is issued"
		if c, err := l.Parse(); err == nil {
			d.At, d.What = c.NotBefore, "a certificate of "+nameIn(c)+", before it is issued"
		}
	case audit.Certificate:
		d.What = "a certificate"
		if c, err := x509.ParseCertificate(l.DER); err == nil {
			d.At, d.What = c.NotBefore, "a certificate of "+nameIn(c)
		}
	case audit.Rekord:
		d.What = fmt.Sprintf("a signature over %x by sha256:%s", l.Digest, spkiIn(l.Verifier))
	}
	return d
}

func nameIn(c *x509.Certificate) string {
	if len(c.URIs) > 0 {
		return c.URIs[0].String()
	}
	return c.Subject.String()
}

// spkiIn is the SHA-256 of the public key that an entry names.
func spkiIn(v audit.Verifier) artifact.Digest {
	if c, err := x509.ParseCertificate(v.Certificate); err == nil {
		return sha256.Sum256(c.RawSubjectPublicKeyInfo)
	}
	der, err := x509.MarshalPKIXPublicKey(v.PublicKey)
	if err != nil {
		return artifact.Digest{}
	}
	return sha256.Sum256(der)
}
