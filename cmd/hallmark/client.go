package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

// clientFlags adds the flags of commands that ask a running service, and returns what makes the client from them.
func clientFlags(cmd *cobra.Command) (connect func() (*api.Client, error), instance *string) {
	server := cmd.Flags().String("server", envOr("HALLMARK_SERVER", "http://127.0.0.1:8080"), "address of the service (or $HALLMARK_SERVER)")
	tokenFile := cmd.Flags().String("token-file", os.Getenv("HALLMARK_TOKEN_FILE"), "file with the bearer token (or $HALLMARK_TOKEN_FILE)")
	timeout := cmd.Flags().Duration("timeout", 30*time.Second, "how long to wait for the answer")
	instance = cmd.Flags().String("instance", "", "Artifactory instance, when the service knows several")
	connect = func() (*api.Client, error) {
		if *tokenFile == "" {
			return nil, errors.New("no token: name the file that holds it with --token-file or $HALLMARK_TOKEN_FILE")
		}
		token, err := os.ReadFile(*tokenFile) // #nosec G703 -- the file that the user names
		if err != nil {
			return nil, fmt.Errorf("reading the token: %w", err)
		}
		return &api.Client{URL: *server, Token: strings.TrimSpace(string(token)), HTTP: &http.Client{Timeout: *timeout}}, nil
	}
	return connect, instance
}
