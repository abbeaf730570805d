package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// yaml is what the configuration needs beside what it has.
func (p *initPlan) yaml(made *authorities) string {
	var b strings.Builder
	missing := slices.DeleteFunc(slices.Clone(made.Keys), func(k authorityKey) bool { return k.Known })
	if len(missing) > 0 {
		b.WriteString("keys:\n")
	}
	named := map[hsm.Use]string{}
	for _, k := range made.Keys {
		named[k.Use] = k.Name
	}
	for _, k := range missing {
		fmt.Fprintf(&b, "  - {name: %s, token: %s, use: %s, spki: %q}\n", k.Name, k.Token, k.Use, k.SPKI)
	}
	fmt.Fprintf(&b, "trust:\n  issuer: %s\n  root: {certificate: %s}\n", p.issuer, p.place(p.files.Root))
	fmt.Fprintf(&b, "  ca: {key: %s, certificate: %s, sct: %s}\n", named[hsm.UseIssuer], p.place(p.files.Issuing), named[hsm.UseSCT])
	fmt.Fprintf(&b, "  log: {dir: %s, origin: %s, key: %s}\n", p.logDir(), p.origin, named[hsm.UseLog])
	if p.withoutTime {
		b.WriteString("  time: {authorities: [{url: https://tsa.example/tsr, certificates: tsa.pem}]} # write yours\n")
	} else {
		fmt.Fprintf(&b, "  time: {key: %s, certificate: %s}\n", named[hsm.UseTimestamp], p.place(p.files.Timestamping))
	}
	return b.String()
}

// place is a file as the configuration names it: from its own directory when it lies below.
func (p *initPlan) place(file string) string {
	dir, err := filepath.Abs(filepath.Dir(p.config.file))
	if err != nil {
		return file
	}
	whole, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(dir, whole); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return whole
}

func (a *authorities) text(w io.Writer) {
	rows := make([][]string, len(a.Keys))
	for i, k := range a.Keys {
		state := "found"
		if k.Made {
			state = "made"
		}
		rows[i] = []string{state, k.Name, string(k.Use), k.Token, k.SPKI}
	}
	table(w, []string{"", "KEY", "USE", "TOKEN", "SPKI"}, rows)
	fmt.Fprintln(w)
	certificatesText(w, a.Certificates)
	fmt.Fprintf(w, "\nput this into the configuration\n%s", a.YAML)
}
