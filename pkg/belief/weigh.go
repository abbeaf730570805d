package belief

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Weigh is what is believed by the configuration and those statements of a ledger that count: signed by an issuing authority
// that is configured, or that a trusted root lists which is believed. What does not count changes nothing.
func Weigh(c Config, rows []ledger.Belief) (Held, error) {
	counted, unvouched, err := c.counted(rows)
	if err != nil {
		return Held{}, err
	}
	held := Held{Unvouched: unvouched}
	if held.Root, err = c.root(counted); err != nil {
		return Held{}, err
	}
	if held.Verifier, err = trust.NewVerifier(held.Root); err != nil {
		return Held{}, err
	}
	held.Digest = sha256.Sum256(held.Root)
	for _, s := range counted {
		if id, err := s.identity(); s.kind == kindIdentity && err == nil && id.Issuer == c.Issuer {
			held.Identities = append(held.Identities, trust.ExportedIdentity{URI: id.Identity, Lane: id.Lane})
		}
	}
	held.Keys, err = c.keys(counted)
	return held, err
}

// counted are the statements that count, of each subject the newest, and those subjects of which none does.
func (c Config) counted(rows []ledger.Belief) ([]statement, []Unvouched, error) {
	vouchers := map[artifact.Digest]crypto.PublicKey{}
	trusted := func(keys []crypto.PublicKey) error {
		for _, pub := range keys {
			pin, err := PinOf(pub)
			if err != nil {
				return err
			}
			vouchers[pin] = pub
		}
		return nil
	}
	if err := trusted(c.publicKeys()); err != nil {
		return nil, nil, err
	}
	for _, root := range append([][]byte{c.Root}, c.Former...) {
		issuing, err := trust.IssuingKeys(root)
		if err == nil {
			err = trusted(issuing)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	type about struct{ kind, subject string }
	newest, number := map[about]statement{}, map[about]int64{}
	left := slices.Clone(rows)
	for again := true; again; { // an authority that is believed may vouch for another
		again = false
		left = slices.DeleteFunc(left, func(r ledger.Belief) bool {
			s := statement{r.Kind, r.Subject, r.Content}
			pub := vouchers[r.Voucher]
			if pub == nil || !s.signedBy(pub, r.Signature) {
				return false
			}
			if s.kind == kindRoot {
				issuing, err := trust.IssuingKeys([]byte(s.content))
				if err != nil || trusted(issuing) != nil {
					return false
				}
			}
			again = true
			if at := (about{s.kind, s.subject}); number[at] <= r.Number {
				newest[at], number[at] = s, r.Number
			}
			return true
		})
	}
	counts := map[string]int{}
	for _, r := range left {
		if _, known := newest[about{r.Kind, r.Subject}]; !known {
			counts["sha256:"+r.Voucher.String()]++
		}
	}
	var unvouched []Unvouched
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		unvouched = append(unvouched, Unvouched{v, counts[v]})
	}
	order := slices.SortedFunc(maps.Keys(newest), func(a, b about) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.subject, b.subject))
	})
	counted := make([]statement, len(order))
	for i, at := range order {
		counted[i] = newest[at]
	}
	return counted, unvouched, nil
}

// root merges the trusted roots. What is configured has to fit together; a statement that does not fit is left out, for it
// could never be taken back.
func (c Config) root(counted []statement) ([]byte, error) {
	all := append([][]byte{c.Root}, c.Former...)
	merged, err := trust.BuildRoot(trust.Material{Former: all})
	if err != nil {
		return nil, err
	}
	for _, s := range counted {
		if s.kind != kindRoot {
			continue
		}
		if more, err := trust.BuildRoot(trust.Material{Former: [][]byte{merged, []byte(s.content)}}); err == nil {
			merged = more
		}
	}
	return merged, nil
}

// keys are the configured keys, then those that were. A former key whose name another one has now gets a longer one.
func (c Config) keys(counted []statement) ([]trust.ExportedKey, error) {
	all := slices.Clone(c.Keys)
	pins, names := map[artifact.Digest]bool{}, map[string]bool{}
	for _, k := range all {
		pin, err := PinOf(k.Public)
		if err != nil {
			return nil, err
		}
		pins[pin], names[k.Name] = true, true
	}
	for _, s := range counted {
		k, err := s.key()
		if s.kind != kindKey || err != nil {
			continue
		}
		pin, err := PinOf(k.Public)
		if err != nil || pins[pin] {
			continue
		}
		if names[k.Name] {
			k.Name = fmt.Sprintf("%.47s.%.16s", k.Name, pin)
		}
		pins[pin], names[k.Name] = true, true
		all = append(all, k)
	}
	return all, nil
}

// statements are those that this configuration makes, and those of others that count, which it passes on.
func (c Config) statements(rows []ledger.Belief) ([]statement, error) {
	counted, _, err := c.counted(rows)
	if err != nil {
		return nil, err
	}
	own := []statement{rootStatement(c.Root)}
	for _, k := range c.Keys {
		s, err := keyStatement(k)
		if err != nil {
			return nil, err
		}
		own = append(own, s)
	}
	for _, s := range counted {
		if !slices.ContainsFunc(own, func(o statement) bool { return o.kind == s.kind && o.subject == s.subject }) {
			own = append(own, s)
		}
	}
	return own, nil
}
