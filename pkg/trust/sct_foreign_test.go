package trust_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// A certificate of the public Fulcio, with the promise of its log, verifies here too: the encoding is everybody's.
func TestForeignSCT(t *testing.T) {
	t.Parallel()
	content, err := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json").VerificationContent()
	require.NoError(t, err)
	leaf := content.Certificate()
	material := data.TrustedRoot(t, "public-good.json")
	promised := 0
	for _, log := range material.CTLogs() {
		for _, ca := range material.FulcioCertificateAuthorities() {
			authority := ca.(*root.FulcioCertificateAuthority)
			for _, issuing := range authority.Intermediates {
				at, err := trust.VerifySCT(leaf, issuing, log.PublicKey)
				if err != nil {
					require.ErrorIs(t, err, trust.ErrSCT)
					continue
				}
				promised++
				require.WithinDuration(t, leaf.NotBefore, at, time.Minute)
			}
		}
	}
	require.Equal(t, 1, promised)
}

// A promise holds for one certificate only: not for another key's, another identity, another issuerURL, and not after a byte
// was changed.
func TestPromisesAreNotMovable(t *testing.T) {
	t.Parallel()
	r, other := ordinaryCA(t), ordinaryCA(t)
	leaf, second := r.leaf(t, ecKey(t, elliptic.P256())), r.leaf(t, ecKey(t, elliptic.P256()))
	at, err := trust.VerifySCT(leaf, r.chain[0], r.sct.Public())
	require.NoError(t, err)
	require.Equal(t, noon, at)

	_, err = trust.VerifySCT(leaf, r.chain[0], other.sct.Public())
	require.ErrorContains(t, err, "by another log")
	_, err = trust.VerifySCT(leaf, other.chain[0], r.sct.Public())
	require.ErrorContains(t, err, "for another certificate")
	_, err = trust.VerifySCT(r.chain[0], r.chain[1], r.sct.Public())
	require.ErrorContains(t, err, "has none")

	promise := func(c *x509.Certificate) pkix.Extension { return c.Extensions[len(c.Extensions)-1] }
	swapped := *leaf
	swapped.Extensions = append(append([]pkix.Extension{}, leaf.Extensions[:len(leaf.Extensions)-1]...), promise(second))
	_, err = trust.VerifySCT(&swapped, r.chain[0], r.sct.Public())
	require.ErrorContains(t, err, "for another certificate")

	renamed := *leaf
	renamed.RawTBSCertificate = bytes.Replace(bytes.Clone(leaf.RawTBSCertificate), []byte("release-2026"), []byte("release-2027"), 1)
	_, err = trust.VerifySCT(&renamed, r.chain[0], r.sct.Public())
	require.ErrorContains(t, err, "for another certificate")
	require.Error(t, renamed.CheckSignatureFrom(r.chain[0]), "nor does the certificate itself hold")
}
