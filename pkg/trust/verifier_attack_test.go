package trust_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/url"
	"testing"
	"time"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssev1 "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// attack makes a bundle that must not be believed. The key is the pinned one, the artifact the one that is asked about.
type attack struct {
	make func(t *testing.T, r, other *realm, key *memoryKey) []byte
	err  error
	says string
}

// entryOf, tokenOf and leafOf give away parts of a bundle that is changed.
func entryOf(b *bundlev1.Bundle) *rekorv1.TransparencyLogEntry {
	return b.GetVerificationMaterial().GetTlogEntries()[0]
}

func setEntry(e *rekorv1.TransparencyLogEntry) func(*bundlev1.Bundle) {
	return func(b *bundlev1.Bundle) { b.VerificationMaterial.TlogEntries[0] = e }
}

func setLeaf(der []byte) func(*bundlev1.Bundle) {
	return func(b *bundlev1.Bundle) {
		b.VerificationMaterial.Content = &bundlev1.VerificationMaterial_Certificate{Certificate: &commonv1.X509Certificate{RawBytes: der}}
	}
}

// whole is a good bundle that is then changed.
func whole(format string, change func(b *bundlev1.Bundle)) func(*testing.T, *realm, *realm, *memoryKey) []byte {
	return func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return changed(t, r.seal(t, key, format, nil), change)
	}
}

// handmade is a leaf of the realm's issuing key, without a promise to be logged unless change adds one.
func handmade(t *testing.T, r *realm, key *memoryKey, change func(c *x509.Certificate)) []byte {
	t.Helper()
	id, err := url.Parse("https://sign.acme.example/keys/release")
	require.NoError(t, err)
	tmpl := template("")
	tmpl.KeyUsage, tmpl.ExtKeyUsage, tmpl.URIs = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, []*url.URL{id}
	change(tmpl)
	return create(t, tmpl, r.chain[0], key.Public(), r.issuing).Raw
}

// certified is a bundle that is good but for its certificate.
func certified(leaf func(t *testing.T, r, other *realm, key *memoryKey) []byte) func(*testing.T, *realm, *realm, *memoryKey) []byte {
	return func(t *testing.T, r, other *realm, key *memoryKey) []byte {
		der := leaf(t, r, other, key)
		return r.seal(t, key, "sigstore", func(n *notary) { n.leaf = der })
	}
}

func made(change func(c *x509.Certificate)) func(*testing.T, *realm, *realm, *memoryKey) []byte {
	return certified(func(t *testing.T, r, _ *realm, key *memoryKey) []byte { return handmade(t, r, key, change) })
}

// recorded is a bundle that is good but for its log entry.
func recorded(record func(t *testing.T, r, other *realm, body []byte) *rekorv1.TransparencyLogEntry) func(*testing.T, *realm, *realm, *memoryKey) []byte {
	return func(t *testing.T, r, other *realm, key *memoryKey) []byte {
		good := r.seal(t, key, "sigstore", nil)
		return changed(t, good, func(b *bundlev1.Bundle) {
			setEntry(record(t, r, other, entryOf(b).GetCanonicalizedBody()))(b)
		})
	}
}

var sctOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

func sctOf(t *testing.T, der []byte) pkix.Extension {
	t.Helper()
	for _, e := range parsed(t, der).Extensions {
		if e.Id.Equal(sctOID) {
			return e
		}
	}
	require.Fail(t, "no SCT")
	return pkix.Extension{}
}

func issued(t *testing.T, r *realm, key *memoryKey, name string) []byte {
	t.Helper()
	der, err := r.authority.Issue(t.Context(), trust.Request{Public: key.Public(), Identity: trust.KeyIdentity(r.authority.Issuer(), name), Announce: unlogged})
	require.NoError(t, err)
	return der
}

