package verify_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// attack is a bundle in which one thing is not as it should be, and the realm that a verifier believes.
type attack struct {
	realm   *verifytest.Realm
	content []byte
	want    reason.Code // "" when it is none
}

// attacks on the trust, on top of those on the signature that sealtest.Cases holds.
func attacks(t testing.TB, key *sealtest.Key) map[string]attack {
	t.Helper()
	all := map[string]attack{}
	add := func(name string, want reason.Code, make func(r *verifytest.Realm, o *verifytest.Order)) {
		r := verifytest.New(t)
		o := verifytest.Order{Key: key, Content: []byte(artifactText), More: 2}
		make(r, &o)
		all[name] = attack{r, r.Bundle(o), want}
	}
	leaf := func(name string, want reason.Code, l func(r *verifytest.Realm) verifytest.Leaf) {
		add("certificate: "+name, want, func(r *verifytest.Realm, o *verifytest.Order) { o.Leaf = l(r) })
	}
	template := func(name string, want reason.Code, edit func(c *x509.Certificate)) {
		leaf(name, want, func(*verifytest.Realm) verifytest.Leaf { return verifytest.Leaf{Edit: edit} })
	}
	entry := func(name string, edit func(r *verifytest.Realm, e *verifytest.Entry)) {
		add("log: "+name, reason.LogProofInvalid, func(r *verifytest.Realm, o *verifytest.Order) {
			o.Entry = func(e *verifytest.Entry) { edit(r, e) }
		})
	}
	stamp := func(name string, want reason.Code, s func(r *verifytest.Realm) verifytest.Stamp) {
		add("time: "+name, want, func(r *verifytest.Realm, o *verifytest.Order) { o.Stamp = s(r) })
	}
	add("none", "", func(*verifytest.Realm, *verifytest.Order) {})
	add("none, of an image", "", func(_ *verifytest.Realm, o *verifytest.Order) { o.Image = true })
	add("none, by key", "", func(_ *verifytest.Realm, o *verifytest.Order) { o.Bare = true })

	other := verifytest.New(t)
	template("of a CA", reason.CertificateUntrusted, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	template("for servers", reason.CertificateUntrusted, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	template("for nothing in particular", reason.CertificateUntrusted, func(c *x509.Certificate) { c.ExtKeyUsage = nil })
	template("not for signatures", reason.CertificateUntrusted, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
	template("over already", reason.CertificateExpired, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = verifytest.Now.AddDate(0, 0, -2), verifytest.Now.AddDate(0, 0, -1)
	})
	template("not begun", reason.CertificateExpired, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = verifytest.Now.Add(time.Minute), verifytest.Now.AddDate(0, 0, 1)
	})
	leaf("by another house", reason.CertificateUntrusted, func(r *verifytest.Realm) verifytest.Leaf {
		return verifytest.Leaf{By: other.IssuingCA, Promise: &verifytest.Promise{Key: r.CT}}
	})
	leaf("by a namesake", reason.CertificateUntrusted, func(r *verifytest.Realm) verifytest.Leaf {
		c := *r.IssuingCA.Certificate
		c.PublicKey, c.RawSubjectPublicKeyInfo = other.IssuingCA.PublicKey, other.IssuingCA.RawSubjectPublicKeyInfo
		return verifytest.Leaf{By: &verifytest.CA{Certificate: &c, Key: other.IssuingCA.Key}}
	})
	leaf("without a promise", reason.CertificateUntrusted, func(*verifytest.Realm) verifytest.Leaf {
		return verifytest.Leaf{Promise: &verifytest.Promise{}}
	})
	leaf("promised by another log", reason.CertificateUntrusted, func(*verifytest.Realm) verifytest.Leaf {
		return verifytest.Leaf{Promise: &verifytest.Promise{Key: other.CT}}
	})
	leaf("promised before the log's time", reason.CertificateUntrusted, func(r *verifytest.Realm) verifytest.Leaf {
		return verifytest.Leaf{Promise: &verifytest.Promise{Key: r.CT, At: verifytest.Start.Add(-time.Hour)}}
	})
	leaf("another than promised: identity", reason.CertificateUntrusted, func(*verifytest.Realm) verifytest.Leaf {
		return verifytest.Leaf{Swap: func(c *x509.Certificate) { c.URIs[0].Path = "/configurations/else" }}
	})
	leaf("another than promised: life", reason.CertificateUntrusted, func(*verifytest.Realm) verifytest.Leaf {
		return verifytest.Leaf{Swap: func(c *x509.Certificate) { c.NotAfter = c.NotAfter.AddDate(1, 0, 0) }}
	})
	add("certificate: issuer over", reason.CertificateExpired, func(r *verifytest.Realm, o *verifytest.Order) {
		r.IssuingCA = r.Issue(&x509.Certificate{
			Subject: r.IssuingCA.Subject, NotBefore: verifytest.Start, NotAfter: verifytest.Now.AddDate(0, -1, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}, r.RootCA, nil)
	})
	for order, first := range map[string]bool{"after": false, "before": true} {
		renewed := func(name string, want reason.Code, from time.Time) {
			add("certificate: "+name+", listed "+order+" the one of then", want, func(r *verifytest.Realm, _ *verifytest.Order) {
				r.RenewedFirst = first
				r.Renew(from)
			})
		}
		renewed("none, issuer renewed since", "", verifytest.Now.AddDate(0, 0, 2))
		renewed("none, issuer renewed before", "", verifytest.Now.AddDate(0, 0, -2))
		add("certificate: issuer over and renewed too late, listed "+order, reason.CertificateExpired, func(r *verifytest.Realm, _ *verifytest.Order) {
			r.RenewedFirst = first
			r.IssuingCA = r.Issue(&x509.Certificate{
				Subject: r.IssuingCA.Subject, NotBefore: verifytest.Start, NotAfter: verifytest.Now.AddDate(0, -1, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			}, r.RootCA, nil)
			r.Renew(verifytest.Now.AddDate(0, 1, 0))
		})
	}
	add("certificate: issuer withdrawn", reason.CertificateUntrusted, func(r *verifytest.Realm, _ *verifytest.Order) {
		r.IssuerEnd = verifytest.Now.Add(-time.Second)
	})
	add("certificate: of another key", reason.SignatureWrongKey, func(r *verifytest.Realm, o *verifytest.Order) {
		o.Certificate = r.Certify(verifytest.NewKey(t).Public(), verifytest.Leaf{})
	})
	add("certificate: unreadable", reason.SignatureInvalid, func(_ *verifytest.Realm, o *verifytest.Order) { o.Certificate = []byte{0x30, 0} })

	entry("number of another", func(_ *verifytest.Realm, e *verifytest.Entry) { e.LogIndex--; e.Proof.LogIndex-- })
	entry("beyond the tree", func(_ *verifytest.Realm, e *verifytest.Entry) { e.LogIndex, e.Proof.LogIndex = 99, 99 })
	refused := func(name string, edit func(e *verifytest.Entry)) {
		add("log: "+name, reason.SignatureInvalid, func(_ *verifytest.Realm, o *verifytest.Order) { o.Entry = edit })
	}
	refused("no proof", func(e *verifytest.Entry) { e.Proof = nil })
	refused("no checkpoint", func(e *verifytest.Entry) { e.Proof.Checkpoint.Envelope = "" })
	entry("proof cut", func(_ *verifytest.Realm, e *verifytest.Entry) { e.Proof.Hashes = e.Proof.Hashes[1:] })
	entry("proof of another", func(_ *verifytest.Realm, e *verifytest.Entry) { e.Proof.Hashes[0][0] ^= 1 })
	for name, edit := range map[string]func(e *verifytest.Entry){
		"another log":             func(e *verifytest.Entry) { *e = *other.Tlog.Add(e.Body, 0) },
		"unknown log, known name": func(e *verifytest.Entry) { e.LogID.KeyID[0] ^= 1 },
	} {
		add("log: "+name, reason.LogUnknown, func(_ *verifytest.Realm, o *verifytest.Order) { o.Entry = edit })
	}
	entry("forged checkpoint", func(r *verifytest.Realm, e *verifytest.Entry) {
		forged := *other.Tlog.Add(e.Body, 0)
		forged.LogID = e.LogID
		*e = forged
	})
	entry("checkpoint under another name", func(r *verifytest.Realm, e *verifytest.Entry) {
		r.Tlog.Origin = "elsewhere.example"
		e.Proof.Checkpoint.Envelope = r.Tlog.Checkpoint(int(e.Proof.TreeSize), e.Proof.RootHash)
		r.Tlog.Origin = verifytest.Origin
	})
	entry("name in the checkpoint is another", func(r *verifytest.Realm, e *verifytest.Entry) {
		text, _, _ := strings.Cut(e.Proof.Checkpoint.Envelope, "\n\u2014")
		e.Proof.Checkpoint.Envelope = r.Tlog.Note(strings.Replace(text, verifytest.Origin, "elsewhere.example", 1), verifytest.Origin)
	})
	entry("checkpoint of another tree", func(r *verifytest.Realm, e *verifytest.Entry) {
		root := sha256.Sum256([]byte("fork"))
		e.Proof.RootHash = root[:]
		e.Proof.Checkpoint.Envelope = r.Tlog.Checkpoint(int(e.Proof.TreeSize), root[:])
	})
	entry("entry removed", func(r *verifytest.Realm, e *verifytest.Entry) {
		forked := *r.Tlog
		forked.Forget()
		forked.Fill(8)
		e.Proof.Checkpoint.Envelope = forked.Head()
	})
	entry("checkpoint changed", func(_ *verifytest.Realm, e *verifytest.Entry) {
		e.Proof.Checkpoint.Envelope = strings.Replace(e.Proof.Checkpoint.Envelope, "\n8\n", "\n9\n", 1)
	})
	refused("of an older kind", func(e *verifytest.Entry) { e.Kind.Version = "0.0.1" })
	add("log: entry of another signature", reason.LogProofInvalid, func(_ *verifytest.Realm, o *verifytest.Order) {
		o.Logged = func(signature, names []byte) ([]byte, []byte) { return append(bytes.Clone(signature), 0), names }
	})
	add("log: entry of another certificate", reason.LogProofInvalid, func(r *verifytest.Realm, o *verifytest.Order) {
		o.Logged = func(signature, names []byte) ([]byte, []byte) {
			return signature, r.Certify(key.Public(), verifytest.Leaf{})
		}
	})
	add("log: entry of another key", reason.LogProofInvalid, func(_ *verifytest.Realm, o *verifytest.Order) {
		o.Bare = true
		o.Logged = func(signature, names []byte) ([]byte, []byte) {
			return signature, verifytest.SPKI(t, sealtest.NewKey(t, "P-256", "else").Public())
		}
	})

	add("log: none", reason.LogProofInvalid, func(_ *verifytest.Realm, o *verifytest.Order) { o.NoEntry = true })
	refused("with a time of its own", func(e *verifytest.Entry) { e.Time = verifytest.Now.Unix() })
	refused("below zero", func(e *verifytest.Entry) { e.LogIndex = -1 })
	add("log: ended before", reason.LogProofInvalid, func(r *verifytest.Realm, _ *verifytest.Order) { r.LogEnd = verifytest.Now.Add(-time.Second) })
	add("log: ended, and no time", reason.LogProofInvalid, func(r *verifytest.Realm, o *verifytest.Order) {
		o.Bare, o.NoStamp, r.LogEnd = true, true, verifytest.Now.AddDate(1, 0, 0)
	})
	add("time: none", reason.TimestampInvalid, func(_ *verifytest.Realm, o *verifytest.Order) { o.NoStamp = true })

	stamp("of another signature", reason.TimestampInvalid, func(*verifytest.Realm) verifytest.Stamp { return verifytest.Stamp{Of: []byte("another")} })
	stamp("by another clock", reason.TimestampInvalid, func(*verifytest.Realm) verifytest.Stamp { return verifytest.Stamp{By: other.ClockLeaf} })
	stamp("by a namesake of the clock", reason.TimestampInvalid, func(r *verifytest.Realm) verifytest.Stamp {
		return verifytest.Stamp{By: &verifytest.CA{Certificate: r.ClockLeaf.Certificate, Key: other.ClockLeaf.Key}}
	})
	stamp("by the issuer of certificates", reason.TimestampInvalid, func(r *verifytest.Realm) verifytest.Stamp { return verifytest.Stamp{By: r.IssuingCA} })
	stamp("before the clock's time", reason.TimestampInvalid, func(*verifytest.Realm) verifytest.Stamp {
		return verifytest.Stamp{At: verifytest.Start.Add(-time.Hour)}
	})
	stamp("after the clock's time", reason.TimestampInvalid, func(*verifytest.Realm) verifytest.Stamp {
		return verifytest.Stamp{At: verifytest.Start.AddDate(6, 0, 0)}
	})
	stamp("before the certificate's time", reason.CertificateExpired, func(*verifytest.Realm) verifytest.Stamp {
		return verifytest.Stamp{At: verifytest.Now.Add(-time.Hour)}
	})
	stamp("after the certificate's time", reason.CertificateExpired, func(*verifytest.Realm) verifytest.Stamp {
		return verifytest.Stamp{At: verifytest.Now.AddDate(0, 0, 2)}
	})
	again := func(name string, want reason.Code, at time.Time) {
		add("time: once more, "+name, want, func(_ *verifytest.Realm, o *verifytest.Order) { o.Again = &verifytest.Stamp{At: at} })
	}
	again("within the certificate's time", "", verifytest.Now.Add(time.Minute))
	again("after the certificate's time", reason.CertificateExpired, verifytest.Now.AddDate(0, 0, 2))
	again("before the certificate's time", reason.CertificateExpired, verifytest.Now.Add(-time.Hour))
	add("time: clock withdrawn", reason.TimestampInvalid, func(r *verifytest.Realm, _ *verifytest.Order) { r.ClockEnd = verifytest.Now.Add(-time.Second) })
	for name, edit := range map[string]func(c *x509.Certificate){
		"for more than time":    func(c *x509.Certificate) { c.ExtraExtensions = usages(t, true, 8, 3) },
		"usage is not critical": func(c *x509.Certificate) { c.ExtraExtensions = usages(t, false, 8) },
		"for code":              func(c *x509.Certificate) { c.ExtraExtensions = usages(t, true, 3) },
		"a CA":                  func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
	} {
		add("time: clock's certificate: "+name, reason.TimestampInvalid, func(r *verifytest.Realm, _ *verifytest.Order) { r.ClockLeaf = r.Clock(edit) })
	}
	add("time: unreadable", reason.TimestampInvalid, func(_ *verifytest.Realm, o *verifytest.Order) {
		o.Bundle = func(b map[string]any) {
			b["verificationMaterial"].(map[string]any)["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": base64.StdEncoding.EncodeToString([]byte("no time"))}}}
		}
	})
	return all
}

// Every attack is refused with its own reason, whether the certificate is believed for its identity or for its key.
func TestAttacks(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "release")
	d := verify.Digests(sealtest.Digests(t, artifactText))
	for name, a := range attacks(t, key) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			format := "sigstore"
			if bytes.Contains(a.content, []byte("dsseEnvelope")) {
				format = "cosign"
			}
			f, err := verify.Artifact(pinning(t, a.realm, key), format, d, a.content)
			require.Equal(t, a.want, verify.Problem(err), "%v", err)
			if a.want != "" {
				require.Zero(t, f)
				require.Less(t, len(err.Error()), 1000)
			}
			trust := believing(t, a.realm)
			trust.Keys = pinning(t, a.realm, key).Keys
			_, err = verify.Artifact(trust, format, d, a.content)
			if a.want == reason.SignatureWrongKey {
				a.want = reason.SignatureInvalid // the certificate is believed, and its key did not sign
			}
			require.Equal(t, a.want, verify.Problem(err), "%v", err)
		})
	}
}

