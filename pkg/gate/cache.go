package gate

import (
	"crypto/sha256"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// remembered bounds how many answers are kept; those that were asked for least recently go first. With a few hundred bytes
// each that is a few MiB.
const remembered = 8192

// cache remembers what verifying came to. It saves the arithmetic and, for a key that signs another digest than Artifactory
// reports, hashing the artifact, never a look at what stands in Artifactory: an answer is found again only by the digest of
// the signature file as it was read, and that of the artifact as Artifactory reports it, for this very verdict. It is safe
// for concurrent use.
type cache struct {
	answers *lru.Cache[question, policy.Evidence]
	asked   *prometheus.CounterVec
}

// question is all that an answer rests on. What policy makes of the answer, the age of a signature, the time of its
// key and whether that is distrusted included, is judged anew every time.
type question struct {
	content artifact.Digest // of the signature file
	format  string
	subject artifact.Digest // the artifact's
	trust   artifact.Digest // see trustVersion
	hashed  bool            // whether the artifact is hashed for keys that need it
}

func newCache(reg prometheus.Registerer) (*cache, error) {
	answers, err := lru.New[question, policy.Evidence](remembered)
	if err != nil {
		return nil, fmt.Errorf("making the gate's cache: %w", err)
	}
	c := &cache{answers: answers, asked: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "hallmark_gate_verifications_total",
		Help: "Signature files that the gate judged: computed, or remembered as the same file for the same bytes under the same pinned keys.",
	}, []string{"source"})}
	return c, nil
}

// recall returns the answer to a question that was asked before. It is about the bytes alone: which file they came from is
// for the caller to add.
func (c *cache) recall(q question) (policy.Evidence, bool) {
	e, ok := c.answers.Get(q)
	if ok {
		c.asked.WithLabelValues("remembered").Inc()
	} else {
		c.asked.WithLabelValues("computed").Inc()
	}
	return e, ok
}

// keep takes an answer that nothing but the question can change.
func (c *cache) keep(q question, e policy.Evidence) { c.answers.Add(q, e) }

// trustVersion is another whenever a key is pinned, unpinned, renamed or replaced, or their order changes, and whenever
// another root is trusted.
func trustVersion(trust []hsm.Public, trusted Trusted) artifact.Digest {
	h := sha256.New()
	fmt.Fprintf(h, "%t%s", trusted.Verifier != nil, trusted.Root)
	for _, k := range trust {
		fmt.Fprintf(h, "%d:%s%x", len(k.Name), k.Name, k.SPKI[:])
	}
	return artifact.Digest(h.Sum(nil))
}
