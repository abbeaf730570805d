package artifactory

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// specificationFile is a bundle's signed list of contents.
const specificationFile = "release-bundle.json.evd"

// specification is a bundle as GET records shows it and as its file says.
type specification struct {
	bundleName
	CreatedBy     string             `json:"created_by"`
	Created       string             `json:"created"`
	CreatedMillis int64              `json:"created_millis"`
	Status        string             `json:"status,omitempty"`
	Tag           string             `json:"release_bundle_tag,omitempty"`
	Artifacts     []specificArtifact `json:"artifacts"`
}

type specificArtifact struct {
	Path                string             `json:"path"`
	Checksum            string             `json:"checksum"`
	SourceRepositoryKey string             `json:"source_repository_key"`
	PackageType         string             `json:"package_type"`
	Size                int64              `json:"size"`
	Properties          []specificProperty `json:"properties"`
}

type specificProperty struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

func (b *bundle) specification() specification {
	spec := specification{
		bundleName: bundleName{b.name, b.version}, CreatedBy: b.createdBy, Created: stamp(b.created), CreatedMillis: b.created.UnixMilli(),
		Artifacts: []specificArtifact{},
	}
	for _, x := range b.contents {
		a := specificArtifact{
			Path: x.from.below(), Checksum: x.stored.blob.sha256, SourceRepositoryKey: x.from.repo, PackageType: x.packageType, Size: x.stored.blob.size,
			Properties: []specificProperty{},
		}
		for _, key := range sortedKeys(x.stored.props) {
			a.Properties = append(a.Properties, specificProperty{key, x.stored.props[key]})
		}
		spec.Artifacts = append(spec.Artifacts, a)
	}
	return spec
}

// storeSpecification signs the specification with the platform's own key and stores it. Callers hold s.mu for writing.
func (s *Server) storeSpecification(b *bundle, by *Token) (Event, error) {
	payload, err := json.Marshal(b.specification())
	if err != nil {
		return Event{}, err
	}
	key, err := s.platformKey()
	if err != nil {
		return Event{}, err
	}
	digest := sha256.Sum256(preAuthentication(inTotoType, payload))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return Event{}, fmt.Errorf("stand-in: signing a release bundle: %w", err)
	}
	file, err := json.Marshal(envelope{
		Payload: base64.StdEncoding.EncodeToString(payload), PayloadType: inTotoType,
		Signatures: []envelopeSignature{{"default-lifecycle-key", base64.StdEncoding.EncodeToString(sig)}},
	})
	if err != nil {
		return Event{}, err
	}
	content, err := s.blobs.receive(bytes.NewReader(file))
	if err != nil {
		return Event{}, err
	}
	at := address{repo: bundleRepository(b.project), path: append(b.folder(), specificationFile)}
	if _, _, err := s.placeLocked(call{by: &Token{User: by.User, Admin: true}, at: at}, content, nil, s.now()); err != nil {
		s.blobs.release(content)
		return Event{}, err
	}
	return artifactEvent("deployed", at.repo, at.path, content, by), nil
}

// platformKey is made on first use. Callers hold s.mu for writing.
func (s *Server) platformKey() (*ecdsa.PrivateKey, error) {
	if s.lifecycleKey == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("stand-in: making the platform's key: %w", err)
		}
		s.lifecycleKey = key
	}
	return s.lifecycleKey, nil
}
