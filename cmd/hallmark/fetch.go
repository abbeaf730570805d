package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// maxSignatureFiles bounds how many signature files of one artifact are fetched.
const maxSignatureFiles = 64

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
	cmd.Flags().StringVar(&f.to, "to", "", "file or directory to put it in; the name in the repository, here, if not given")
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
	return d.run(cmd.Context(), &verifier{believed: b, level: f.minLevel})
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

// download is one file on its way. It lies in a directory of its own beside its place until it is verified.
type download struct {
	client                *artifactory.Client
	ref                   artifact.Ref
	to                    string
	overwrite, signatures bool
	progress              *progress
}

func (d *download) run(ctx context.Context, c *verifier) (_ verification, err error) {
	info, err := d.client.Info(ctx, d.ref)
	if err != nil {
		return verification{}, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(d.to), ".hallmark-fetch-")
	if err != nil {
		return verification{}, fmt.Errorf("making a place for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Names of the repository are never names here: what they hold could lead anywhere.
	t := candidate{file: filepath.Join(dir, filepath.Base(d.to))}
	if t.beside, err = d.readSignatures(ctx, t.file); err != nil {
		return verification{}, err
	}
	if err := d.pull(ctx, info, t.file); err != nil {
		return verification{}, err
	}
	v, err := c.check(ctx, t)
	if err != nil {
		return verification{}, err
	}
	if v.Verified && v.SHA256 != info.SHA256.String() {
		return verification{}, fmt.Errorf("%s was changed while it was checked", t.file)
	}
	if v.Verified {
		if err := ctx.Err(); err != nil {
			return verification{}, context.Cause(ctx)
		}
		if err := d.place(t); err != nil {
			return verification{}, err
		}
	}
	return relocated(v, dir, filepath.Dir(d.to)), nil
}

// readSignatures stores all signature files of the artifact beside the file.
func (d *download) readSignatures(ctx context.Context, file string) (stored []string, err error) {
	folder := path.Dir(d.ref.Path)
	if folder == "." {
		folder = ""
	}
	entries, err := d.client.Folder(ctx, d.ref.Repo, folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name, d.ref.Name())
		if _, ok := seal.FormatOf(e.Name); !ok || !ours || e.Folder || !strings.HasPrefix(rest, ".") || strings.ContainsAny(rest, `/\`) {
			continue
		}
		if len(stored) == maxSignatureFiles {
			return nil, fmt.Errorf("%s has more than %d signature files", d.ref, maxSignatureFiles)
		}
		ref, err := artifact.NewRef(d.ref.Instance, d.ref.Repo, path.Join(folder, e.Name))
		if err != nil {
			return nil, err
		}
		content, err := d.client.Read(ctx, ref, maxSignatureFile)
		if errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrTooLarge) {
			continue // it proves nothing, and keeps no other file from proving
		}
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(file+rest, content, 0o644); err != nil { // #nosec G306 -- as public as what it signs
			return nil, fmt.Errorf("storing a signature file: %w", err)
		}
		stored = append(stored, file+rest)
	}
	return stored, nil
}

// pull stores the bytes; a connection that breaks off begins anew.
func (d *download) pull(ctx context.Context, info artifact.Info, file string) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // #nosec G302 -- as the user's umask has it
	if err != nil {
		return fmt.Errorf("storing the download: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &storing{file: f, failed: cancel}
	stop := d.watch(s, info.Size)
	err = d.client.Pull(ctx, info, s)
	stop()
	if s.err != nil {
		return fmt.Errorf("storing the download: %w", s.err)
	}
	if err != nil {
		return err
	}
	return f.Sync()
}

// watch draws how far the download is, until it is stopped.
func (d *download) watch(s *storing, total int64) (stop func()) {
	if d.progress.w == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				d.progress.clear()
				return
			case <-tick.C:
				d.progress.draw(bytesLine(s.n.Load(), total) + " " + d.ref.Name())
			}
		}
	}()
	return func() { close(done); <-ended }
}

// place puts the signature files, if they are wanted, and then the file where it should be. Whoever sees the file sees all of
// it, and its signatures.
func (d *download) place(t candidate) error {
	var placed []string
	undo := func(err error) error {
		for _, name := range placed {
			err = errors.Join(err, os.Remove(name))
		}
		return err
	}
	if d.signatures {
		for _, name := range t.beside {
			to := filepath.Join(filepath.Dir(d.to), filepath.Base(name))
			if err := d.move(name, to); err != nil {
				return undo(fmt.Errorf("putting a signature file in place: %w", err))
			}
			placed = append(placed, to)
		}
	}
	if err := d.move(t.file, d.to); err != nil {
		return undo(fmt.Errorf("putting the file in place: %w", err))
	}
	return nil
}

// move renames a file. Without --overwrite it replaces nothing, not even what came there a moment ago, where the file system can
// hold to that.
func (d *download) move(from, to string) error {
	if d.overwrite {
		return os.Rename(from, to)
	}
	err := os.Link(from, to)
	if err == nil {
		return nil
	}
	if _, missing := os.Lstat(to); !errors.Is(missing, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already; --overwrite replaces it", to)
	}
	return os.Rename(from, to) // there are no links here
}

// relocated is the answer with the names that the files have, or would have had.
func relocated(v verification, from, to string) verification {
	old, now := filepath.Join(from, "x"), filepath.Join(to, "x") // clean, as all names below are
	name := func(s string) string {
		return strings.ReplaceAll(s, strings.TrimSuffix(old, "x"), strings.TrimSuffix(now, "x"))
	}
	v.File = name(v.File)
	for i := range v.Signatures {
		v.Signatures[i].File = name(v.Signatures[i].File)
	}
	for i := range v.Reasons {
		r := &v.Reasons[i]
		r.Message, r.Found, r.Expected, r.Fix = name(r.Message), name(r.Found), name(r.Expected), name(r.Fix)
	}
	return v
}
