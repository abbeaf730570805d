package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/account"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// known is what the books are told beforehand.
func (c *comparing) known(config *Config, logs []audit.Key) (account.Config, error) {
	k := account.Config{Logs: *c.acceptLogs}
	for _, l := range logs {
		k.Known = append(k.Known, l.Origin)
	}
	if *c.unlogged != "" {
		set, err := artifact.ParseDigest(strings.TrimPrefix(*c.unlogged, "sha256:"))
		if err != nil {
			return k, fmt.Errorf("--accept-unlogged: %w", err)
		}
		k.Unlogged = set
	}
	for _, key := range values(config.Keys) {
		if key.UseOrDefault() != hsm.UseArtifact || key.SPKI == "" {
			continue
		}
		spki, err := artifact.ParseDigest(strings.TrimPrefix(key.SPKI, "sha256:"))
		if err != nil {
			return k, fmt.Errorf("the key %s: spki: %w", key.Name, err)
		}
		k.Pins = append(k.Pins, account.Pin{Name: key.Name, SPKI: spki})
	}
	for _, file := range *c.keyFiles {
		pub, err := readPublicKey(file)
		if err != nil {
			return k, err
		}
		k.Keys = append(k.Keys, pub)
	}
	return k, nil
}

// learn asks the tokens for the public keys that no log has and nobody gave; nothing is signed for that. The error says why
// some may be lacking still.
func (x *compared) learn(ctx context.Context) error {
	var errs []error
	for _, t := range values(x.config.Tokens) {
		lacking := x.books.Lacking()
		if len(lacking) == 0 {
			return nil
		}
		infos, err := hsm.List(ctx, t)
		errs = append(errs, err)
		for _, info := range infos {
			if !slices.ContainsFunc(lacking, func(p account.Pin) bool { return info.SPKI == "sha256:"+p.SPKI.String() }) {
				continue
			}
			public, err := hsm.LoadPublic(info.Label, "", []byte(info.PublicPEM))
			if errs = append(errs, err); err == nil {
				x.books.Learn(public.PublicKey)
			}
		}
	}
	return errors.Join(errs...)
}
