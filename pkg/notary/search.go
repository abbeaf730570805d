package notary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// search reads in the log what became of intents that nobody remembers: which leaf announced each, which tells its end
// already, and which signatures were made under it.
func (n *Notary) search(ctx context.Context, ins []ledger.Unaccounted) (map[int64]trace, error) {
	s := &searching{before: n.begun, wanted: map[int64]*sought{}, at: map[uint64]*sought{}, keys: map[artifact.Digest]bool{}, loose: map[uint64]loose{}}
	from := ins[0].LogFrom
	for _, in := range ins {
		s.wanted[in.ID] = &sought{in: in}
		s.keys[in.KeySPKI] = true
		from = min(from, in.LogFrom)
	}
	if err := n.Records.Leaves(ctx, from, s.take); err != nil {
		return nil, fmt.Errorf("looking for traces in the log: %w", err)
	}
	s.assign()
	found := map[int64]trace{}
	for id, w := range s.wanted {
		found[id] = w.trace
	}
	return found, nil
}

type sought struct {
	in ledger.Unaccounted
	trace
}

// loose is a signature in the log that no outcome names.
type loose struct {
	index       uint64
	spki        artifact.Digest
	certificate artifact.Digest
	digest      []byte
	signature   []byte
}

type searching struct {
	before uint64 // signatures from here on are this process's own, which remembers them
	wanted map[int64]*sought
	at     map[uint64]*sought // by the index of the intent's leaf
	keys   map[artifact.Digest]bool
	loose  map[uint64]loose
}

// take looks at one leaf. One that cannot be read is none of ours: whoever verifies the log says so.
func (s *searching) take(index uint64, raw []byte) error {
	leaf, err := audit.ParseLeaf(raw)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	switch leaf := leaf.(type) {
	case audit.Intent:
		if w := s.wanted[int64(leaf.ID)]; w != nil && w.in.GrantID == leaf.Grant && !w.announced {
			w.announced, w.index = true, index
			s.at[index] = w
		}
	case audit.Outcome:
		if w := s.at[leaf.Intent]; w != nil && !w.told {
			w.told, w.outcome = true, index
		}
		for _, use := range leaf.Uses {
			for _, e := range use.Entries {
				delete(s.loose, e)
			}
		}
	case audit.Rekord:
		if l, err := loosen(index, leaf); err == nil && index < s.before && s.keys[l.spki] {
			s.loose[index] = l
		}
	}
	return nil
}

func loosen(index uint64, r audit.Rekord) (loose, error) {
	l := loose{index: index, digest: r.Digest, signature: r.Signature}
	pub, err := r.Verifier.Key()
	if err != nil {
		return loose{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return loose{}, err
	}
	l.spki = sha256.Sum256(der)
	if r.Verifier.Certificate != nil {
		l.certificate = digestOf(r.Verifier.Certificate)
	}
	return l, nil
}

// assign gives each signature to the intent that it was made under: that whose kept files hold it, else the one about the
// digest that was signed, else the last one of the key before it. The last is a guess where several died at once, all of them
// without anything that left the process.
func (s *searching) assign() {
	for _, l := range s.inOrder() {
		var best *sought
		bestRank := 0
		for _, w := range s.at {
			if rank := w.rank(l); rank > bestRank || rank == bestRank && best != nil && w.index > best.index {
				best, bestRank = w, rank
			}
		}
		if best != nil {
			best.give(l)
		}
	}
}

func (s *searching) inOrder() []loose {
	var all []loose
	for _, l := range s.loose {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b loose) int { return int(a.index) - int(b.index) })
	return all
}

// rank tells how well a signature goes with an intent; 0 is not at all.
func (w *sought) rank(l loose) int {
	switch {
	case w.told || w.in.KeySPKI != l.spki || w.index > l.index:
		return 0
	case slices.ContainsFunc(w.in.Signatures, func(s ledger.Signature) bool { return holds(s.Content, l.signature) }):
		return 3
	case bytes.Equal(w.in.Subject[:], l.digest):
		return 2
	}
	return 1
}

// holds reports whether a file holds a signature, as it is or in base64: every format does one or the other.
func holds(file, signature []byte) bool {
	return bytes.Contains(file, signature) || bytes.Contains(file, []byte(base64.StdEncoding.EncodeToString(signature)))
}

func (w *sought) give(l loose) {
	if l.certificate != (artifact.Digest{}) {
		w.certificate = l.certificate
	}
	digest := digestOf(l.signature)
	i := slices.IndexFunc(w.made, func(m audit.Use) bool { return m.Signature == digest })
	if i < 0 {
		i, w.made = len(w.made), append(w.made, audit.Use{Signature: digest})
		for _, s := range w.in.Signatures {
			if token := tokenIn(s.Content); token != nil && holds(s.Content, l.signature) {
				w.made[i].Timestamp = digestOf(token)
			}
		}
	}
	w.made[i].Entries = append(w.made[i].Entries, l.index)
}

// tokenIn is the time-stamp that a bundle carries; nil for what is no bundle.
func tokenIn(file []byte) []byte {
	var b struct {
		Material struct {
			Data struct {
				Tokens []struct {
					Token []byte `json:"signedTimestamp"`
				} `json:"rfc3161Timestamps"`
			} `json:"timestampVerificationData"`
		} `json:"verificationMaterial"`
	}
	if json.Unmarshal(file, &b) != nil || len(b.Material.Data.Tokens) == 0 {
		return nil
	}
	return b.Material.Data.Tokens[0].Token
}

// maxWhy bounds what an outcome says for people: the log keeps it for ever.
const maxWhy = 500

func clip(s string) string {
	if len(s) > maxWhy {
		s = s[:maxWhy]
	}
	return strings.ToValidUTF8(s, "")
}
