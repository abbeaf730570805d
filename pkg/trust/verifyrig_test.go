package trust_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"sync"
	"testing"
	"time"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
	logformat "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	sumdb "golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// realm is all that stands behind a bundle, with keys in memory: the authorities and the clock of this package, and a log.
type realm struct {
	root, issuing, sct *memoryKey
	chain              []*x509.Certificate // issuing, root
	authority          *trust.Authority
	times              []*x509.Certificate
	stamper            *trust.Stamper
	log                *memoryLog
	json               []byte
	verifier           *trust.Verifier
}

func realOrder(name string) trust.Order {
	return trust.Order{Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}, Country: []string{"DE"}}, Now: time.Now()}
}

func newRealm(t testing.TB, host string) *realm {
	t.Helper()
	stamp := newKey(t, elliptic.P256())
	r := &realm{root: newKey(t, elliptic.P384()), issuing: newKey(t, elliptic.P256()), sct: newKey(t, elliptic.P256()), log: newMemoryLog(t, "log."+host)}
	der, err := trust.NewRoot(t.Context(), r.root, realOrder(host+" root"))
	require.NoError(t, err)
	top := parsed(t, der)
	parent := trust.Parent{Key: r.root, Chain: []*x509.Certificate{top}}
	der, err = trust.NewIssuing(t.Context(), parent, r.issuing.Public(), realOrder(host+" issuing"))
	require.NoError(t, err)
	r.chain = []*x509.Certificate{parsed(t, der), top}
	der, err = trust.NewTimestamping(t.Context(), parent, stamp.Public(), realOrder(host+" time"))
	require.NoError(t, err)
	r.times = []*x509.Certificate{parsed(t, der), top}
	r.authority, err = trust.NewAuthority(trust.AuthorityConfig{Key: r.issuing, Chain: r.chain, SCT: r.sct, Issuer: "https://" + host})
	require.NoError(t, err)
	r.stamper, err = trust.NewStamper(stamp, r.times, trust.StampOptions{})
	require.NoError(t, err)
	r.json = buildRoot(t, r.material())
	r.verifier, err = trust.NewVerifier(r.json)
	require.NoError(t, err)
	return r
}

func (r *realm) material() trust.Material {
	issuer := r.authority.Issuer()
	w := trust.Window{From: time.Now()}
	return trust.Material{
		Logs:    []trust.LogKey{{Origin: r.log.origin, Public: r.log.key.Public(), Window: w}},
		SCTs:    []trust.SCTKey{{URL: issuer, Public: r.sct.Public(), Window: w}},
		Issuers: []trust.Issuer{{URI: issuer, Chain: r.chain, Window: w}},
		Times:   []trust.TimeAuthority{{URI: issuer + "/time", Chain: r.times, Window: w}},
	}
}

