package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List, make and show signing keys",
		Long: `List, make and show signing keys on the tokens of the configuration. Run these where the HSM
is reachable. Private keys never leave the token; what is printed is public.`,
		Example: `  hallmark keys list
  hallmark keys generate release-2026 --token hsm
  hallmark keys show release-2026 --pem > release.pub
  hallmark keys distrust release-2026 --from 2026-03-01T12:00:00Z`,
	}
	cmd.AddCommand(newKeysList(), newKeysGenerate(), newKeysShow(), newKeysDistrust())
	return cmd
}

func newKeysList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List every key on the configured tokens",
		Long: `List every key on the configured tokens, with its time. Which keys are distrusted only the
service knows: with --token-file it is asked, and tells it, too (role status). When it does not
answer, the keys are listed without that, and a warning says so.`,
		Example: `  hallmark keys list --config /etc/hallmark/hallmark.yaml
  hallmark keys list --token-file status.token -o json`,
		Args: cobra.NoArgs,
	}
	config, output := configFlag(cmd), outputFlag(cmd)
	connect, _ := clientFlags(cmd)
	_ = cmd.Flags().MarkHidden("instance") // keys belong to none
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadTokens(*config)
		if err != nil {
			return err
		}
		all, err := listKeys(cmd, c)
		if err != nil {
			return err
		}
		asked := cmd.Flags().Lookup("token-file").Value.String() != ""
		if asked {
			client, err := connect()
			if err != nil {
				return err
			}
			said, err := client.Distrusts(cmd.Context())
			if err != nil { // keys are listed where no service runs yet, too
				asked = false
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: which keys are distrusted is not known: %v\n", err)
			}
			distrusted(all, said.Distrusted)
		}
		return show(cmd.OutOrStdout(), *output, all, func(w io.Writer) { keysTable(w, all, asked, time.Now()) })
	}
	return cmd
}

func newKeysGenerate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate LABEL --token NAME",
		Short: "Make a key pair on a token",
		Long: `Make a key pair on a token that can sign and nothing else, sensitive and not extractable. Its
attributes are read back from the token; a key that could leave it is destroyed and the
command fails. Prints what to put into the configuration.

--use says what the key will do: sign artifacts when policy grants it (artifact, the default), or
be one of the service's own keys, which no policy can name: log, sct, timestamp, issuer, root.
hallmark ca init makes those together.`,
		Example: `  hallmark keys generate release-2026 --token hsm
  hallmark keys generate log-2026 --token hsm --use log
  hallmark keys generate release-2026 --token hsm --algorithm RSA-3072 -o json`,
		Args: cobra.ExactArgs(1),
	}
	config, output := configFlag(cmd), outputFlag(cmd)
	token := cmd.Flags().String("token", "", "token of the configuration to make the key on")
	algorithm := cmd.Flags().String("algorithm", string(hsm.P256), "one of "+algorithmNames())
	use := cmd.Flags().String("use", string(hsm.UseArtifact), "what the key is for: one of "+useNames())
	_ = cmd.MarkFlagRequired("token")
	_ = cmd.RegisterFlagCompletionFunc("use", cobra.FixedCompletions(strings.Split(useNames(), ", "), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("token", complete(config, func(c *Config) (names []string) {
		for _, t := range c.Tokens {
			names = append(names, t.Value.Name)
		}
		return names
	}))
	_ = cmd.RegisterFlagCompletionFunc("algorithm", cobra.FixedCompletions(strings.Split(algorithmNames(), ", "), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := seal.CheckKeyName(args[0]); err != nil {
			return err
		}
		use, err := hsm.UseOf(*use)
		if err != nil {
			return err
		}
		c, err := loadTokens(*config)
		if err != nil {
			return err
		}
		t, err := c.token(*token)
		if err != nil {
			return err
		}
		made, err := hsm.Generate(cmd.Context(), t, hsm.GenerateRequest{Label: args[0], Algorithm: hsm.Algorithm(*algorithm)})
		if err != nil {
			return err
		}
		pem, err := made.Public.PEM()
		if err != nil {
			return err
		}
		k := keyView{
			Label: args[0], Token: *token, Use: string(use), Algorithm: string(made.Public.Algorithm), SPKI: made.Public.Pin(), PEM: string(pem),
			Attributes: made.Attributes,
		}
		return show(cmd.OutOrStdout(), *output, k, func(w io.Writer) {
			keyText(w, k)
			if use != hsm.UseArtifact {
				fmt.Fprintf(w, "\nput this under keys: in %s\n  - {name: %s, token: %s, use: %s, spki: %s}\n", *config, k.Label, k.Token, use, k.SPKI)
				return
			}
			fmt.Fprintf(w, "\nput this under keys: in %s (lane: release or development)\n", *config)
			fmt.Fprintf(w, "  - {name: %s, token: %s, spki: %s, lane: release}\n", k.Label, k.Token, k.SPKI)
		})
	}
	return cmd
}

func newKeysShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a key's public half, its pin and its attributes",
		Example: `  hallmark keys show release-2026
  hallmark keys show release-2026 --pem > release.pub`,
		Args: cobra.ExactArgs(1),
	}
	config, output := configFlag(cmd), outputFlag(cmd)
	cmd.ValidArgsFunction = complete(config, func(c *Config) (names []string) {
		for _, k := range c.Keys {
			names = append(names, k.Value.Name)
		}
		return names
	})
	onlyPEM := cmd.Flags().Bool("pem", false, "print only the public key in PEM, for verifiers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadTokens(*config)
		if err != nil {
			return err
		}
		all, err := listKeys(cmd, c)
		if err != nil {
			return err
		}
		for _, k := range all {
			if k.Name != args[0] && k.Label != args[0] {
				continue
			}
			if *onlyPEM {
				_, err := fmt.Fprint(cmd.OutOrStdout(), k.PEM)
				return err
			}
			return show(cmd.OutOrStdout(), *output, k, func(w io.Writer) { keyText(w, k) })
		}
		return fmt.Errorf("no key %q on the configured tokens; see them with: hallmark keys list", args[0])
	}
	return cmd
}

// loadTokens reads the configuration for key work, which must be possible before there are keys or policies.
func loadTokens(file string) (*Config, error) {
	c, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	k := &checker{whole: strictyaml.Pos{File: file}}
	if len(c.Tokens) == 0 {
		k.missing("tokens", "list the token that holds the keys, or shall hold them")
	}
	c.checkKeys(k)
	return c, errors.Join(k.errs...)
}

func (c *Config) token(name string) (hsm.Config, error) {
	var names []string
	for _, t := range values(c.Tokens) {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return hsm.Config{}, fmt.Errorf("no token %q in the configuration; it has: %s", name, strings.Join(names, ", "))
}
