package audit

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// piece is a bundle of the log with the tile of the tree above it, read and taken apart. What can be said of its entries
// without knowing the others has been found out.
type piece struct {
	layout.RangeInfo
	first   uint64 // index of its first entry
	entries []entry
	hashes  [][]byte // of the entries
	tile    [][]byte // what the tree's tile says that they are; nil when the tile cannot be read
	noTile  error
	missing error // why entries are missing, if they are
	err     error // why the log cannot be read now
}

// entry is one entry of a piece.
type entry struct {
	raw  []byte
	leaf Leaf // nil when it is none
	err  error
	made keyUse // of a Rekord
}

// keyUse is what a Rekord comes down to.
type keyUse struct {
	spki        artifact.Digest
	certificate artifact.Digest // zero: it names a bare key
	signature   artifact.Digest
	err         error // why the signature does not verify
}

// read fetches one piece. A missing or damaged file is no error: it is what a replay is there to find.
func (r *Reader) read(ctx context.Context, info layout.RangeInfo, leaves bool) *piece {
	p := &piece{RangeInfo: info, first: info.Index * layout.EntryBundleWidth}
	bundle, err := r.bundle(ctx, info.Index, info.Partial)
	var raw [][]byte
	if err == nil {
		raw, err = splitBundle(bundle, int(info.N))
	}
	if err == nil && len(raw) < int(info.N) {
		err = fmt.Errorf("%w: a bundle has %d entries instead of %d", ErrDamaged, len(raw), info.N)
	}
	if err != nil && !errors.Is(err, ErrAbsent) && !errors.Is(err, ErrDamaged) {
		p.err = err
		return p
	}
	p.missing = err
	p.entries, p.hashes = make([]entry, len(raw)), make([][]byte, len(raw))
	for i, b := range raw {
		p.hashes[i] = rfc6962.DefaultHasher.HashLeaf(b)
		p.entries[i].raw = b
		if leaves {
			p.entries[i].parse()
		}
	}
	tile, err := r.tile(ctx, 0, info.Index, info.Partial)
	if err == nil {
		p.tile, err = splitTile(tile, int(info.N))
	}
	if err == nil && len(p.tile) < int(info.N) {
		err = fmt.Errorf("%w: a tile has %d hashes instead of %d", ErrDamaged, len(p.tile), info.N)
	}
	switch {
	case errors.Is(err, ErrAbsent), errors.Is(err, ErrDamaged):
		p.tile, p.noTile = nil, err
	case err != nil:
		p.err = err
	}
	return p
}

func (e *entry) parse() {
	if e.leaf, e.err = ParseLeaf(e.raw); e.err != nil {
		return
	}
	if r, ok := e.leaf.(Rekord); ok {
		e.made = open(r)
	}
}

// open verifies the signature of a Rekord with the key that it names. It is not done by Rekord.Verify, on which the writing
// of the log rests.
func open(r Rekord) keyUse {
	s := keyUse{signature: sha256.Sum256(r.Signature)}
	pub := r.Verifier.PublicKey
	if der := r.Verifier.Certificate; der != nil {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			s.err = err
			return s
		}
		s.certificate, s.spki, pub = sha256.Sum256(der), sha256.Sum256(cert.RawSubjectPublicKeyInfo), cert.PublicKey
	} else {
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			s.err = err
			return s
		}
		s.spki = sha256.Sum256(der)
	}
	s.err = verifySignature(pub, r.Hash, r.Digest, r.Signature)
	return s
}

func verifySignature(pub crypto.PublicKey, hash crypto.Hash, digest, sig []byte) error {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, digest, sig) {
			return errors.New("the ECDSA signature does not verify")
		}
		return nil
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, hash, digest, sig)
	}
	return fmt.Errorf("a key of the type %T signs nothing here", pub)
}

// complete reports whether all entries are there.
func (p *piece) complete() bool { return p.missing == nil }
