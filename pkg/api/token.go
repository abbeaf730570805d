package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Role is a group of routes that a token opens.
type Role string

// The roles.
const (
	RoleGate    Role = "gate"    // ask for verdicts
	RoleSign    Role = "sign"    // ask for an artifact to be signed, as far as policy lets it
	RoleStatus  Role = "status"  // read status, past decisions, and why a policy applies
	RolePromote Role = "promote" // promote what the gate lets through, with Hallmark's own identity
	RoleSweep   Role = "sweep"   // order sweeps and backfills, and read what they found
	RoleAuditor Role = "auditor" // read the log of key use
	RoleAdmin   Role = "admin"   // distrust keys
)

// roles are all of them, in the order in which they are told.
var roles = []Role{RoleGate, RoleSign, RoleStatus, RolePromote, RoleSweep, RoleAuditor, RoleAdmin}

// Token is a caller. The configuration holds only the token's hash, which is worth nothing to who reads it as long as
// the token is random: make it with "openssl rand -hex 32", hash it with "printf %s TOKEN | sha256sum".
type Token struct {
	Name   string `yaml:"name" required:"true" doc:"Who the caller is; stands in logs and verdicts."`
	SHA256 string `yaml:"sha256" required:"true" doc:"SHA-256 of the bearer token, 64 lowercase hexadecimal characters: printf %s TOKEN | sha256sum"`
	Roles  []Role `yaml:"roles" required:"true" doc:"What the caller may do: gate, sign, status, promote, sweep, auditor, admin."`
}

// Validate reports everything that is wrong with the token by itself, at once.
func (t Token) Validate() error {
	var errs []error
	if t.Name == "" {
		errs = append(errs, errors.New("an API token has no name"))
	}
	if d, err := artifact.ParseDigest(t.SHA256); err != nil {
		errs = append(errs, fmt.Errorf("API token %q: sha256: %w", t.Name, err))
	} else if d == sha256.Sum256(nil) {
		errs = append(errs, fmt.Errorf("API token %q: sha256 is that of an empty token", t.Name))
	}
	if len(t.Roles) == 0 {
		errs = append(errs, fmt.Errorf("API token %q has no roles; choose from gate, sign, status, promote, sweep, auditor, admin", t.Name))
	}
	for _, r := range t.Roles {
		if !slices.Contains(roles, r) {
			errs = append(errs, fmt.Errorf("API token %q has the unknown role %q; choose from gate, sign, status, promote, sweep, auditor, admin", t.Name, r))
		}
	}
	return errors.Join(errs...)
}

func validateTokens(tokens []Token) []error {
	var errs []error
	names, sums := map[string]bool{}, map[string]bool{}
	for _, t := range tokens {
		errs = append(errs, t.Validate())
		if names[t.Name] {
			errs = append(errs, fmt.Errorf("two API tokens are called %q", t.Name))
		}
		if sums[t.SHA256] {
			errs = append(errs, fmt.Errorf("API token %q has the hash of another one; a token has one name", t.Name))
		}
		names[t.Name], sums[t.SHA256] = true, true
	}
	return errs
}

type caller struct {
	name  string
	sum   artifact.Digest
	roles []Role
}

type callers []caller

// newCallers takes tokens that have been validated.
func newCallers(tokens []Token) callers {
	cs := make(callers, 0, len(tokens))
	for _, t := range tokens {
		sum, err := artifact.ParseDigest(t.SHA256)
		if err != nil {
			continue // a caller without a hash can never be met
		}
		cs = append(cs, caller{name: t.Name, sum: sum, roles: t.Roles})
	}
	return cs
}

var (
	errNoToken      = errors.New("the request carries no bearer token")
	errUnknownToken = errors.New("the bearer token is not known")
)

// identify finds the caller by the hash of the bearer token (RFC 6750). Every hash is compared, in constant time; what
// the time taken could show is a hash's likeness to another hash, not the token.
func (cs callers) identify(h http.Header) (caller, error) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return caller{}, errNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return caller{}, errNoToken
	}
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range cs {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], cs[i].sum[:]), i, found)
	}
	if found < 0 {
		return caller{}, errUnknownToken
	}
	return cs[found], nil
}

func (c caller) may(r Role) bool { return slices.Contains(c.roles, r) }