// What only a name can be wrong about.
func TestIdentities(t *testing.T) {
	t.Parallel()
	key, d := sealtest.NewKey(t, "P-256", "release"), verify.Digests(sealtest.Digests(t, artifactText))
	r := verifytest.New(t)
	none, mine, evil := "", verifytest.Issuer, "https://evil.example"
	anchored, err := verify.Like(`https://hallmark\.example/configurations/[a-z]+`)
	require.NoError(t, err)
	either, err := verify.Like(`nobody|https://hallmark\.example`)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		leaf verifytest.Leaf
		id   verify.Identity
		ok   bool
	}{
		"as it should be":    {verifytest.Leaf{}, verify.Identity{Issuer: verify.Exactly(mine), Subject: verify.Exactly(verifytest.Identity)}, true},
		"by expressions":     {verifytest.Leaf{}, verify.Identity{Issuer: either, Subject: anchored}, true},
		"another subject":    {verifytest.Leaf{Identities: []string{verifytest.Identity + "2"}}, verify.Identity{Issuer: verify.Exactly(mine), Subject: verify.Exactly(verifytest.Identity)}, false},
		"more behind":        {verifytest.Leaf{Identities: []string{verifytest.Identity + "/x"}}, verify.Identity{Issuer: either, Subject: anchored}, false},
		"more before":        {verifytest.Leaf{Identities: []string{"https://evil.example/?" + verifytest.Identity}}, verify.Identity{Issuer: either, Subject: anchored}, false},
		"another issuer":     {verifytest.Leaf{Issuer: &evil}, verify.Identity{Issuer: either, Subject: anchored}, false},
		"no issuer":          {verifytest.Leaf{Issuer: &none}, verify.Identity{Issuer: verify.Exactly(""), Subject: anchored}, false},
		"two names":          {verifytest.Leaf{Identities: []string{verifytest.Identity, "https://evil.example"}}, verify.Identity{Issuer: either, Subject: anchored}, false},
		"no name":            {verifytest.Leaf{Identities: []string{}}, verify.Identity{Issuer: either, Subject: anchored}, false},
		"a mail address too": {verifytest.Leaf{Edit: func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b.example"} }}, verify.Identity{Issuer: either, Subject: anchored}, false},
	} {
		t.Run(name, func(t *testing.T) {
			trust := believing(t, r)
			trust.Identities = []verify.Identity{{Issuer: verify.Exactly("x"), Subject: verify.Exactly("y")}, c.id}
			_, err := verify.Artifact(trust, "sigstore", d, r.Bundle(verifytest.Order{Key: key, Content: []byte(artifactText), Leaf: c.leaf}))
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, verify.ErrUntrusted)
		})
	}
	for _, broken := range []string{"(", "a)(b", "[", `\`} {
		_, err := verify.Like(broken)
		require.ErrorIs(t, err, verify.ErrTrust)
	}
}

// usages are the extended key usages of a certificate, by their last numbers.
func usages(t testing.TB, critical bool, of ...int) []pkix.Extension {
	t.Helper()
	var ids []asn1.ObjectIdentifier
	for _, n := range of {
		ids = append(ids, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, n})
	}
	value, err := asn1.Marshal(ids)
	require.NoError(t, err)
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: value}}
}
