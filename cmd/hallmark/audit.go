package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read the log of every use of a key, and see that nothing in it was changed",
		Long: `Read the log of every use of a key, and see that nothing in it was changed. A log is read in its
directory (--log, or the one that --config names), in a copy of it, or from the service (--server, with
a token of the role auditor).
Nothing that it says is believed before its checkpoint was verified with the key of the log, which
--trusted-root names. docs/audit.md tells what is logged and what each alarm means.`,
		Example: `  hallmark audit verify --log /var/lib/hallmark/log --trusted-root trusted_root.json --checkpoint kept.checkpoint
  hallmark audit list --server https://hallmark.example --trusted-root trusted_root.json --since 1d`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newAuditVerify(), newAuditList(), newAuditShow(), newAuditExport())
	return cmd
}

// logFlags are the flags that say which log is read, and whom to believe about it.
type logFlags struct {
	dir, server, tokenFile, trust, origin, config *string
	timeout                                       *time.Duration
	given                                         func(flag string) bool
}

func addLogFlags(cmd *cobra.Command) *logFlags {
	f := &logFlags{
		dir:       cmd.Flags().String("log", "", "directory of the log, or of a copy of it"),
		server:    cmd.Flags().String("server", os.Getenv("HALLMARK_SERVER"), "address of the service, whose log is read (or $HALLMARK_SERVER)"),
		tokenFile: cmd.Flags().String("token-file", os.Getenv("HALLMARK_TOKEN_FILE"), "file with the bearer token (or $HALLMARK_TOKEN_FILE); a public log needs none"),
		trust:     cmd.Flags().String("trusted-root", os.Getenv("HALLMARK_TRUSTED_ROOT"), "trusted_root.json, or the log's public key in PEM (or $HALLMARK_TRUSTED_ROOT)"),
		origin:    cmd.Flags().String("origin", "", "the log's name; needed with a key in PEM, or to take one log of several"),
		timeout:   cmd.Flags().Duration("timeout", 30*time.Second, "how long to wait for one file of the log"),
		config:    configFlag(cmd),
		given:     cmd.Flags().Changed,
	}
	_ = cmd.MarkFlagDirname("log")
	_ = cmd.MarkFlagFilename("trusted-root", "json", "pem")
	_ = cmd.MarkFlagFilename("token-file")
	_ = cmd.RegisterFlagCompletionFunc("origin", cobra.NoFileCompletions)
	return f
}

// open opens the log and reads the keys that its checkpoints are verified with. The caller closes the reader.
func (f *logFlags) open() (*audit.Reader, []audit.Key, error) {
	if *f.trust == "" {
		return nil, nil, errors.New("nothing says whose signature on the log counts: name trusted_root.json, or the log's public key in PEM, with --trusted-root")
	}
	if err := f.configured(); err != nil {
		return nil, nil, err
	}
	keys, err := f.keys(*f.origin)
	if err != nil {
		return nil, nil, err
	}
	r, err := f.reader()
	return r, keys, err
}

func (f *logFlags) keys(origin string) ([]audit.Key, error) {
	content, err := os.ReadFile(*f.trust) // #nosec G703 -- the file that the user names
	if err != nil {
		return nil, fmt.Errorf("reading the trusted root: %w", err)
	}
	keys, err := audit.ParseKeys(content, origin)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", *f.trust, err)
	}
	return keys, nil
}

// allKeys are the keys of every log that is trusted.
func (f *logFlags) allKeys() ([]audit.Key, error) {
	keys, err := f.keys("")
	if err != nil {
		return nil, fmt.Errorf("to read several logs: %w; name a trusted_root.json with all of them", err)
	}
	return keys, nil
}

// configured takes the log that the configuration names, when one is given and no flag names another.
func (f *logFlags) configured() error {
	if !f.given("config") || *f.dir != "" || f.given("server") {
		return nil
	}
	c, err := readConfig(*f.config)
	if err != nil {
		return err
	}
	if c.trusts() {
		log := c.logConfig()
		*f.dir = log.Dir
		if *f.origin == "" {
			*f.origin = log.Origin
		}
	}
	return nil
}

func (f *logFlags) reader() (*audit.Reader, error) {
	switch {
	case *f.dir != "":
		return audit.ReadDir(*f.dir)
	case *f.server == "":
		return nil, errors.New("no log: name its directory with --log, or the service with --server or $HALLMARK_SERVER")
	}
	return f.at(*f.server)
}

// at opens the log in a directory, or that of the service at an address.
func (f *logFlags) at(place string) (*audit.Reader, error) {
	if !strings.Contains(place, "://") {
		return audit.ReadDir(place)
	}
	token := ""
	if *f.tokenFile != "" {
		b, err := os.ReadFile(*f.tokenFile) // #nosec G703 -- the file that the user names
		if err != nil {
			return nil, fmt.Errorf("reading the token: %w", err)
		}
		token = strings.TrimSpace(string(b))
	}
	return audit.ReadHTTP(strings.TrimSuffix(place, "/")+"/log", token, &http.Client{Timeout: *f.timeout})
}

// logProgress draws how much of a log has been read.
func logProgress(p *progress, size uint64) func(done uint64) {
	last := time.Time{}
	return func(done uint64) {
		if now := time.Now(); done == size || now.Sub(last) > 100*time.Millisecond {
			last = now
			p.draw(fmt.Sprintf("%s %d of %d entries", bar(float64(done)/float64(max(size, 1))), done, size))
		}
	}
}
