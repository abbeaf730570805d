package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Config is hallmark.yaml. Each room owns its part; this is only the frame. docs/configuration.md is made from the tags.
type Config struct {
	Server      ServerConfig         `yaml:"server" doc:"Where the service listens."`
	Database    ledger.Config        `yaml:"database" doc:"Where events, intents, signatures and verdicts are kept."`
	Artifactory []artifactory.Config `yaml:"artifactory" required:"true" doc:"The Artifactory instances to serve."`
	Tokens      []hsm.Config         `yaml:"tokens" doc:"The PKCS#11 tokens that hold keys."`
	Keys        []hsm.KeyConfig      `yaml:"keys" required:"true" doc:"The signing keys, each pinned by its public key."`
	Policies    PoliciesConfig       `yaml:"policies" required:"true" doc:"Who decides what is signed."`
	Queue       job.Config           `yaml:"queue" doc:"How many artifacts are worked on at once."`
	API         APIConfig            `yaml:"api" doc:"Who may call /v1."`
}

// ServerConfig is the process's own listeners.
type ServerConfig struct {
	Listen  string        `yaml:"listen" default:":8080" doc:"Address of webhooks and API."`
	Metrics string        `yaml:"metrics" default:"127.0.0.1:9090" doc:"Address of /metrics, /healthz and /readyz. Keep it away from the outside."`
	TLS     TLSConfig     `yaml:"tls" doc:"Certificate for listen; without it, put a TLS proxy in front."`
	Drain   time.Duration `yaml:"drain" default:"30s" doc:"How long running work may finish after SIGTERM."`
}

// TLSConfig names PEM files.
type TLSConfig struct {
	Certificate string `yaml:"certificate" doc:"PEM file with the server's certificate chain."`
	Key         string `yaml:"key" doc:"PEM file with its private key."`
}

// PoliciesConfig says where policies are and what happens without one.
type PoliciesConfig struct {
	Dir     string         `yaml:"dir" required:"true" doc:"Directory of policy files (*.yaml)."`
	NoMatch policy.NoMatch `yaml:"noMatch" required:"true" doc:"What happens to an artifact that no signing policy matches: skip or deny. There is no default on purpose."`
}

// APIConfig lists the bearer tokens of /v1.
type APIConfig struct {
	Tokens []api.Token `yaml:"tokens" doc:"Each caller's name, hashed bearer token and roles."`
}

// configFlag adds --config to a command that needs the whole configuration.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", envOr("HALLMARK_CONFIG", "hallmark.yaml"), "configuration file (or $HALLMARK_CONFIG)")
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// loadConfig reads, checks and completes the configuration. Every mistake is reported at once.
func loadConfig(file string) (*Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w (give another file with --config)", err)
	}
	var c Config
	if err := strictyaml.Decode(file, data, &c); err != nil {
		return nil, err
	}
	if err := c.complete(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &c, nil
}

// complete fills defaults and lets each room judge its part.
func (c *Config) complete() error {
	if c.Server.Listen == "" {
		c.Server.Listen = ":8080"
	}
	if c.Server.Metrics == "" {
		c.Server.Metrics = "127.0.0.1:9090"
	}
	if c.Server.Drain == 0 {
		c.Server.Drain = 30 * time.Second
	}
	var errs []error
	if (c.Server.TLS.Certificate == "") != (c.Server.TLS.Key == "") {
		errs = append(errs, errors.New("server.tls needs both certificate and key"))
	}
	if len(c.Artifactory) == 0 {
		errs = append(errs, errors.New("artifactory lists no instance"))
	}
	names := map[string]bool{}
	for i, a := range c.Artifactory {
		if names[a.Name] {
			errs = append(errs, fmt.Errorf("artifactory[%d]: the name %q is used twice", i, a.Name))
		}
		names[a.Name] = true
	}
	if len(c.Keys) == 0 {
		errs = append(errs, errors.New("keys lists no key; make one with: hallmark keys generate"))
	}
	if c.Policies.Dir == "" {
		errs = append(errs, errors.New("policies.dir is missing"))
	}
	if c.Policies.NoMatch == "" {
		errs = append(errs, errors.New("policies.noMatch is missing: choose skip or deny, there is no default on purpose"))
	}
	return errors.Join(errs...)
}

// vocabulary is what policies may name.
func (c *Config) vocabulary() policy.Vocabulary {
	v := policy.Vocabulary{Formats: seal.Formats()}
	for _, k := range c.Keys {
		v.Keys = append(v.Keys, policy.Key{Name: k.Name, Lane: k.Lane})
	}
	return v
}

func (c *Config) loadPolicies() (*policy.Set, error) {
	return policy.Load(c.Policies.Dir, c.Policies.NoMatch, c.vocabulary())
}
