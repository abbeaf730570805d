package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// fetchFlags are what hallmark fetch is asked.
type fetchFlags struct {
	trustFlags
	source
	to                    string
	minLevel              int
	overwrite, signatures bool
}

func newFetch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fetch REPOSITORY/PATH",
		Short: "Download a file, check it, and only then put it in place",
		Long: `Download a file and its signature files from Artifactory, check them as hallmark verify
does, and only then put the file where it should be: all of it or nothing. What is refused is
removed again.

The server and a token that may read are given by flags; without --url they are those of
the JFrog CLI, which jf config keeps (or --server-id of it). The same program is a plugin of
the JFrog CLI: jf hallmark fetch.

Exit status: 0 in place, 1 refused, 2 not fetched.`,
		Example: `  hallmark fetch libs-release-local/app/1.4.2/app.tgz --url https://acme.example --access-token-file token --trust acme-trust
  hallmark fetch libs-release-local/app/1.4.2/app.tgz --trust acme-trust --min-level 3 --to downloads/`,
		Args: cobra.ExactArgs(1),
	}
	output := outputFlag(cmd)
	var f fetchFlags
	f.trustFlags.add(cmd)
	f.source.add(cmd)
	cmd.Flags().StringVar(&f.to, "to", "", "file, or directory with a slash at its end, to put it in, made if it is missing; the name in the repository, here, if not given")
	cmd.Flags().IntVar(&f.minLevel, "min-level", verify.LevelKey, "refuse what is trusted less: 2 or 3")
	cmd.Flags().BoolVar(&f.overwrite, "overwrite", false, "replace what stands there already")
	cmd.Flags().BoolVar(&f.signatures, "signatures", false, "put the signature files beside it")
	_ = cmd.MarkFlagFilename("to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v, err := f.run(cmd, args[0])
		if err != nil {
			return err
		}
		answer := verifications{Verified: v.Verified, Files: []verification{v}, single: true}
		if err := show(cmd.OutOrStdout(), *output, answer, func(w io.Writer) { verificationsText(w, answer) }); err != nil {
			return err
		}
		if !v.Verified {
			return &refusedError{}
		}
		return nil
	}
	return cmd
}

func (f *fetchFlags) run(cmd *cobra.Command, name string) (verification, error) {
	repo, file, ok := strings.Cut(name, "/")
	ref, err := artifact.NewRef(fetchInstance, repo, file)
	switch {
	case !ok || err != nil:
		return verification{}, fmt.Errorf("%q is not REPOSITORY/PATH of a file: %w", name, errors.Join(err))
	case f.none():
		return verification{}, errors.New("nobody to believe: name --trust, --trusted-root or --key")
	case f.minLevel != verify.LevelKey && f.minLevel != verify.LevelCertificate:
		return verification{}, fmt.Errorf("--min-level %d: what is fetched has the levels 2 and 3", f.minLevel)
	case seal.IsAttachment(ref.Name()):
		return verification{}, fmt.Errorf("%s is a signature file: fetch the file that it signs, with --signatures", ref)
	}
	b, err := f.load()
	if err != nil {
		return verification{}, err
	}
	to, err := f.destination(ref)
	if err != nil {
		return verification{}, err
	}
	client, err := f.client()
	if err != nil {
		return verification{}, err
	}
	defer client.Close()
	d := &download{client: client, ref: ref, to: to, overwrite: f.overwrite, signatures: f.signatures, progress: newProgress(cmd.ErrOrStderr())}
	ctx := cmd.Context()
	if !signal.Ignored(syscall.SIGHUP) { // a terminal that is closed interrupts, too
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	return d.run(ctx, &verifier{believed: b, level: f.minLevel})
}

// destination is the file to make.
func (f *fetchFlags) destination(ref artifact.Ref) (string, error) {
	to := f.to
	if to == "" {
		to = ref.Name()
	}
	info, err := os.Stat(to)
	switch {
	case err == nil && info.IsDir() || f.to != "" && strings.HasSuffix(f.to, "/"):
		to = filepath.Join(to, ref.Name())
		info, err = os.Lstat(to)
	case err != nil:
		info, err = os.Lstat(to)
	}
	switch {
	case err == nil && info.IsDir():
		return "", fmt.Errorf("%s is a directory", to)
	case err == nil && !f.overwrite:
		return "", fmt.Errorf("%s exists already; --overwrite replaces it", to)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	return to, nil
}
