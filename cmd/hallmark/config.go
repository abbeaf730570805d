package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/signing"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
	"github.com/hallmark-signing/hallmark/webhook"
)

// Config is hallmark.yaml. Each room owns its part; this is only the frame. docs/configuration.md is made from the tags.
// No section is required to read the file, because hallmark keys works before there are keys to list; check says what
// the service needs.
type Config struct {
	Server      ServerConfig                 `yaml:"server" doc:"Where the service listens."`
	Database    located[ledger.Config]       `yaml:"database" doc:"Where events, intents, signatures and verdicts are kept."`
	Artifactory list[artifactory.Config]     `yaml:"artifactory" doc:"The Artifactory instances to serve, at least one."`
	Tokens      list[hsm.Config]             `yaml:"tokens" doc:"The PKCS#11 tokens that hold keys."`
	Keys        list[hsm.KeyConfig]          `yaml:"keys" doc:"The signing keys, at least one, each pinned by its public key."`
	Policies    located[PoliciesConfig]      `yaml:"policies" doc:"Who decides what is signed."`
	Trust       located[TrustConfig]         `yaml:"trust" doc:"A chain, a log and a time for every signature, so that whoever has the trusted root can check it with stock tools. Without this section signatures are bare: they prove that a pinned key signed."`
	Queue       located[job.Config]          `yaml:"queue" doc:"How many artifacts are worked on at once."`
	Sweep       located[signing.SweepConfig] `yaml:"sweep" doc:"Comparing repositories with the ledger, so that lost webhooks are made good."`
	API         APIConfig                    `yaml:"api" doc:"Who may call /v1."`

	file string // the configuration's own name, for errors about it as a whole
}

type (
	located[T any] = strictyaml.Located[T]
	list[T any]    = []strictyaml.Located[T]
)

// ServerConfig is the process's own listeners.
type ServerConfig struct {
	Pos     strictyaml.Pos
	Listen  string        `yaml:"listen" default:":8080" doc:"Address of webhooks and API."`
	Metrics string        `yaml:"metrics" default:"127.0.0.1:9090" doc:"Address of /metrics, /healthz and /readyz. Keep it away from the outside."`
	TLS     TLSConfig     `yaml:"tls" doc:"Certificate for listen; without it, put a TLS proxy in front."`
	Drain   time.Duration `yaml:"drain" default:"30s" doc:"How long running requests and work may take to finish after SIGTERM; what is interrupted is taken up at the next start."`
}

// TLSConfig names PEM files.
type TLSConfig struct {
	Certificate string `yaml:"certificate" doc:"PEM file with the server's certificate chain."`
	Key         string `yaml:"key" doc:"PEM file with its private key."`
}

// PoliciesConfig says where policies are and what happens without one.
type PoliciesConfig struct {
	Dir     string         `yaml:"dir" required:"true" doc:"Directory of policy files (*.yaml)."`
	NoMatch policy.NoMatch `yaml:"noMatch" required:"true" oneof:"skip,deny" doc:"What happens to an artifact that no signing policy matches. There is no default on purpose."`
}

// APIConfig lists the bearer tokens of /v1.
type APIConfig struct {
	Tokens list[api.Token] `yaml:"tokens" doc:"Each caller's name, hashed bearer token and roles."`
}

// configFlag adds --config to a command that needs the whole configuration.
func configFlag(cmd *cobra.Command) *string {
	file := cmd.Flags().StringP("config", "c", envOr("HALLMARK_CONFIG", "hallmark.yaml"), "configuration file (or $HALLMARK_CONFIG)")
	_ = cmd.MarkFlagFilename("config", "yaml")
	return file
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// loadConfig reads, completes and checks the configuration of the service. Every mistake is reported at once, each with
// its place in the file.
func loadConfig(file string) (*Config, error) {
	c, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// readConfig reads and completes the configuration, and checks no more than its form: key work must be possible before
// there are keys to configure.
func readConfig(file string) (*Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w (name another file with --config or $HALLMARK_CONFIG)", err)
	}
	c := &Config{file: file, Server: ServerConfig{Listen: ":8080", Metrics: "127.0.0.1:9090", Drain: 30 * time.Second}}
	if err := strictyaml.Decode(file, data, c); err != nil {
		return nil, err
	}
	for _, p := range c.paths() {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(file), *p)
		}
	}
	return c, nil
}

// paths lists every file and directory that the configuration names. A relative one is meant from where the
// configuration file lies, wherever the process was started. PKCS#11 modules are absolute by their own rule.
func (c *Config) paths() []*string {
	all := []*string{&c.Server.TLS.Certificate, &c.Server.TLS.Key, &c.Policies.Value.Dir, &c.Database.Value.Password.File}
	for i := range c.Artifactory {
		a := &c.Artifactory[i].Value
		all = append(all, &a.Token.File, &a.PromotionToken.File, &a.CA)
		for j := range a.WebhookSecrets {
			all = append(all, &a.WebhookSecrets[j].File)
		}
	}
	if c.trusts() {
		all = append(all, c.Trust.Value.paths()...)
	}
	for i := range c.Tokens {
		all = append(all, &c.Tokens[i].Value.PIN.File)
	}
	for i := range c.Keys {
		all = append(all, &c.Keys[i].Value.Software)
	}
	return all
}

// values forgets where the items of a list were written.
func values[T any](items list[T]) []T {
	out := make([]T, len(items))
	for i, item := range items {
		out[i] = item.Value
	}
	return out
}

// silence is the longest that any instance may be silent; 0 when all have the default.
func (c *Config) silence() (longest time.Duration) {
	for _, a := range values(c.Artifactory) {
		longest = max(longest, a.Timeout)
	}
	return longest
}

func (c *Config) instanceNames() []string {
	names := make([]string, len(c.Artifactory))
	for i, a := range c.Artifactory {
		names[i] = a.Value.Name
	}
	return names
}

// vocabulary is what policies may name. The service's own keys are not in it.
func (c *Config) vocabulary() policy.Vocabulary {
	v := policy.Vocabulary{Formats: seal.Formats(), Apart: seal.Apart(), Kinds: seal.Kinds(), Instances: c.instanceNames(), Events: webhook.Events()}
	for _, k := range values(c.Keys) {
		if k.UseOrDefault() == hsm.UseArtifact {
			v.Keys = append(v.Keys, policy.Key{Name: k.Name, Lane: k.Lane, From: k.From.Time, Retired: k.Retired.Time})
		}
	}
	return v
}

func (c *Config) loadPolicies() (*policy.Set, error) {
	return policy.Load(c.Policies.Value.Dir, c.Policies.Value.NoMatch, c.vocabulary())
}
