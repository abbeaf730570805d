package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/trust"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// fingerprints are SHA-256 of the SubjectPublicKeyInfo of roots. It is the root's key that is pinned, for it lives longest: the
// trusted root changes with every log, clock and issuing authority, and would have another fingerprint each time.
type fingerprints []artifact.Digest

func readFingerprints(texts []string) (all fingerprints, err error) {
	for _, text := range texts {
		d, err := artifact.ParseDigest(strings.TrimPrefix(text, "sha256:"))
		if err != nil {
			return nil, fmt.Errorf("--fingerprint %.100q: expected sha256: and 64 digits 0-9a-f: %w", text, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// hold refuses files whose certificates chain to another root, and takes out of the others what the root does not vouch for.
func (f fingerprints) hold(files []trust.File, answer *trustExported) ([]trust.File, error) {
	content := map[string][]byte{}
	for _, file := range files {
		content[file.Name] = file.Content
	}
	root, err := verify.ReadRoot(content[trust.RootFile])
	if err != nil {
		return nil, fmt.Errorf("there is no trusted root to compare with --fingerprint: %w", err)
	}
	issuers, clocks := root.Anchors()
	if len(issuers) == 0 {
		return nil, errors.New("the trusted root lists nobody who issues certificates")
	}
	for _, a := range issuers {
		if !slices.Contains(f, a.SPKI) {
			return nil, fmt.Errorf("the root %q has the key sha256:%s, expected sha256:%s (--fingerprint): either this is not the publisher, or they have a new root; ask them by another way", a.Name, a.SPKI, f)
		}
	}
	for _, a := range eachOnce(clocks) {
		if !slices.Contains(f, a.SPKI) {
			answer.Clocks = append(answer.Clocks, a)
		}
	}
	if err := f.holdChain(content[trust.CAFile]); err != nil {
		return nil, err
	}
	var kept []trust.File
	for _, file := range files {
		if strings.HasPrefix(file.Name, trust.KeysDir+"/") {
			continue
		}
		if file.Name == trust.TrustFile {
			if file.Content, err = onlyCertified(file.Content, answer.Keys); err != nil {
				return nil, err
			}
		}
		kept = append(kept, file)
	}
	answer.Pinned = true
	answer.Files = nil
	for _, file := range kept {
		answer.Files = append(answer.Files, file.Name)
	}
	return kept, nil
}

// holdChain looks at the file that openssl is given: of it every certificate that signed itself is believed.
func (f fingerprints) holdChain(content []byte) error {
	chain, err := x509Chain(content)
	if err != nil {
		return fmt.Errorf("%s: %w", trust.CAFile, err)
	}
	for _, c := range chain {
		if bytes.Equal(c.RawSubject, c.RawIssuer) && !slices.Contains(f, spkiSum(c)) {
			return fmt.Errorf("%s holds the root %q with the key %s, expected sha256:%s (--fingerprint)", trust.CAFile, c.Subject.CommonName, spkiOf(c), f)
		}
	}
	return nil
}

// onlyCertified says of each of the n keys that it counts only with a certificate.
func onlyCertified(content []byte, n int) ([]byte, error) {
	var list map[string]any
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("reading %s: %w", trust.TrustFile, err)
	}
	keys, _ := list["keys"].([]any)
	for _, k := range keys {
		if key, ok := k.(map[string]any); ok {
			key["onlyCertified"] = true
		}
	}
	content, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return nil, err
	}
	believed, err := verify.ReadTrust(content, nil)
	if err != nil {
		return nil, err
	}
	certified := 0 // as verifiers will read it
	for _, k := range believed.Keys {
		if k.OnlyCertified {
			certified++
		}
	}
	if certified != n || len(believed.Keys) != n {
		return nil, fmt.Errorf("%s lists keys in a second way, too", trust.TrustFile)
	}
	return append(content, '\n'), nil
}

// String is how people are told.
func (f fingerprints) String() string {
	texts := make([]string, len(f))
	for i, d := range f {
		texts[i] = d.String()
	}
	return strings.Join(texts, " or sha256:")
}

func eachOnce(all []verify.Anchor) []verify.Anchor {
	out := []verify.Anchor{}
	for _, a := range all {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
