package main

import (
	"context"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// believe is what verifiers must believe to check what this service signs, as it is now. Without a trust section that is keys
// alone.
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
	for _, k := range s.keys.Keys() {
		e.Keys = append(e.Keys, trust.ExportedKey{Name: k.Name, Lane: k.Lane, Public: k.PublicKey, From: k.From, Retired: k.Retired, Distrusted: distrusted[k.SPKI].From})
		if e.Issuer != "" {
			e.Identities = append(e.Identities, trust.KeyIdentity(e.Issuer, k.Name))
		}
	}
	for _, r := range s.policySet().Rules() {
		if r.Kind == policy.ConfigurationKind && e.Issuer != "" {
			e.Identities = append(e.Identities, trust.ConfigurationIdentity(e.Issuer, r.Policy))
		}
	}
	return e.Files()
}
