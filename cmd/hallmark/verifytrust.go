package main

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// Files of an export of trust.
const (
	trustFile = "hallmark-trust.json"
	rootFile  = "trusted_root.json"
	caFile    = "ca.pem"
	tsaFile   = "tsa.pem"
)

// maxTrustFile bounds each of them in bytes.
const maxTrustFile = 4 << 20

// believed is whom a command line believes, and where that is written, which other people's programs are told.
type believed struct {
	verify.Trust
	root     string   // path of trusted_root.json; "" when there is none
	dir      string   // the export of trust; "" when there is none
	keyFiles []string // of pinned keys, one for each
}

// trustFlags adds the flags that say whom to believe. The command calls load.
type trustFlags struct {
	dir, root              string
	keys                   []string
	identity, identityLike string
	issuer, issuerLike     string
	lane                   string
}

// lanes are the values of --lane.
var lanes = []string{policy.LaneRelease, policy.LaneDevelopment, "any"}

func (f *trustFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "trust", "", "directory that the publisher made with hallmark trust export")
	flags.StringVar(&f.root, "trusted-root", "", "file trusted_root.json of the publisher, with --identity and --issuer, or with --key")
	flags.StringArrayVar(&f.keys, "key", nil, "PEM file with a public key of the publisher; may be repeated")
	flags.StringVar(&f.identity, "identity", "", "whom the certificate has to be for (a URI)")
	flags.StringVar(&f.identityLike, "identity-regexp", "", "the same as a regular expression, which has to fit as a whole")
	flags.StringVar(&f.issuer, "issuer", "", "who has to vouch for that identity (a URL)")
	flags.StringVar(&f.issuerLike, "issuer-regexp", "", "the same as a regular expression, which has to fit as a whole")
	flags.StringVar(&f.lane, "lane", policy.LaneRelease, "with --trust: lane of the keys that count, or any")
	_ = cmd.MarkFlagDirname("trust")
	_ = cmd.MarkFlagFilename("trusted-root", "json")
	_ = cmd.MarkFlagFilename("key", "pub", "pem")
	cmd.MarkFlagsMutuallyExclusive("trust", "trusted-root")
	cmd.MarkFlagsMutuallyExclusive("identity", "identity-regexp")
	cmd.MarkFlagsMutuallyExclusive("issuer", "issuer-regexp")
	for _, id := range []string{"identity", "identity-regexp", "issuer", "issuer-regexp"} {
		cmd.MarkFlagsMutuallyExclusive("trust", id)
	}
	_ = cmd.RegisterFlagCompletionFunc("lane", cobra.FixedCompletions(lanes, cobra.ShellCompDirectiveNoFileComp))
}

// none reports whether nothing is believed but checksums.
func (f *trustFlags) none() bool { return f.dir == "" && f.root == "" && len(f.keys) == 0 }

// load reads everything that the flags name.
func (f *trustFlags) load() (believed, error) {
	b := believed{dir: f.dir, root: f.root}
	named := f.identity != "" || f.identityLike != "" || f.issuer != "" || f.issuerLike != ""
	both := (f.identity != "" || f.identityLike != "") && (f.issuer != "" || f.issuerLike != "")
	if !slices.Contains(lanes, f.lane) {
		return b, fmt.Errorf("--lane %q is unknown: one of %s", f.lane, strings.Join(lanes, ", "))
	}
	switch {
	case f.root == "" && named:
		return b, errors.New("--identity and --issuer say whose certificates count: they go with --trusted-root")
	case named && !both:
		return b, errors.New("an identity without an issuer, or the other way round, says nothing: give --identity and --issuer")
	case f.root != "" && !named && len(f.keys) == 0:
		return b, errors.New("--trusted-root needs --identity and --issuer, or --key: everybody with a certificate by this root would be believed")
	}
	switch {
	case f.dir != "":
		if err := f.loadDir(&b); err != nil {
			return b, err
		}
	case f.root != "":
		content, err := readLimited(os.Open, f.root, maxTrustFile)
		if err != nil {
			return b, fmt.Errorf("reading the trusted root: %w", err)
		}
		if b.Root, err = verify.ReadRoot(content); err != nil {
			return b, fmt.Errorf("reading %s: %w", f.root, err)
		}
	}
	if both {
		id, err := f.patterns()
		if err != nil {
			return b, err
		}
		b.Identities = append(b.Identities, id)
	}
	for _, name := range f.keys {
		pub, err := readPublicKey(name)
		if err != nil {
			return b, err
		}
		if !b.pins(pub) {
			b.Keys, b.keyFiles = append(b.Keys, verify.Key{Public: pub}), append(b.keyFiles, name)
		}
	}
	return b, nil
}

// pins reports whether a key is pinned already, perhaps with bounds.
func (b *believed) pins(pub crypto.PublicKey) bool {
	for _, k := range b.Keys {
		if same, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool }); ok && same.Equal(pub) {
			return true
		}
	}
	return false
}

// loadDir reads an export of trust.
func (f *trustFlags) loadDir(b *believed) error {
	content, err := readLimited(os.Open, filepath.Join(f.dir, trustFile), maxTrustFile)
	if err != nil {
		return fmt.Errorf("reading the export of trust: %w", err)
	}
	root, err := readLimited(os.Open, filepath.Join(f.dir, rootFile), maxTrustFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		root = nil
	case err != nil:
		return fmt.Errorf("reading the export of trust: %w", err)
	default:
		b.root = filepath.Join(f.dir, rootFile)
	}
	if b.Trust, err = verify.ReadTrust(content, root); err != nil {
		return fmt.Errorf("reading the export of trust in %s: %w", f.dir, err)
	}
	for _, k := range b.Keys {
		file := filepath.Join(f.dir, "keys", k.Name+".pem")
		if k.OnlyCertified {
			file = "" // nobody may be told to believe the key by itself
		}
		b.keyFiles = append(b.keyFiles, file)
	}
	if f.lane != "any" {
		b.Lane = f.lane
	}
	return nil
}

func (f *trustFlags) patterns() (id verify.Identity, err error) {
	id = verify.Identity{Subject: verify.Exactly(f.identity), Issuer: verify.Exactly(f.issuer)}
	if f.identityLike != "" {
		if id.Subject, err = verify.Like(f.identityLike); err != nil {
			return id, fmt.Errorf("--identity-regexp: %w", err)
		}
	}
	if f.issuerLike != "" {
		if id.Issuer, err = verify.Like(f.issuerLike); err != nil {
			return id, fmt.Errorf("--issuer-regexp: %w", err)
		}
	}
	return id, nil
}

// words tell people whom the command believes.
func (b *believed) words() string {
	switch {
	case b.dir != "":
		return "by a key or certificate that the trust in " + b.dir + " lists"
	case len(b.Identities) > 0:
		return "by a certificate for " + b.Identities[0].Subject.String() + " by " + b.Identities[0].Issuer.String()
	}
	return "by the key in " + cmp.Or(firstOf(b.keyFiles), "--key")
}

func firstOf(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}
