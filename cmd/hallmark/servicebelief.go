package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/belief"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// believed is what the configuration says must be believed. Every key of an issuing authority that is configured vouches for
// it, also one that issues nothing any more.
func (c *Config) believed(f trustFiles, keys *hsm.Keyring) (b belief.Config, err error) {
	b = belief.Config{Former: f.former, Keys: exportedKeys(keys), Issuer: c.Trust.Value.Issuer}
	if b.Root, err = c.rootOf(f, keys); err != nil {
		return b, err
	}
	for _, k := range keys.ServiceKeys() {
		if k.Use != hsm.UseIssuer {
			continue
		}
		signer, err := keys.Service(k.Name, hsm.UseIssuer)
		if err != nil {
			return b, err
		}
		b.Vouchers = append(b.Vouchers, signer)
	}
	return b, nil
}

func exportedKeys(keys *hsm.Keyring) (all []trust.ExportedKey) {
	for _, k := range keys.Keys() {
		all = append(all, trust.ExportedKey{Name: k.Name, Lane: k.Lane, Public: k.PublicKey, From: k.From, Retired: k.Retired})
	}
	return all
}

// believe is what verifiers must believe to check what this service and all that share its ledger sign, or ever signed, as it
// is now. Without a trust section that is the configured keys alone, and which keys are distrusted.
func (s *service) believe(ctx context.Context) ([]trust.File, error) {
	distrusted, err := s.ledger.Distrusted(ctx)
	if err != nil {
		return nil, err
	}
	e := trust.Export{Issuer: s.config.Trust.Value.Issuer, Keys: exportedKeys(s.keys), At: s.started}
	if s.attested.beliefs != nil {
		held, err := s.attested.beliefs.Held(ctx)
		if err != nil {
			return nil, err
		}
		e.Root, e.Keys, e.Identities = held.Root, slices.Clone(held.Keys), slices.Concat(held.Identities, s.identities())
	}
	if e, err = distrust(e, distrusted); err != nil {
		return nil, err
	}
	return e.Files()
}

// identities are those that are configured now, whether they were used or not.
func (s *service) identities() (all []trust.ExportedIdentity) {
	issuer := s.config.Trust.Value.Issuer
	for _, k := range s.keys.Keys() {
		all = append(all, trust.ExportedIdentity{URI: trust.KeyIdentity(issuer, k.Name), Lane: k.Lane})
	}
	for _, r := range s.policySet().Rules() {
		if r.Kind == policy.ConfigurationKind {
			all = append(all, trust.ExportedIdentity{URI: trust.ConfigurationIdentity(issuer, r.Policy), Lane: r.Lane})
		}
	}
	return all
}

// distrust writes into an export which keys are distrusted, those that it does not list included.
func distrust(e trust.Export, distrusted map[artifact.Digest]ledger.Distrust) (trust.Export, error) {
	listed := map[artifact.Digest]bool{}
	for i := range e.Keys {
		spki, err := belief.PinOf(e.Keys[i].Public)
		if err != nil {
			return e, err
		}
		e.Keys[i].Distrusted, listed[spki] = distrusted[spki].From, true
	}
	for spki, d := range distrusted {
		if !listed[spki] {
			e.Distrusted = append(e.Distrusted, trust.DistrustedPin{SPKI: spki, From: d.From})
		}
	}
	return e, nil
}

// believeVersion is another whenever believe may answer something else.
func (s *service) believeVersion(ctx context.Context) (string, error) {
	n, err := s.ledger.TrustNumbers(ctx)
	return fmt.Sprintf("%d/%d/%s", n.Belief, n.Distrust, s.policySet().Digest()), err
}