var attacks = map[string]attack{
	// The certificate.
	"SCT missing": {certified(func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return handmade(t, r, key, func(*x509.Certificate) {})
	}), trust.ErrCertificate, "SCT"},
	"SCT of another certificate": {certified(func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return handmade(t, r, key, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, sctOf(t, issued(t, r, key, "other")))
		})
	}), trust.ErrCertificate, "SCT"},
	"SCT by another key": {certified(func(t *testing.T, r, other *realm, key *memoryKey) []byte {
		a, err := trust.NewAuthority(trust.AuthorityConfig{Key: r.issuing, Chain: r.chain, SCT: other.sct, Issuer: r.authority.Issuer()})
		require.NoError(t, err)
		der, err := a.Issue(t.Context(), trust.Request{Public: key.Public(), Identity: trust.KeyIdentity(r.authority.Issuer(), "release"), Announce: unlogged})
		require.NoError(t, err)
		return der
	}), trust.ErrCertificate, "SCT"},
	"SCT changed in place": {certified(func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		der := issued(t, r, key, "release")
		sct := sctOf(t, der).Value
		at := bytes.Index(der, sct) + len(sct) - 1
		der[at] ^= 1
		return der
	}), trust.ErrCertificate, ""},
	"SAN swapped, by another CA of the same names": {certified(func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return issued(t, newRealm(t, "sign.acme.example"), key, "release")
	}), trust.ErrCertificate, ""},
	"SAN swapped in place": {certified(func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return bytes.Replace(issued(t, r, key, "develop"), []byte("/keys/develop"), []byte("/keys/release"), 1)
	}), trust.ErrCertificate, ""},
	"chain to another root": {certified(func(t *testing.T, _, other *realm, key *memoryKey) []byte {
		return issued(t, other, key, "release")
	}), trust.ErrCertificate, ""},
	"certificate of another key": {func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return changed(t, r.seal(t, key, "sigstore", nil), setLeaf(issued(t, r, newKey(t, elliptic.P256()), "release")))
	}, trust.ErrWrongKey, "of the key sha256:"},
	"another certificate of the key": {func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return changed(t, r.seal(t, key, "sigstore", nil), setLeaf(issued(t, r, key, "release")))
	}, trust.ErrLogProof, "not of this signature"},
	"no code signing":  {made(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), trust.ErrCertificate, "not for signing code"},
	"no usage at all":  {made(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), trust.ErrCertificate, "not for signing code"},
	"a CA as leaf":     {made(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), trust.ErrCertificate, "a CA's"},
	"two identities":   {made(func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }), trust.ErrCertificate, "one URI"},
	"no identity":      {made(func(c *x509.Certificate) { c.URIs = nil }), trust.ErrCertificate, "one URI"},
	"e-mail as well":   {made(func(c *x509.Certificate) { c.EmailAddresses = []string{"root@acme.example"} }), trust.ErrCertificate, "one URI"},
	"issuer as signer": {certified(func(t *testing.T, r, _ *realm, key *memoryKey) []byte { return selfSigned(t, r, key) }), trust.ErrCertificate, ""},
	"expired when stamped": {made(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
	}), trust.ErrStampedOutside, "it lives from"},
	"not valid when stamped": {made(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), trust.ErrStampedOutside, "it lives from"},

	// The time-stamp.
	"time-stamp for another signature": {func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return r.seal(t, key, "sigstore", func(n *notary) {
			n.stamp = func([]byte) []byte { return stampOf(t, r, []byte("another signature")) }
		})
	}, trust.ErrTimestamp, ""},
	"time-stamp by an unlisted authority": {func(t *testing.T, r, other *realm, key *memoryKey) []byte {
		return r.seal(t, key, "sigstore", func(n *notary) {
			n.stamp = func(signature []byte) []byte { return stampOf(t, other, signature) }
		})
	}, trust.ErrTimestamp, "none of the 1 authorities"},
	"time-stamp changed": {whole("sigstore", func(b *bundlev1.Bundle) {
		s := b.VerificationMaterial.TimestampVerificationData.Rfc3161Timestamps[0]
		s.SignedTimestamp[len(s.SignedTimestamp)-5] ^= 1
	}), trust.ErrTimestamp, ""},
	"a second time-stamp that does not hold": {func(t *testing.T, r, other *realm, key *memoryKey) []byte {
		return changed(t, r.seal(t, key, "sigstore-key", nil), func(b *bundlev1.Bundle) {
			d := b.VerificationMaterial.TimestampVerificationData
			d.Rfc3161Timestamps = append(d.Rfc3161Timestamps, &commonv1.RFC3161SignedTimestamp{SignedTimestamp: stampOf(t, other, b.GetMessageSignature().GetSignature())})
		})
	}, trust.ErrTimestamp, "none of the 1 authorities"},
	"an empty time-stamp": {whole("sigstore", func(b *bundlev1.Bundle) {
		b.VerificationMaterial.TimestampVerificationData.Rfc3161Timestamps[0].SignedTimestamp = nil
	}), trust.ErrTimestamp, "not a TimeStampResp"},

	// The log.
	"proof of another entry": {func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		var foreign *rekorv1.TransparencyLogEntry
		changed(t, r.seal(t, key, "sigstore", nil), func(b *bundlev1.Bundle) { foreign = entryOf(b) })
		return changed(t, r.seal(t, key, "sigstore", nil), setEntry(foreign))
	}, trust.ErrLogProof, "not of this signature"},
	"proof of the same signature by its key": {func(t *testing.T, r, _ *realm, key *memoryKey) []byte {
		return changed(t, r.seal(t, key, "sigstore", nil), func(b *bundlev1.Bundle) {
			m := b.GetMessageSignature()
			body := rekord(t, seal.Record{Digest: m.GetMessageDigest().GetDigest(), Hash: key.hash, Signature: m.GetSignature(), PublicKey: key.Public()})
			setEntry(r.log.add(t, body, r.log.key, r.log.origin))(b)
		})
	}, trust.ErrLogProof, "not of this signature"},
	"root of another size": {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).InclusionProof.TreeSize++ }), trust.ErrLogProof, "the proof is for the size"},
	"another root":         {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).InclusionProof.RootHash[0] ^= 1 }), trust.ErrLogProof, "the proof is for the size"},
	"checkpoint of another size": {recorded(func(t *testing.T, r, _ *realm, body []byte) *rekorv1.TransparencyLogEntry {
		e, later := r.log.add(t, body, r.log.key, r.log.origin), r.log.add(t, []byte("later"), r.log.key, r.log.origin)
		e.InclusionProof.Checkpoint, e.InclusionProof.TreeSize, e.InclusionProof.RootHash = later.InclusionProof.Checkpoint, later.InclusionProof.TreeSize, later.InclusionProof.RootHash
		return e
	}), trust.ErrLogProof, "the tree does not hold"},
	"hash of the proof changed": {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).InclusionProof.Hashes[0][0] ^= 1 }), trust.ErrLogProof, "the tree does not hold"},
	"hash of the proof missing": {whole("sigstore", func(b *bundlev1.Bundle) {
		entryOf(b).InclusionProof.Hashes = entryOf(b).InclusionProof.Hashes[1:]
	}), trust.ErrLogProof, "the tree does not hold"},
	"two indexes":   {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).InclusionProof.LogIndex++ }), trust.ErrLogProof, "the proof is for the index"},
	"another index": {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).InclusionProof.LogIndex--; entryOf(b).LogIndex-- }), trust.ErrLogProof, "the tree does not hold"},
	"checkpoint by another key": {recorded(func(t *testing.T, r, other *realm, body []byte) *rekorv1.TransparencyLogEntry {
		return r.log.add(t, body, other.log.key, r.log.origin)
	}), trust.ErrLogProof, "checkpoint is not the log's"},
	"checkpoint of another origin": {recorded(func(t *testing.T, r, other *realm, body []byte) *rekorv1.TransparencyLogEntry {
		return r.log.add(t, body, r.log.key, other.log.origin)
	}), trust.ErrLogProof, "checkpoint is not the log's"},
	"checkpoint of the first Rekor": {recorded(func(t *testing.T, r, _ *realm, body []byte) *rekorv1.TransparencyLogEntry {
		e := r.log.add(t, body, r.log.key, r.log.origin)
		e.InclusionProof.Checkpoint.Envelope = "log.sign.acme.example - 123\n" + e.InclusionProof.Checkpoint.Envelope
		return e
	}), trust.ErrLogProof, "checkpoint is not the log's"},
	"fork: a tree of the log's key without the others": {recorded(func(t *testing.T, r, _ *realm, body []byte) *rekorv1.TransparencyLogEntry {
		forked := newMemoryLog(t, r.log.origin)
		forked.key = r.log.key
		e := forked.add(t, body, forked.key, forked.origin)
		good := r.log.add(t, body, r.log.key, r.log.origin)
		good.InclusionProof.Hashes = e.InclusionProof.Hashes
		return good
	}), trust.ErrLogProof, "the tree does not hold"},
	"body that names another digest": {whole("sigstore", func(b *bundlev1.Bundle) {
		e := entryOf(b)
		at := bytes.Index(e.CanonicalizedBody, []byte(`"digest":"`)) + len(`"digest":"`)
		e.CanonicalizedBody[at] = map[bool]byte{true: 'B', false: 'A'}[e.CanonicalizedBody[at] == 'A']
	}), trust.ErrLogProof, "the tree does not hold its bytes"},
	"entry of another log": {recorded(func(t *testing.T, _, other *realm, body []byte) *rekorv1.TransparencyLogEntry {
		return other.log.add(t, body, other.log.key, other.log.origin)
	}), trust.ErrLogUnknown, "by its own word"},
	"entry of another log beside a good one": {whole("sigstore", func(b *bundlev1.Bundle) {
		e := proto.CloneOf(entryOf(b))
		e.LogId.KeyId[0] ^= 1
		b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, e)
	}), trust.ErrLogUnknown, "by its own word"},
	"duplicated entries": {whole("sigstore", func(b *bundlev1.Bundle) {
		b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, entryOf(b))
	}), trust.ErrLogProof, "duplicate"},
	"integratedTime set":  {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).IntegratedTime = time.Now().Unix() }), trust.ErrMalformed, "states a time"},
	"integratedTime, key": {whole("sigstore-key", func(b *bundlev1.Bundle) { entryOf(b).IntegratedTime = time.Now().Unix() }), trust.ErrMalformed, "states a time"},
	"a promise": {whole("sigstore", func(b *bundlev1.Bundle) {
		entryOf(b).InclusionPromise = &rekorv1.InclusionPromise{SignedEntryTimestamp: []byte("x")}
	}), trust.ErrMalformed, "promise"},
	"no proof":            {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).InclusionProof = nil }), trust.ErrMalformed, "no proof"},
	"another kind":        {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).KindVersion.Kind = "dsse" }), trust.ErrMalformed, "expected hashedrekord"},
	"first Rekor's kind":  {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).KindVersion.Version = "0.0.1" }), trust.ErrMalformed, "expected hashedrekord"},
	"a body that is none": {whole("sigstore", func(b *bundlev1.Bundle) { entryOf(b).CanonicalizedBody = []byte("{}") }), trust.ErrMalformed, ""},
	"too many entries": {whole("sigstore", func(b *bundlev1.Bundle) {
		m := b.VerificationMaterial
		for range 4 {
			m.TlogEntries = append(m.TlogEntries, m.TlogEntries[0])
		}
	}), trust.ErrMalformed, "5 log entries"},
	"too many time-stamps": {whole("sigstore", func(b *bundlev1.Bundle) {
		d := b.VerificationMaterial.TimestampVerificationData
		for range 4 {
			d.Rfc3161Timestamps = append(d.Rfc3161Timestamps, d.Rfc3161Timestamps[0])
		}
	}), trust.ErrMalformed, "5 time-stamps"},

	// The signature, and the bundle as such.
	"signature changed": {whole("sigstore", func(b *bundlev1.Bundle) { s := b.GetMessageSignature().Signature; s[len(s)-1] ^= 1 }), trust.ErrSignature, ""},
	"envelope changed":  {whole("cosign", func(b *bundlev1.Bundle) { b.GetDsseEnvelope().Payload = append(b.GetDsseEnvelope().Payload, ' ') }), trust.ErrSignature, ""},
	"by another key, hinted": {func(t *testing.T, r, _ *realm, _ *memoryKey) []byte {
		return r.seal(t, newKey(t, elliptic.P256()), "sigstore-key", nil)
	}, trust.ErrSignature, ""},
	"by another key, certified": {func(t *testing.T, r, _ *realm, _ *memoryKey) []byte {
		return r.seal(t, newKey(t, elliptic.P256()), "sigstore", nil)
	}, trust.ErrWrongKey, "keys/release"},
	"about other bytes": {whole("sigstore", func(b *bundlev1.Bundle) { b.GetMessageSignature().MessageDigest.Digest[0] ^= 1 }), trust.ErrWrongBytes, "it is about"},
	"no signature":      {whole("sigstore", func(b *bundlev1.Bundle) { b.GetMessageSignature().Signature = nil }), trust.ErrMalformed, "no signature"},
	"no digest":         {whole("sigstore", func(b *bundlev1.Bundle) { b.GetMessageSignature().MessageDigest = nil }), trust.ErrMalformed, "names no digest"},
	"two signatures": {whole("cosign", func(b *bundlev1.Bundle) {
		e := b.GetDsseEnvelope()
		e.Signatures = append(e.Signatures, e.Signatures[0])
	}), trust.ErrMalformed, "2 signatures"},
	"envelope without any":   {whole("cosign", func(b *bundlev1.Bundle) { b.Content = &bundlev1.Bundle_DsseEnvelope{DsseEnvelope: &dssev1.Envelope{}} }), trust.ErrMalformed, "0 signatures"},
	"nothing signed":         {whole("sigstore", func(b *bundlev1.Bundle) { b.Content = nil }), trust.ErrMalformed, "no signature"},
	"older bundle":           {whole("sigstore", func(b *bundlev1.Bundle) { b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.2" }), trust.ErrMalformed, "mediaType"},
	"no material":            {whole("sigstore", func(b *bundlev1.Bundle) { b.VerificationMaterial = nil }), trust.ErrMalformed, "neither a certificate nor a key hint"},
	"certificate unreadable": {whole("sigstore", setLeaf([]byte("no certificate"))), trust.ErrMalformed, "cannot be read"},
	"certificate too large":  {whole("sigstore", setLeaf(make([]byte, 20_000))), trust.ErrMalformed, "a certificate of 20000 bytes"},
	"a chain in the bundle": {whole("sigstore", func(b *bundlev1.Bundle) {
		c := b.GetVerificationMaterial().GetCertificate()
		b.VerificationMaterial.Content = &bundlev1.VerificationMaterial_X509CertificateChain{X509CertificateChain: &commonv1.X509CertificateChain{Certificates: []*commonv1.X509Certificate{c}}}
	}), trust.ErrMalformed, "neither a certificate nor a key hint"},
}

// selfSigned is a certificate that names the issuing CA as its issuer and is signed by the artifact key itself.
func selfSigned(t *testing.T, r *realm, key *memoryKey) []byte {
	t.Helper()
	id, err := url.Parse("https://sign.acme.example/keys/release")
	require.NoError(t, err)
	tmpl := template("")
	tmpl.KeyUsage, tmpl.ExtKeyUsage, tmpl.URIs = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, []*url.URL{id}
	parent := *r.chain[0]
	parent.PublicKey = key.Public()
	return create(t, tmpl, &parent, key.Public(), key).Raw
}

func stampOf(t *testing.T, r *realm, signature []byte) []byte {
	t.Helper()
	token, _, err := r.stamper.Stamp(t.Context(), signature)
	require.NoError(t, err)
	return token
}

// Every way to pass something off as signed, certified, logged or stamped is refused, for its reason.
func TestAttacks(t *testing.T) {
	t.Parallel()
	r, other := newRealm(t, "sign.acme.example"), newRealm(t, "other.acme.example")
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := newKey(t, elliptic.P256())
			content := a.make(t, r, other, key)
			digest := digestFor(key, "sigstore")
			_, err := r.verifier.Verify(content, key.Public(), digest)
			require.ErrorIs(t, err, a.err)
			require.ErrorContains(t, err, a.says)
			require.NotContains(t, []reason.Code{"", reason.Undecided}, trust.Problem(err))
			for _, sentinel := range []error{trust.ErrMalformed, trust.ErrWrongKey, trust.ErrWrongBytes, trust.ErrSignature, trust.ErrLogUnknown, trust.ErrLogProof, trust.ErrCertificate, trust.ErrStampedOutside, trust.ErrTimestamp} {
				if !errors.Is(a.err, sentinel) {
					require.NotErrorIs(t, err, sentinel, "one reason")
				}
			}
		})
	}
}

