package signing

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// errUnproven means that a bundle of our own lacks what makes it believable.
var errUnproven = errors.New("the bundle does not prove what it should")

// believe judges the bundles of a key as one does who has the trusted root and pins nothing: certificate, log entry and
// time-stamp have to hold before the bundle is kept or published. What is made now has to have them all; a bundle that was
// kept before there was a notary is as good as it was then.
func (r *run) believe(w *work, p *part) error {
	if r.Verifier == nil {
		return nil
	}
	for _, f := range p.files {
		if !isBundle(f.format) {
			continue
		}
		found, err := r.Verifier.Verify(f.content, p.key.PublicKey, w.digests[p.key.Hash])
		if err != nil && p.key.Hash != crypto.SHA256 { // a statement names its subject by SHA-256, whatever the key signs
			found, err = r.Verifier.Verify(f.content, p.key.PublicKey, w.digests[crypto.SHA256])
		}
		if err == nil && slices.ContainsFunc(p.missing, func(m seal.Format) bool { return m.Name == f.format.Name }) {
			err = proven(f.format, found)
		}
		if err != nil {
			return fmt.Errorf("%s, by the trusted root: %w", f.format.Name, err)
		}
	}
	return nil
}

// proven holds a bundle that was just made to what its format promises.
func proven(f seal.Format, found trust.Finding) error {
	switch {
	case found.Level < trust.LevelRoot && !strings.HasSuffix(f.Name, "-key"):
		return fmt.Errorf("%w: it has no certificate", errUnproven)
	case found.LogOrigin == "":
		return fmt.Errorf("%w: it is in no log", errUnproven)
	case found.At.IsZero():
		return fmt.Errorf("%w: it has no time-stamp", errUnproven)
	}
	return nil
}

// isBundle reports whether files of the format are Sigstore bundles, which can carry what proves them.
func isBundle(f seal.Format) bool {
	sigstore, _ := seal.Lookup("sigstore")
	return f.MediaType == sigstore.MediaType
}
