package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// verifyFlags are what hallmark verify is asked.
type verifyFlags struct {
	trustFlags
	bundle, checksums string
	minLevel          int
	all, second       bool
}

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [FILE|DIRECTORY]...",
		Short: "Check files by their signatures, offline",
		Long: `Check files by the signature files beside them (FILE.sigstore.json, FILE.sig and those by
further keys), and tell how far that can be trusted. Nothing is asked on the network. Of a
directory every file is checked that has signature files, and of a list of checksums
every file that it lists.

  level 0  nothing is known of the file
  level 1  its hash is the one in --checksums
  level 2  it is signed by a pinned key (--key, --trust)
  level 3  besides, the key's certificate chains to the publisher's root, the publisher's log
           of key use holds the signature, and a time-stamp within the certificate's life
           dates it (--trust, --trusted-root)

One good signature is the proof; files that hold another are listed and do not count. What a
signature file brings along, such as a log entry, has to hold: what is wrong is refused.
Exit status: 0 verified, 1 refused, 2 could not check.`,
		Example: `  hallmark verify app.tgz --trust acme-trust
  hallmark verify downloads --trust acme-trust --min-level 3
  hallmark verify app.tgz --trusted-root trusted_root.json --issuer https://hallmark.acme.example --identity https://hallmark.acme.example/configurations/release
  hallmark verify app.tgz --key release.pub --second-opinion
  hallmark verify --checksums SHA256SUMS --trust acme-trust`,
	}
	output := outputFlag(cmd)
	var f verifyFlags
	f.add(cmd)
	cmd.Flags().StringVar(&f.bundle, "bundle", "", "signature file, when it is not beside the one FILE")
	cmd.Flags().StringVar(&f.checksums, "checksums", "", "check the files in a list that sha256sum wrote; they are looked for in its folder")
	cmd.Flags().IntVar(&f.minLevel, "min-level", 0, "refuse what is trusted less: 1, 2 or 3; unless it is given, 2, and 1 where there are checksums alone")
	cmd.Flags().BoolVar(&f.all, "all", false, "of a directory: refuse files without signature files, too")
	cmd.Flags().BoolVar(&f.second, "second-opinion", false, "print the commands of cosign and openssl that check the same")
	_ = cmd.MarkFlagFilename("bundle", "json", "sig")
	_ = cmd.MarkFlagFilename("checksums")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := f.run(cmd, args)
		if err != nil {
			return err
		}
		if err := show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) { verificationsText(w, answer) }); err != nil {
			return err
		}
		switch {
		case answer.failed != nil:
			return fmt.Errorf("not every file could be checked: %w", answer.failed)
		case !answer.Verified:
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

// run checks all that the command line names.
func (f *verifyFlags) run(cmd *cobra.Command, args []string) (verifications, error) {
	switch {
	case len(args) == 0 && f.checksums == "":
		return verifications{}, errors.New("nothing to check: name a file, a directory or --checksums")
	case f.none() && f.checksums == "":
		return verifications{}, errors.New("nobody to believe: name --trust, --trusted-root or --key")
	case f.minLevel < 0 || f.minLevel > verify.LevelCertificate:
		return verifications{}, fmt.Errorf("--min-level %d: there are the levels 1, 2 and 3", f.minLevel)
	case f.bundle != "" && (len(args) != 1 || f.checksums != "" || f.none()):
		return verifications{}, errors.New("--bundle is of one file, by a trusted key or certificate")
	case f.all && f.checksums != "":
		return verifications{}, errors.New("--all is about directories; a list of checksums is checked in full")
	}
	if _, ok := seal.FormatOf(f.bundle); f.bundle != "" && !ok {
		return verifications{}, fmt.Errorf("%s is no signature file: its name ends in none of the known suffixes", f.bundle)
	}
	b, err := f.load()
	if err != nil {
		return verifications{}, err
	}
	level := f.minLevel
	if level == 0 {
		level = verify.LevelKey
		if f.none() {
			level = verify.LevelHash
		}
	}
	c := &verifier{believed: b, bundle: f.bundle, level: level, nobody: f.none(), second: f.second}
	var answer verifications
	if f.checksums != "" {
		answer, err = c.list(cmd.Context(), f.checksums, args, newProgress(cmd.ErrOrStderr()))
	} else {
		answer, err = c.paths(cmd.Context(), args, f.all, newProgress(cmd.ErrOrStderr()))
	}
	return answer, err
}