// What was in order when it was made is no longer, or was not yet, when what it rests on is listed for another time.
func TestVerifyWindows(t *testing.T) {
	t.Parallel()
	r := newRealm(t, "sign.acme.example")
	key := newKey(t, elliptic.P256())
	certified, hinted := r.seal(t, key, "sigstore", nil), r.seal(t, key, "sigstore-key", nil)
	timeless := changed(t, hinted, func(b *bundlev1.Bundle) { b.VerificationMaterial.TimestampVerificationData = nil })
	past, future := trust.Window{To: time.Now().Add(-time.Hour)}, trust.Window{From: time.Now().Add(48 * time.Hour)}
	good := trust.Window{From: time.Now(), To: time.Now().Add(time.Hour)}
	for name, c := range map[string]struct {
		change  func(m *trust.Material, w trust.Window)
		content []byte
		err     error
	}{
		"log":            {func(m *trust.Material, w trust.Window) { m.Logs[0].Window = w }, certified, trust.ErrLogProof},
		"log, key":       {func(m *trust.Material, w trust.Window) { m.Logs[0].Window = w }, hinted, trust.ErrLogProof},
		"authority":      {func(m *trust.Material, w trust.Window) { m.Times[0].Window = w }, certified, trust.ErrTimestamp},
		"authority, key": {func(m *trust.Material, w trust.Window) { m.Times[0].Window = w }, hinted, trust.ErrTimestamp},
		"issuer":         {func(m *trust.Material, w trust.Window) { m.Issuers[0].Window = w }, certified, trust.ErrCertificate},
		"SCT key":        {func(m *trust.Material, w trust.Window) { m.SCTs[0].Window = w }, certified, trust.ErrCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judge := func(w trust.Window) error {
				m := r.material()
				c.change(&m, w)
				v, err := trust.NewVerifier(buildRoot(t, m))
				require.NoError(t, err)
				_, err = v.Verify(c.content, key.Public(), digestFor(key, "sigstore"))
				return err
			}
			require.NoError(t, judge(good))
			require.ErrorIs(t, judge(past), c.err)
			require.ErrorIs(t, judge(future), c.err)
		})
	}
	m := r.material()
	m.Logs[0].Window = good
	v, err := trust.NewVerifier(buildRoot(t, m))
	require.NoError(t, err)
	_, err = v.Verify(timeless, key.Public(), digestFor(key, "sigstore"))
	require.ErrorIs(t, err, trust.ErrLogProof, "a log that ends proves nothing without a time")
	require.ErrorContains(t, err, "no time-stamp tells")
}

// A verdict depends on the trusted root alone: an issuing CA that has since expired takes nothing back, and one that had
// expired when something was stamped gives nothing.
func TestVerifyExpiredIssuer(t *testing.T) {
	t.Parallel()
	r := newRealm(t, "sign.acme.example")
	key := newKey(t, elliptic.P256())
	tmpl := template("brief CA")
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
	brief := create(t, tmpl, r.chain[1], r.issuing.Public(), r.root)
	m := r.material()
	m.Issuers[0].Chain = []*x509.Certificate{brief, r.chain[1]}
	v, err := trust.NewVerifier(buildRoot(t, m))
	require.NoError(t, err)
	r.chain[0] = brief
	content := made(func(*x509.Certificate) {})(t, r, nil, key)
	_, err = v.Verify(content, key.Public(), digestFor(key, "sigstore"))
	require.ErrorIs(t, err, trust.ErrStampedOutside)
}
