package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

func (p *initPlan) uses() []hsm.Use {
	uses := []hsm.Use{hsm.UseRoot, hsm.UseIssuer, hsm.UseTimestamp, hsm.UseSCT, hsm.UseLog}
	if p.withoutTime {
		uses = slices.DeleteFunc(uses, func(u hsm.Use) bool { return u == hsm.UseTimestamp })
	}
	return uses
}

// key finds the key for a use, or makes it.
func (p *initPlan) key(ctx context.Context, use hsm.Use) (hsm.KeyConfig, authorityKey, error) {
	t := p.config.Trust.Value
	named := map[hsm.Use]string{hsm.UseIssuer: t.CA.Key, hsm.UseTimestamp: t.Time.Key, hsm.UseSCT: t.CA.SCT, hsm.UseLog: t.Log.Key}[use]
	other := use == hsm.UseLog && p.otherLog()
	if other && named == string(use)+"-"+p.suffix {
		return hsm.KeyConfig{}, authorityKey{}, fmt.Errorf("the key %s signs the log %s, and every log has a key of its own: choose another --suffix, or --origin %s", named, t.Log.Origin, t.Log.Origin)
	}
	for _, k := range values(p.config.Keys) {
		if k.Use == use && (other && named != k.Name || !other && (named == "" || named == k.Name)) {
			return k, authorityKey{Name: k.Name, Token: k.Token, Use: use, SPKI: k.SPKI, Known: true}, nil
		}
	}
	k := hsm.KeyConfig{Name: string(use) + "-" + p.suffix, Token: p.token, Use: use}
	algorithm := p.algorithm
	switch use {
	case hsm.UseRoot:
		k.Token, algorithm = p.rootToken, p.rootAs
	case hsm.UseSCT, hsm.UseLog:
		algorithm = hsm.P256 // what every verifier takes
	}
	if err := seal.CheckKeyName(k.Name); err != nil {
		return k, authorityKey{}, err
	}
	token, err := p.config.token(k.Token)
	if err != nil {
		return k, authorityKey{}, err
	}
	view := authorityKey{Name: k.Name, Token: k.Token, Use: use, Algorithm: string(algorithm)}
	made, err := hsm.Generate(ctx, token, hsm.GenerateRequest{Label: k.Name, Algorithm: algorithm})
	switch {
	case errors.Is(err, hsm.ErrLabelTaken):
		found, err := onToken(ctx, token, k.Name)
		if err != nil {
			return k, view, err
		}
		view.SPKI, view.Algorithm = found.SPKI, found.Algorithm
	case err != nil:
		return k, view, err
	default:
		view.SPKI, view.Made = made.Public.Pin(), true
	}
	k.SPKI = view.SPKI
	return k, view, nil
}

// onToken is the key that bears a label already; it must be one that can sign and cannot leave.
func onToken(ctx context.Context, t hsm.Config, label string) (hsm.KeyInfo, error) {
	all, err := hsm.List(ctx, t)
	if err != nil {
		return hsm.KeyInfo{}, err
	}
	for _, k := range all {
		if a := k.Attributes; k.Label == label && k.Problem == "" && (a.Extractable == nil || !*a.Extractable) && (a.Sensitive == nil || *a.Sensitive) {
			return k, nil
		}
	}
	return hsm.KeyInfo{}, fmt.Errorf("the label %q is taken on token %s, and not by a key that can be used; choose another --suffix", label, t.Name)
}