func parsed(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// memoryLog is a log that is only a tree.
type memoryLog struct {
	origin string
	key    *memoryKey
	mu     sync.Mutex
	tree   *testonly.Tree
}

func newMemoryLog(t testing.TB, origin string) *memoryLog {
	t.Helper()
	l := &memoryLog{origin: origin, key: newKey(t, elliptic.P256()), tree: testonly.New(rfc6962.DefaultHasher)}
	for _, leaf := range []string{"earlier", "entries", "of others"} {
		l.tree.AppendData([]byte(leaf))
	}
	return l
}

// add appends an entry and proves it under a checkpoint of the key and origin that are given.
func (l *memoryLog) add(t testing.TB, body []byte, key *memoryKey, origin string) *rekorv1.TransparencyLogEntry {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tree.AppendData(body)
	index := l.tree.Size() - 1
	l.tree.AppendData([]byte("a later one"))
	hashes, err := l.tree.InclusionProof(index, l.tree.Size())
	require.NoError(t, err)
	_, id, err := note.KeyHash(l.origin, l.key.Public())
	require.NoError(t, err)
	return audit.Proof{
		Index: index, Size: l.tree.Size(), Root: l.tree.Hash(), Hashes: hashes, LogID: id,
		Checkpoint: checkpoint(t, logformat.Checkpoint{Origin: origin, Size: l.tree.Size(), Hash: l.tree.Hash()}, key),
	}.Entry(body)
}

func checkpoint(t testing.TB, cp logformat.Checkpoint, key *memoryKey) string {
	t.Helper()
	sv, err := signature.LoadSignerVerifier(key.Signer, key.hash)
	require.NoError(t, err)
	signer, err := note.NewNoteSigner(t.Context(), cp.Origin, sv)
	require.NoError(t, err)
	signed, err := sumdb.Sign(&sumdb.Note{Text: string(cp.Marshal())}, signer)
	require.NoError(t, err)
	return string(signed)
}

// notary gives signatures of a key what its parts give; a part that is nil is the realm's.
type notary struct {
	t      testing.TB
	realm  *realm
	bare   bool // no certificate
	leaf   []byte
	stamp  func(signature []byte) []byte
	record func(r seal.Record) *rekorv1.TransparencyLogEntry
	key    *memoryKey
}

func (n notary) Certificate(ctx context.Context) ([]byte, error) {
	if n.bare || n.leaf != nil {
		return n.leaf, nil
	}
	return n.realm.authority.Issue(ctx, trust.Request{Public: n.key.Public(), Identity: trust.KeyIdentity(n.realm.authority.Issuer(), "release"), Announce: unlogged})
}

func (notary) Signed([]byte) {}

func (n notary) Stamp(ctx context.Context, signature []byte) ([]byte, error) {
	if n.stamp != nil {
		return n.stamp(signature), nil
	}
	token, _, err := n.realm.stamper.Stamp(ctx, signature)
	return token, err
}

func (n notary) Record(_ context.Context, r seal.Record) (*rekorv1.TransparencyLogEntry, error) {
	if n.record != nil {
		return n.record(r), nil
	}
	return n.realm.log.add(n.t, rekord(n.t, r), n.realm.log.key, n.realm.log.origin), nil
}

func rekord(t testing.TB, r seal.Record) []byte {
	t.Helper()
	v := audit.Verifier{Certificate: r.Certificate}
	if r.Certificate == nil {
		v.PublicKey = r.PublicKey
	}
	body, err := audit.HashedRekord(r.Digest, r.Hash, r.Signature, v)
	require.NoError(t, err)
	return body
}

const artifactBytes = "what was built\n"

// seal makes the file of a format for the artifact; change may replace parts.
func (r *realm) seal(t testing.TB, key *memoryKey, format string, change func(n *notary)) []byte {
	t.Helper()
	n := notary{t: t, realm: r, key: key}
	if change != nil {
		change(&n)
	}
	f, ok := seal.Lookup(format)
	require.True(t, ok, format)
	d, err := seal.NewDigester(key.Public())
	require.NoError(t, err)
	_, err = d.Write([]byte(artifactBytes))
	require.NoError(t, err)
	sealed, err := seal.SealAll(t.Context(), key, d.Digests(), []seal.Format{f}, seal.Context{Notary: n})
	require.NoError(t, err)
	return sealed[format]
}

// digestFor is what Verify is asked with: statements name images by SHA-256, whatever the key signs.
func digestFor(key *memoryKey, format string) []byte {
	h := key.hash
	if strings.HasPrefix(format, "cosign") {
		h = crypto.SHA256
	}
	sum := h.New()
	sum.Write([]byte(artifactBytes))
	return sum.Sum(nil)
}

// changed is a bundle with something in it replaced.
func changed(t testing.TB, content []byte, change func(b *bundlev1.Bundle)) []byte {
	t.Helper()
	b := &bundlev1.Bundle{}
	require.NoError(t, protojson.Unmarshal(content, b))
	change(b)
	out, err := protojson.Marshal(b)
	require.NoError(t, err)
	return out
}
