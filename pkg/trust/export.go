package trust

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	rootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
)

// The names of what is exported. Each key is KeysDir + "/" + its name + ".pem".
const (
	RootFile  = "trusted_root.json"
	TrustFile = "hallmark-trust.json"
	CAFile    = "ca.pem"
	TimeFile  = "tsa.pem"
	KeysDir   = "keys"
)

// trustMediaType is the media type of TrustFile. Readers refuse members that they do not know, so that new ones need a
// new type.
const trustMediaType = "application/vnd.hallmark.trust.v1+json"

// Export is what verifiers must believe, as values. Only Keys are required: without a root, signatures are bare.
type Export struct {
	Root       []byte             // trusted_root.json
	Issuer     string             // of certificates
	Identities []ExportedIdentity // of certificates
	Keys       []ExportedKey      // artifact keys; no service key belongs here
	Distrusted []DistrustedPin
	At         time.Time // when it is exported, for people
}

// ExportedIdentity is whom certificates are for.
type ExportedIdentity struct {
	URI  string `json:"uri"`  // to the letter
	Lane string `json:"lane"` // of the keys that sign under it
}

// ExportedKey is an artifact key and when it counts. Zero times are no bounds.
type ExportedKey struct {
	Name, Lane                string
	Public                    crypto.PublicKey
	From, Retired, Distrusted time.Time
}

// DistrustedPin is a distrusted key of which nothing but the pin is known, for it may be in certificates.
type DistrustedPin struct {
	SPKI [sha256.Size]byte // SHA-256 over the SubjectPublicKeyInfo in DER
	From time.Time
}

// File is one exported file.
type File struct {
	Name      string // with / between folder and file
	MediaType string
	Content   []byte
}

type trustFile struct {
	MediaType  string             `json:"mediaType"`
	Exported   time.Time          `json:"exported"`
	Issuer     string             `json:"issuer"`
	Identities []ExportedIdentity `json:"identities"`
	Keys       []listedKey        `json:"keys"`
	Distrusted []listedPin        `json:"distrustedKeys,omitempty"`
}

type listedPin struct {
	SPKI string    `json:"spki"`
	From time.Time `json:"from"`
}

type listedKey struct {
	Name       string    `json:"name"`
	Lane       string    `json:"lane"`
	PublicKey  []byte    `json:"publicKey"` // SubjectPublicKeyInfo in DER
	SPKI       string    `json:"spki"`
	From       time.Time `json:"from,omitzero"`
	Retired    time.Time `json:"retired,omitzero"`
	Distrusted time.Time `json:"distrusted,omitzero"`
}

// keyName is what a key may be called as a file; configuration holds names to the same.
var keyName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Files renders the export: the same values give the same bytes. TrustFile is the last, so that whoever writes the files
// in order never lists a key that is not there yet.
func (e Export) Files() ([]File, error) {
	var files []File
	if e.Root != nil {
		root, err := parseRoot(e.Root)
		if err != nil {
			return nil, fmt.Errorf("exporting trust: %w: %w", ErrRoot, err)
		}
		files = append(files, File{RootFile, "application/json", e.Root})
		for _, of := range []struct {
			name string
			all  []*rootv1.CertificateAuthority
		}{{CAFile, root.GetCertificateAuthorities()}, {TimeFile, root.GetTimestampAuthorities()}} {
			chains, err := certificatesOf(of.all)
			if err != nil {
				return nil, fmt.Errorf("exporting trust: %w: %w", ErrRoot, err)
			}
			if len(chains) > 0 {
				files = append(files, File{of.name, "application/pem-certificate-chain", PEMChain(chains...)})
			}
		}
	}
	t := trustFile{MediaType: trustMediaType, Exported: e.At.UTC().Truncate(time.Second), Issuer: e.Issuer, Identities: e.identities(), Keys: []listedKey{}}
	for _, k := range e.keys() {
		der, err := x509.MarshalPKIXPublicKey(k.Public)
		if err != nil {
			return nil, fmt.Errorf("exporting trust: key %q: %w", k.Name, err)
		}
		if !keyName.MatchString(k.Name) {
			return nil, fmt.Errorf("exporting trust: key %q: its name cannot be that of a file", k.Name)
		}
		if n := len(t.Keys); n > 0 && t.Keys[n-1].Name == k.Name {
			return nil, fmt.Errorf("exporting trust: key %q: two keys have this name", k.Name)
		}
		sum := sha256.Sum256(der)
		t.Keys = append(t.Keys, listedKey{
			Name: k.Name, Lane: k.Lane, PublicKey: der, SPKI: "sha256:" + hex.EncodeToString(sum[:]),
			From: k.From.UTC(), Retired: k.Retired.UTC(), Distrusted: k.Distrusted.UTC(),
		})
		files = append(files, File{KeysDir + "/" + k.Name + ".pem", "application/x-pem-file", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})})
	}
	for _, d := range e.Distrusted {
		t.Distrusted = append(t.Distrusted, listedPin{"sha256:" + hex.EncodeToString(d.SPKI[:]), d.From.UTC()})
	}
	slices.SortFunc(t.Distrusted, func(a, b listedPin) int { return strings.Compare(a.SPKI, b.SPKI) })
	content, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("exporting trust: %w", err)
	}
	return append(files, File{TrustFile, "application/json", append(content, '\n')}), nil
}

// identities are in order, each once, and never nil.
func (e Export) identities() []ExportedIdentity {
	all := append([]ExportedIdentity{}, e.Identities...)
	slices.SortFunc(all, func(a, b ExportedIdentity) int {
		return cmp.Or(strings.Compare(a.URI, b.URI), strings.Compare(a.Lane, b.Lane))
	})
	return slices.Compact(all)
}

// certificatesOf are the chains of authorities, those that were among them, each certificate once.
func certificatesOf(authorities []*rootv1.CertificateAuthority) (all []*x509.Certificate, err error) {
	for _, a := range authorities {
		chain, err := chainOf(a)
		if err != nil {
			return nil, err
		}
		for _, c := range chain {
			if !slices.ContainsFunc(all, c.Equal) {
				all = append(all, c)
			}
		}
	}
	return all, nil
}

func (e Export) keys() []ExportedKey {
	return slices.SortedFunc(slices.Values(e.Keys), func(a, b ExportedKey) int { return strings.Compare(a.Name, b.Name) })
}
