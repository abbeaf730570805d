package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// fetchInstance is the name of the server that files are fetched from, where a name is needed.
const fetchInstance = "source"

// source is where files are fetched from.
type source struct{ url, tokenFile, server, ca string }

func (s *source) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.url, "url", "", "base URL of the JFrog platform")
	cmd.Flags().StringVar(&s.tokenFile, "access-token-file", "", "file with an access token that may read")
	cmd.Flags().StringVar(&s.server, "server-id", os.Getenv("JFROG_CLI_SERVER_ID"), "server of the JFrog CLI's configuration (or $JFROG_CLI_SERVER_ID); its default server if not given")
	cmd.Flags().StringVar(&s.ca, "ca", "", "PEM file with certificate authorities to trust beside the system's")
	_ = cmd.MarkFlagFilename("access-token-file")
	_ = cmd.MarkFlagFilename("ca", "pem")
	cmd.MarkFlagsRequiredTogether("url", "access-token-file")
}

// client is one to the server that the flags, or the JFrog CLI, name.
func (s *source) client() (*artifactory.Client, error) {
	config := artifactory.Config{Name: fetchInstance, URL: s.url, Token: artifactory.SecretFile{File: s.tokenFile}, CA: s.ca}
	options := artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()}
	if s.url == "" {
		known, err := jfrogServer(s.server)
		if err != nil {
			return nil, err
		}
		config.URL, options.Token = known.address(), []byte(known.AccessToken)
	}
	return artifactory.New(config, options)
}

// jfrogVersions are the versions of the JFrog CLI's configuration that are read, the newest first.
var jfrogVersions = []string{"v6", "v5"}

// jfrogConfig is what is read of the JFrog CLI's configuration.
type jfrogConfig struct {
	Servers   []jfrogDetails `json:"servers"`
	Encrypted bool           `json:"enc"`
}

type jfrogDetails struct {
	ID          string `json:"serverId"`
	URL         string `json:"url"`
	Artifactory string `json:"artifactoryUrl"`
	AccessToken string `json:"accessToken"`
	Default     bool   `json:"isDefault"`
}

func (d jfrogDetails) address() string {
	if d.Artifactory != "" {
		return strings.TrimSuffix(d.Artifactory, "/")
	}
	return strings.TrimSuffix(d.URL, "/")
}

// jfrogServer reads a server out of the JFrog CLI's configuration: the named one, else the default one.
func jfrogServer(id string) (jfrogDetails, error) {
	home := os.Getenv("JFROG_CLI_HOME_DIR")
	if home == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return jfrogDetails{}, fmt.Errorf("no server: give --url and --access-token-file (%w)", err)
		}
		home = filepath.Join(user, ".jfrog")
	}
	for _, version := range jfrogVersions {
		file := filepath.Join(home, "jfrog-cli.conf."+version)
		content, err := readLimited(openRegular, file, maxTrustFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return jfrogDetails{}, fmt.Errorf("reading the JFrog CLI's configuration: %w", err)
		}
		var c jfrogConfig
		if json.Unmarshal(content, &c) != nil { // whose text could quote a secret
			return jfrogDetails{}, fmt.Errorf("the JFrog CLI's configuration %s cannot be read: give --url and --access-token-file", file)
		}
		return c.server(id, file)
	}
	return jfrogDetails{}, fmt.Errorf("no server: give --url and --access-token-file, or make one known to the JFrog CLI (jf config add); there is no jfrog-cli.conf.%s in %s", jfrogVersions[0], home)
}

func (c jfrogConfig) server(id, file string) (jfrogDetails, error) {
	for _, d := range c.Servers {
		if d.ID != id && (id != "" || !d.Default) {
			continue
		}
		switch {
		case c.Encrypted:
			return jfrogDetails{}, fmt.Errorf("the JFrog CLI's configuration %s is encrypted: give --url and --access-token-file", file)
		case d.AccessToken == "":
			return jfrogDetails{}, fmt.Errorf("the server %q in %s has no access token: give --url and --access-token-file, or add it with a token (jf config add)", d.ID, file)
		}
		return d, nil
	}
	if id == "" {
		return jfrogDetails{}, fmt.Errorf("no server in %s is the default one: give --server-id, or --url and --access-token-file", file)
	}
	return jfrogDetails{}, fmt.Errorf("there is no server %q in %s", id, file)
}
