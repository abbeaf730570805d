package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// believe is what verifiers must believe to check what this service signs and has signed, as it is now: names of policies that
// are no more, too, while the key that signed under them is configured. Without a trust section that is keys alone.
func (s *service) believe(ctx context.Context) ([]trust.File, error) {
	distrusted, err := s.ledger.Distrusted(ctx)
	if err != nil {
		return nil, err
	}
	e := trust.Export{Root: s.attested.root, Issuer: s.config.Trust.Value.Issuer, CA: s.attested.files.issuing, At: s.started}
	if len(s.attested.files.time) > 0 {
		e.Times = append(e.Times, s.attested.files.time)
	}
	for _, o := range s.attested.files.others {
		e.Times = append(e.Times, o.Chain)
	}
	name := func(uri, lane string) {
		if e.Issuer != "" && strings.HasPrefix(uri, e.Issuer+"/") {
			e.Identities = append(e.Identities, trust.ExportedIdentity{URI: uri, Lane: lane})
		}
	}
	configured := map[artifact.Digest]bool{}
	for _, k := range s.keys.Keys() {
		e.Keys = append(e.Keys, trust.ExportedKey{Name: k.Name, Lane: k.Lane, Public: k.PublicKey, From: k.From, Retired: k.Retired, Distrusted: distrusted[k.SPKI].From})
		name(trust.KeyIdentity(e.Issuer, k.Name), k.Lane)
		configured[k.SPKI] = true
	}
	for _, r := range s.policySet().Rules() {
		if r.Kind == policy.ConfigurationKind {
			name(trust.ConfigurationIdentity(e.Issuer, r.Policy), r.Lane)
		}
	}
	certified, err := s.ledger.Certified(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range certified {
		if configured[c.KeySPKI] {
			name(c.Identity, c.Lane)
		} else if d, ok := distrusted[c.KeySPKI]; ok {
			if err := listFormer(&e, c, d); err != nil {
				return nil, err
			}
			delete(distrusted, c.KeySPKI) // once
		}
	}
	return e.Files()
}

// listFormer lists a distrusted key that is not configured any more: its certificates may be for names under which others still
// sign, and would be believed by those.
func listFormer(e *trust.Export, c ledger.Certified, d ledger.Distrust) error {
	public, err := x509.ParsePKIXPublicKey(c.PublicKey)
	if err != nil {
		return fmt.Errorf("reading the key %s, which is distrusted: %w", c.KeyName, err)
	}
	k := trust.ExportedKey{Name: c.KeyName, Lane: c.Lane, Public: public, Distrusted: d.From}
	if slices.ContainsFunc(e.Keys, func(other trust.ExportedKey) bool { return other.Name == k.Name }) {
		k.Name = fmt.Sprintf("%.40s-%.16s", c.KeyName, c.KeySPKI)
	}
	e.Keys = append(e.Keys, k)
	return nil
}
