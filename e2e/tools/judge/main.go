// Command judge has sigstore-go verify a bundle, as its own documentation does: with a trusted root and either a certificate
// identity or a public key. It is built with another version of sigstore-go than Hallmark, and shares no code with it.
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

func main() {
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
	fmt.Println("Verified OK")
}

func judge() error {
	rootFile := flag.String("trusted-root", "trusted_root.json", "")
	bundleFile := flag.String("bundle", "", "")
	keyFile := flag.String("key", "", "PEM public key; or identity and issuer")
	identity, issuer := flag.String("identity", "", ""), flag.String("issuer", "", "")
	digest := flag.String("digest", "", "sha256:HEX; or the artifact's file as argument")
	flag.Parse()

	trusted, err := root.NewTrustedRootFromPath(*rootFile)
	if err != nil {
		return err
	}
	b, err := bundle.LoadJSONFromPath(*bundleFile)
	if err != nil {
		return err
	}
	var artifact verify.ArtifactPolicyOption
	if algorithm, sum, ok := strings.Cut(*digest, ":"); ok {
		raw, err := hex.DecodeString(sum)
		if err != nil {
			return err
		}
		artifact = verify.WithArtifactDigest(algorithm, raw)
	} else {
		f, err := os.Open(flag.Arg(0))
		if err != nil {
			return err
		}
		defer f.Close()
		artifact = verify.WithArtifact(f)
	}
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1)}
	var material root.TrustedMaterial = trusted
	var by verify.PolicyOption
	if *keyFile != "" {
		text, err := os.ReadFile(*keyFile)
		if err != nil {
			return err
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return errors.New("no PEM in the key's file")
		}
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return err
		}
		material, by = pinned{trusted, pub}, verify.WithKey()
	} else {
		id, err := verify.NewShortCertificateIdentity(*issuer, "", *identity, "")
		if err != nil {
			return err
		}
		options, by = append(options, verify.WithSignedCertificateTimestamps(1)), verify.WithCertificateIdentity(id)
	}
	v, err := verify.NewVerifier(material, options...)
	if err != nil {
		return err
	}
	_, err = v.Verify(b, verify.NewPolicy(artifact, by))
	return err
}

// pinned is a trusted root with one key.
type pinned struct {
	*root.TrustedRoot
	key crypto.PublicKey
}

func (p pinned) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	v, err := signature.LoadDefaultVerifier(p.key)
	if err != nil {
		return nil, err
	}
	return root.NewExpiringKey(v, time.Time{}, time.Time{}), nil
}
