package trust

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"

	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

// sources are the rule books that zlint is asked about. Its other ones are for web servers, mail and root stores.
func (p Profile) sources() lint.SourceList {
	s := lint.SourceList{lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC6962, lint.RFC8813, lint.Community}
	if p == ProfileCABF {
		s = append(s, lint.CABFCSBaselineRequirements)
	}
	return s
}

// registries are zlint's rules per profile, sorted out once.
var registries = map[Profile]func() (lint.Registry, error){
	ProfilePrivate: registryOf(ProfilePrivate),
	ProfileCABF:    registryOf(ProfileCABF),
}

func registryOf(p Profile) func() (lint.Registry, error) {
	return sync.OnceValues(func() (lint.Registry, error) {
		return lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: p.sources()})
	})
}

// Lint judges a certificate by the rules of its kind and profile, before the key of an authority signs it: our own rules,
// and zlint's. Whose signature it bears does not matter. parent is nil for a root. Warnings count. The error wraps
// ErrLint and names everything that was found.
func Lint(c, parent *x509.Certificate, kind Kind, profile Profile) error {
	findings := check(c, parent, kind, profile)
	more, err := zlintFindings(c, profile)
	if err != nil {
		return err
	}
	if findings = append(findings, more...); len(findings) > 0 {
		return fmt.Errorf("%w: %s", ErrLint, strings.Join(findings, "; "))
	}
	return nil
}

func zlintFindings(c *x509.Certificate, profile Profile) ([]string, error) {
	rules, ok := registries[profile]
	if !ok {
		return nil, fmt.Errorf("%w: profile %q is unknown", ErrProfile, profile)
	}
	registry, err := rules()
	if err != nil {
		return nil, fmt.Errorf("%w: choosing rules: %w", ErrLint, err)
	}
	parsed, err := zx509.ParseCertificate(c.Raw)
	if err != nil {
		return []string{"zlint cannot read it: " + err.Error()}, nil
	}
	var findings []string
	for name, r := range zlint.LintCertificateEx(parsed, registry).Results {
		if r.Status < lint.Warn {
			continue
		}
		finding := fmt.Sprintf("%s (%s): %s", name, r.LintMetadata.Citation, r.LintMetadata.Description)
		if r.Details != "" {
			finding += ": " + r.Details
		}
		findings = append(findings, finding)
	}
	slices.Sort(findings)
	return findings, nil
}
