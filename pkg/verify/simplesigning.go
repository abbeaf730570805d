package verify

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

const simpleSigningType = "cosign container image signature"

// readCosignTag: cosign's older way, a simple-signing text and its signature. Artifactory keeps the two as a layer and the
// layer's annotation; here they come as {"payload": …, "signature": …}, each in base64. Every text is refused but the very
// one that names the manifest by its digest and says nothing else.
func readCosignTag(_ key, d Digests, content []byte) (proof, error) {
	digest, err := d.of(crypto.SHA256)
	if err != nil {
		return proof{}, err
	}
	var stored struct {
		Payload   []byte `json:"payload"`
		Signature []byte `json:"signature"`
	}
	if err := json.Unmarshal(content, &stored); err != nil {
		return proof{}, fmt.Errorf("%w: no payload with a signature: %.200s", ErrMalformed, err.Error())
	}
	manifest := "sha256:" + hex.EncodeToString(digest)
	words := `{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"` + manifest + `"},"type":"` + simpleSigningType + `"},"optional":null}`
	if string(stored.Payload) == words {
		return proof{text: stored.Payload, signature: stored.Signature}, nil
	}
	var said struct {
		Critical struct {
			Identity struct {
				Reference string `json:"docker-reference"`
			} `json:"identity"`
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
			Type string `json:"type"`
		} `json:"critical"`
		Optional map[string]string `json:"optional"`
	}
	if err := json.Unmarshal(stored.Payload, &said); err != nil {
		return proof{}, fmt.Errorf("%w: the payload is no simple-signing text: %.200s", ErrMalformed, err.Error())
	}
	switch {
	case said.Critical.Type != simpleSigningType:
		return proof{}, fmt.Errorf("%w: the text is of type %.100q, expected %q", ErrMalformed, said.Critical.Type, simpleSigningType)
	case said.Critical.Image.Digest != manifest:
		return proof{}, fmt.Errorf("%w: the text is about %.80q, the manifest is %s", ErrWrongBytes, said.Critical.Image.Digest, manifest)
	}
	return proof{}, fmt.Errorf("%w: the text says more, or in other words, than Hallmark does", ErrMalformed)
}
