package audit_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const rigOrigin = "log.example"

var rigTime = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// story is a log in the making, whose writer can lie as he likes: he has the log's key.
type story struct {
	t      testing.TB
	log    *ecdsa.PrivateKey
	key    *ecdsa.PrivateKey // signs artifacts
	leaves [][]byte
	ids    uint64
	now    time.Time
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func spkiOf(t testing.TB, pub crypto.PublicKey) artifact.Digest {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	return sha256.Sum256(der)
}

// newStory begins with the start of a process.
func newStory(t testing.TB) *story {
	t.Helper()
	s := &story{t: t, log: newKey(t), key: newKey(t), now: rigTime}
	s.start(s.key)
	return s
}

func (s *story) keys() []audit.Key { return []audit.Key{{Origin: rigOrigin, Public: s.log.Public()}} }

func (s *story) add(l audit.Leaf) uint64 {
	s.t.Helper()
	b, err := l.Marshal()
	require.NoError(s.t, err)
	return s.raw(b)
}

func (s *story) raw(b []byte) uint64 {
	s.leaves = append(s.leaves, b)
	return uint64(len(s.leaves) - 1)
}

func (s *story) start(keys ...*ecdsa.PrivateKey) {
	s.t.Helper()
	l := audit.Start{Replica: "one", Version: "test", At: s.now}
	for i, k := range keys {
		l.Keys = append(l.Keys, audit.OpenedKey{Name: fmt.Sprintf("release-%d", i), SPKI: spkiOf(s.t, k.Public()), Use: "artifact"})
	}
	s.add(l)
}

func (s *story) newIntent() audit.Intent {
	s.ids++
	return audit.Intent{
		ID: s.ids, Replica: "one", Grant: fmt.Sprintf("grant-%d", s.ids), Event: s.ids, Asked: "ci", Instance: "main", Repo: "libs-staging-local",
		Path: fmt.Sprintf("app/1.%d/app.tgz", s.ids), Subject: sha256.Sum256(fmt.Appendf(nil, "artifact %d", s.ids)), Key: "release-0",
		SPKI: spkiOf(s.t, s.key.Public()), Purpose: "sign", Formats: []string{"sigstore"}, Policy: "release-binaries", Rule: "release.yaml:9 (release-binaries)",
		PolicySet: sha256.Sum256([]byte("policies")), At: s.now,
	}
}

func (s *story) sign(k *ecdsa.PrivateKey, digest artifact.Digest) audit.Rekord {
	s.t.Helper()
	sig, err := ecdsa.SignASN1(rand.Reader, k, digest[:])
	require.NoError(s.t, err)
	return audit.Rekord{Digest: digest[:], Hash: crypto.SHA256, Signature: sig, Verifier: audit.Verifier{PublicKey: k.Public()}}
}

func useOf(r audit.Rekord, entries ...uint64) audit.Use {
	return audit.Use{Signature: sha256.Sum256(r.Signature), Entries: entries}
}

func (s *story) sealed(intent uint64, uses ...audit.Use) audit.Outcome {
	return audit.Outcome{Intent: intent, Result: audit.Sealed, Uses: uses, At: s.now}
}

// use is a use of the key as it should be.
func (s *story) use() (intent, entry, outcome uint64) {
	s.t.Helper()
	in := s.newIntent()
	intent = s.add(in)
	r := s.sign(s.key, in.Subject)
	entry = s.add(r)
	return intent, entry, s.add(s.sealed(intent, useOf(r, entry)))
}

func (s *story) uses(n int) *story {
	s.t.Helper()
	for range n {
		s.use()
	}
	return s
}

// certificate is one for the key, of an issuer that nobody asks about here.
func (s *story) certificate(k *ecdsa.PrivateKey) []byte {
	s.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(int64(len(s.leaves) + 1)), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: s.now, NotAfter: s.now.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}}, k.Public(), s.log)
	require.NoError(s.t, err)
	return der
}

// issue logs a certificate as the service does.
func (s *story) issue(k *ecdsa.PrivateKey) []byte {
	s.t.Helper()
	cert := s.certificate(k)
	s.add(audit.Draft{TBS: draftOf(s.t, cert)})
	s.add(audit.Certificate{DER: cert})
	return cert
}

// checkpoint signs what the log is to have said of itself.
func (s *story) checkpoint(origin string, size int, root []byte) []byte {
	return signCheckpoint(s.t, s.log, origin, size, root)
}

func signCheckpoint(t testing.TB, k *ecdsa.PrivateKey, origin string, size int, root []byte) []byte {
	t.Helper()
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root))
	sum := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
	require.NoError(t, err)
	spki := spkiOf(t, k.Public())
	line := append(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(spki[:4])), sig...)
	return fmt.Appendf(nil, "%s\n— %s %s\n", text, origin, base64.StdEncoding.EncodeToString(line))
}

// head is the log's head over its first entries.
func (s *story) head(size int) audit.Head {
	s.t.Helper()
	root, err := audit.WriteDir(s.t.TempDir(), s.leaves[:size])
	require.NoError(s.t, err)
	h, err := audit.ParseHead(s.checkpoint(rigOrigin, size, root), s.keys())
	require.NoError(s.t, err)
	return h
}

func kept(h audit.Head) audit.Kept { return audit.Kept{Where: "kept", Size: h.Size, Root: h.Root} }

// write makes the log's directory.
func (s *story) write() string {
	s.t.Helper()
	dir := s.t.TempDir()
	root, err := audit.WriteDir(dir, s.leaves)
	require.NoError(s.t, err)
	put(s.t, dir, "checkpoint", s.checkpoint(rigOrigin, len(s.leaves), root))
	return dir
}

func put(t testing.TB, dir, path string, content []byte) {
	t.Helper()
	file := filepath.Join(dir, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, content, 0o600))
}

func openDir(t testing.TB, dir string) *audit.Reader {
	t.Helper()
	r, err := audit.ReadDir(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// replay replays the directory of a log. It is the story's time.
func (s *story) replay(dir string, how audit.Replay) *audit.Report {
	s.t.Helper()
	r := openDir(s.t, dir)
	head, err := r.Head(context.Background(), s.keys())
	require.NoError(s.t, err)
	how.Head = head
	if how.AsOf.IsZero() {
		how.AsOf = s.now
	}
	report, err := r.Replay(context.Background(), how)
	require.NoError(s.t, err)
	return report
}

func codesOf(r *audit.Report) []reason.Code {
	codes := []reason.Code{}
	for _, f := range r.All {
		codes = append(codes, f.Code)
	}
	return codes
}
