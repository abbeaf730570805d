package ledger

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says where the ledger is kept.
type Config struct {
	URL        string        `yaml:"url" doc:"sqlite:///absolute/path or postgres://user@host:port/database" required:"true"`
	Password   PasswordFile  `yaml:"password" doc:"password of the PostgreSQL account, when it needs one"`
	Replica    string        `yaml:"replica" doc:"name of this process, unique among those that share the database" default:"the host's name"`
	Lease      time.Duration `yaml:"lease" doc:"how long one intent may keep others from the same key and bytes" default:"2m"`
	MaxWaiting int           `yaml:"maxWaiting" doc:"writes that may wait for a commit, per kind, before callers are turned away" default:"20000"`

	// CommitHook is for tests: it is called around every commit and may sleep or fail. See CommitPhase.
	CommitHook func(CommitPhase) error `yaml:"-"`
}

// PasswordFile names a file that holds the password of the PostgreSQL account. Trailing line breaks are not part of it.
type PasswordFile struct {
	File string `yaml:"file" required:"true" doc:"path of a file that holds the password; trailing line breaks are ignored"`
}

// read returns the password; "" when no file is named.
func (p PasswordFile) read() (string, error) {
	if p.File == "" {
		return "", nil
	}
	b, err := os.ReadFile(p.File)
	if err != nil {
		return "", fmt.Errorf("reading the database password: %w", err)
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" {
		return "", fmt.Errorf("reading the database password: %s is empty", p.File)
	}
	return password, nil
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		// The parser's own message repeats the URL, which may hold a password.
		errs = append(errs, errors.New("url cannot be parsed; expected sqlite:///absolute/path or postgres://user@host/database"))
	case u.Scheme == "sqlite" && (u.Host != "" || !filepath.IsAbs(u.Path)):
		errs = append(errs, errors.New("url: an SQLite ledger needs an absolute path: sqlite:///var/lib/hallmark/hallmark.db"))
	case u.Scheme != "sqlite" && u.Scheme != "postgres" && u.Scheme != "postgresql":
		errs = append(errs, fmt.Errorf("url: scheme %q is not sqlite or postgres", u.Scheme))
	}
	if err == nil && (hasPassword(u.User) || u.Query().Has("password")) {
		errs = append(errs, errors.New("url holds a password; write it into a file and name that: password: {file: ...}"))
	}
	if c.Lease < 0 {
		errs = append(errs, fmt.Errorf("lease is %s, it cannot be negative", c.Lease))
	}
	if c.MaxWaiting < 0 {
		errs = append(errs, fmt.Errorf("maxWaiting is %d, it cannot be negative", c.MaxWaiting))
	}
	return errors.Join(errs...)
}

func hasPassword(u *url.Userinfo) bool {
	_, set := u.Password()
	return set
}

func (c Config) withDefaults() Config {
	if c.Lease == 0 {
		c.Lease = 2 * time.Minute
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = 20_000
	}
	if c.Replica == "" {
		c.Replica, _ = os.Hostname()
	}
	if c.Replica == "" {
		c.Replica = "hallmark"
	}
	return c
}
