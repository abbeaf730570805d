package audit

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"

	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

var (
	// ErrCheckpoint means that a checkpoint is no text that the log has signed.
	ErrCheckpoint = errors.New("not a checkpoint that this log has signed")
	// ErrOrigin is the ErrCheckpoint of another log.
	ErrOrigin = fmt.Errorf("%w: it is another log's", ErrCheckpoint)
)

// Key is what a log's checkpoints are verified with.
type Key struct {
	Origin string
	Public crypto.PublicKey
}

// Head is a checkpoint whose signature was verified: at one time the log had these entries and no others.
type Head struct {
	Origin string
	Size   uint64
	Root   []byte
	Text   []byte // the signed checkpoint itself
}

// String is the head in short.
func (h Head) String() string {
	return fmt.Sprintf("%d entries, root %s", h.Size, hex.EncodeToString(h.Root))
}

// ParseHead verifies a checkpoint with any of the keys. Its origin must be that of the key.
func ParseHead(text []byte, keys []Key) (Head, error) {
	if len(text) > maxHead {
		return Head{}, fmt.Errorf("%w: more than %d bytes", ErrCheckpoint, maxHead)
	}
	origin, _, _ := bytes.Cut(text, []byte("\n"))
	var errs []error
	for _, k := range keys {
		if k.Origin != string(origin) {
			continue
		}
		verifier, err := k.verifier()
		if err != nil {
			return Head{}, err
		}
		c, _, _, err := formats.ParseCheckpoint(text, k.Origin, verifier)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(c.Hash) != hashSize {
			return Head{}, fmt.Errorf("%w: its root has %d bytes", ErrCheckpoint, len(c.Hash))
		}
		return Head{Origin: c.Origin, Size: c.Size, Root: c.Hash, Text: text}, nil
	}
	if len(errs) == 0 {
		return Head{}, fmt.Errorf("%w: its origin is %.100q, expected %s", ErrOrigin, origin, origins(keys))
	}
	return Head{}, fmt.Errorf("%w: %w", ErrCheckpoint, errors.Join(errs...))
}

func (k Key) verifier() (note.Verifier, error) {
	v, err := signature.LoadDefaultVerifier(k.Public)
	if err != nil {
		return nil, fmt.Errorf("the key of the log %s: %w", k.Origin, err)
	}
	return rekornote.NewNoteVerifier(k.Origin, v)
}

func origins(keys []Key) string {
	text := ""
	for i, k := range keys {
		if i > 0 {
			text += " or "
		}
		text += k.Origin
	}
	return text
}

// Head reads the log's checkpoint and verifies it.
func (r *Reader) Head(ctx context.Context, keys []Key) (Head, error) {
	text, err := r.Checkpoint(ctx)
	if err != nil {
		return Head{}, fmt.Errorf("reading the checkpoint of %s: %w", r, err)
	}
	return ParseHead(text, keys)
}

// ParseKeys reads the keys of logs: those that a trusted_root.json names, or public keys in PEM, which say nothing about
// whose they are; for those the origin has to be given. With an origin, only that log's keys are returned.
func ParseKeys(content []byte, origin string) ([]Key, error) {
	var keys []Key
	var err error
	if block, _ := pem.Decode(content); block != nil {
		if origin == "" {
			return nil, errors.New("a public key in PEM does not tell which log it belongs to: name the log's origin, too")
		}
		keys, err = keysInPEM(content, origin)
	} else {
		keys, err = keysInRoot(content, origin)
	}
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 && origin != "" {
		return nil, fmt.Errorf("the trusted root names no log %q", origin)
	}
	if len(keys) == 0 {
		return nil, errors.New("the trusted root names no log")
	}
	return keys, nil
}

func keysInPEM(content []byte, origin string) (keys []Key, err error) {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return keys, nil
		}
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading the log's public key: %w", err)
		}
		keys = append(keys, Key{Origin: origin, Public: pub})
	}
}

// keysInRoot reads what it needs of a trusted_root.json. A retired log's key counts: what it signed in its time is still to
// be checked.
func keysInRoot(content []byte, origin string) (keys []Key, err error) {
	var root struct {
		MediaType string `json:"mediaType"`
		Logs      []struct {
			URL string `json:"baseUrl"`
			Key struct {
				Raw []byte `json:"rawBytes"`
			} `json:"publicKey"`
		} `json:"tlogs"`
	}
	if err := json.Unmarshal(content, &root); err != nil {
		return nil, fmt.Errorf("reading the trusted root: %w; expected trusted_root.json, or a public key in PEM", err)
	}
	for _, l := range root.Logs {
		u, err := url.Parse(l.URL)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("reading the trusted root: the log's address %.100q has no host name", l.URL)
		}
		pub, err := x509.ParsePKIXPublicKey(l.Key.Raw)
		if err != nil {
			return nil, fmt.Errorf("reading the trusted root: the key of the log %s: %w", u.Hostname(), err)
		}
		if origin == "" || origin == u.Hostname() {
			keys = append(keys, Key{Origin: u.Hostname(), Public: pub})
		}
	}
	return keys, nil
}
