package artifactory

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// How a ';' in an item's path is treated; see Config.PathSemicolon.
const (
	SemicolonRefuse = "refuse"
	SemicolonEncode = "encode"
)

// How a webhook of this instance proves who sent it; see Config.WebhookAuth.
const (
	WebhookHMAC  = "hmac"
	WebhookPlain = "plain"
)

const defaultTimeout = 30 * time.Second

// SecretFile names a file that holds one secret. Trailing line breaks are not part of the secret.
type SecretFile struct {
	File string `yaml:"file" required:"true" doc:"path of a file that holds the secret; trailing line breaks are ignored"`
}

// Read returns the secret. An empty file is an error. The error never carries the content.
func (s SecretFile) Read() ([]byte, error) {
	raw, err := os.ReadFile(s.File)
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimRight(raw, "\r\n")
	if len(raw) == 0 {
		return nil, fmt.Errorf("%s is empty", s.File)
	}
	return raw, nil
}

// Config describes one Artifactory instance. Zero values of optional fields mean their defaults.
type Config struct {
	Name           string        `yaml:"name" required:"true" doc:"name of the instance, in lowercase letters, digits and '-'; the webhook's URL ends in it"`
	URL            string        `yaml:"url" required:"true" doc:"base URL of the JFrog platform; /artifactory is added unless it ends so"`
	Token          SecretFile    `yaml:"token" required:"true" doc:"access token with read, annotate and deploy rights; read again when the server rejects it, so it can be rotated in place"`
	PromotionToken SecretFile    `yaml:"promotionToken" doc:"access token of the identity that promotes, with read, deploy and annotate rights on release repositories, and delete rights there and, for moves, on staging repositories; without it promotions use token"`
	WebhookSecrets []SecretFile  `yaml:"webhookSecrets" required:"true" doc:"secrets that webhooks of this instance may use; several during a rotation, the newest last"`
	WebhookAuth    string        `yaml:"webhookAuth" default:"hmac" oneof:"hmac,plain" doc:"hmac: the webhook signs its payload with the secret; plain: it sends the secret itself"`
	Environments   []string      `yaml:"environments" doc:"environments that release bundles are promoted to, such as DEV and PROD; hallmark webhook install has promotions into them announced, and promotions into others are not"`
	CA             string        `yaml:"ca" doc:"path of a PEM file with certificate authorities to trust beside the system's"`
	MaxConcurrent  int           `yaml:"maxConcurrent" default:"64" doc:"most requests to this instance at one time"`
	Timeout        time.Duration `yaml:"timeout" default:"30s" doc:"longest silence: time to the first byte of an answer and between two of its bytes"`
	Retries        int           `yaml:"retries" default:"3" doc:"how often a call is repeated after 429, 5xx or a broken connection; -1 for never"`
	PathSemicolon  string        `yaml:"pathSemicolon" default:"refuse" oneof:"refuse,encode" doc:"refuse: an item whose path holds ';' is not touched, because ';' starts properties in Artifactory's URLs; encode: send it as %3B, after probing that the server takes this as part of the name"`
}

func (c Config) withDefaults() Config {
	if c.WebhookAuth == "" {
		c.WebhookAuth = WebhookHMAC
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = 64
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	switch {
	case c.Retries == 0:
		c.Retries = 3
	case c.Retries < 0:
		c.Retries = 0
	}
	if c.PathSemicolon == "" {
		c.PathSemicolon = SemicolonRefuse
	}
	return c
}

// Promoting is the same instance under the identity that promotes.
func (c Config) Promoting() Config {
	if c.PromotionToken.File != "" {
		c.Token = c.PromotionToken
	}
	return c
}

// Validate reports everything that is wrong with the configuration itself; it opens no file and sends nothing.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !validName(c.Name) {
		bad("name %q: 1 to 63 lowercase letters, digits and '-' are allowed", c.Name)
	}
	if _, err := c.base(); err != nil {
		errs = append(errs, err)
	}
	if c.Token.File == "" {
		bad("token.file is missing: name a file that holds an access token")
	}
	for i, s := range c.WebhookSecrets {
		if s.File == "" {
			bad("webhookSecrets[%d].file is missing", i)
		}
	}
	switch c.WebhookAuth {
	case "", WebhookHMAC, WebhookPlain:
	default:
		bad("webhookAuth %q: %q or %q", c.WebhookAuth, WebhookHMAC, WebhookPlain)
	}
	if err := CheckEnvironments(c.Environments); err != nil {
		bad("environments: %w", err)
	}
	switch c.PathSemicolon {
	case "", SemicolonRefuse, SemicolonEncode:
	default:
		bad("pathSemicolon %q: %q or %q", c.PathSemicolon, SemicolonRefuse, SemicolonEncode)
	}
	if c.MaxConcurrent < 0 {
		bad("maxConcurrent %d is negative", c.MaxConcurrent)
	}
	if c.Timeout < 0 {
		bad("timeout %s is negative", c.Timeout)
	}
	return errors.Join(errs...)
}

// maxEnvironment bounds an environment's name, in bytes.
const maxEnvironment = 255

// CheckEnvironments refuses names that no environment can have, and names that come twice.
func CheckEnvironments(names []string) error {
	for i, n := range names {
		switch {
		case n == "" || len(n) > maxEnvironment || !utf8.ValidString(n) || strings.ContainsFunc(n, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == ',' }):
			return fmt.Errorf("%.80q is no name of an environment; write one name, such as PROD, for each", n)
		case slices.Contains(names[:i], n):
			return fmt.Errorf("%q is named twice", n)
		}
	}
	return nil
}

// base is the URL that every request starts with; it ends in /artifactory/.
func (c Config) base() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		// url.Parse quotes the whole URL, which may hold a password.
		return nil, errors.New("url cannot be parsed")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("url must be https://host or http://host")
	case u.User != nil:
		return nil, errors.New("url holds a user or password; use token.file")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("url must not hold '?' or '#'")
	}
	p := strings.TrimRight(u.EscapedPath(), "/")
	if !strings.HasSuffix(p, "/artifactory") {
		p += "/artifactory"
	}
	return url.Parse(u.Scheme + "://" + u.Host + p + "/")
}

func validName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
