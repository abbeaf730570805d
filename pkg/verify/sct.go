package verify

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// oidSCTs marks the promises of logs of certificates in a certificate (RFC 6962, section 3.3).
var oidSCTs = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// sct is the promise of a log to hold a certificate.
type sct struct {
	log        [32]byte
	at         uint64 // milliseconds since 1970
	extensions []byte
	hash, kind uint8 // of the signature, as TLS 1.2 numbers them
	signature  []byte
}

// promised counts the logs in the trusted root that promised to hold the certificate; one is needed. Promises by logs that
// are not listed prove nothing and are passed over; one by a listed log that does not hold is an error.
func (r *Root) promised(leaf, issuing *x509.Certificate) (int, error) {
	scts, err := sctsIn(leaf)
	if err != nil {
		return 0, err
	}
	tbs, err := withoutSCTs(leaf.RawTBSCertificate)
	if err != nil {
		return 0, err
	}
	held := map[[32]byte]bool{}
	for _, s := range scts {
		log := r.ctLogs[s.log]
		if log == nil {
			continue
		}
		if at := time.UnixMilli(int64(s.at)); s.at > 1<<52 || !log.holds(at) {
			return 0, fmt.Errorf("the promise of a log to hold it is of %s, outside the log's time, %s", moment(at), log.window)
		}
		if err := s.verify(log, issuing, tbs); err != nil {
			return 0, fmt.Errorf("the promise of a log to hold it does not hold: %w", err)
		}
		held[s.log] = true
	}
	if len(held) == 0 {
		return 0, errors.New("no log in the trusted root promised to hold it")
	}
	return len(held), nil
}

// verify checks the log's signature over the certificate as it was before the promise was put into it.
func (s sct) verify(log *logKey, issuing *x509.Certificate, tbs []byte) error {
	want := uint8(0)
	switch log.public.(type) {
	case *ecdsa.PublicKey:
		want = 3
	case *rsa.PublicKey:
		want = 1
	}
	if s.hash != 4 || s.kind != want || want == 0 {
		return fmt.Errorf("it is signed with the algorithm %d/%d, which does not go with the log's key", s.hash, s.kind)
	}
	issuer := sha256.Sum256(issuing.RawSubjectPublicKeyInfo)
	text := []byte{0, 0} // version 1, of a certificate's time
	text = binary.BigEndian.AppendUint64(text, s.at)
	text = append(text, 0, 1) // over what is to be signed
	text = append(text, issuer[:]...)
	text = append(text, byte(len(tbs)>>16), byte(len(tbs)>>8), byte(len(tbs)))
	text = append(text, tbs...)
	text = binary.BigEndian.AppendUint16(text, uint16(len(s.extensions)))
	return log.signed(append(text, s.extensions...), s.signature)
}

func sctsIn(leaf *x509.Certificate) ([]sct, error) {
	var out []sct
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(oidSCTs) {
			continue
		}
		in := cryptobyte.String(e.Value)
		var list, all cryptobyte.String
		if out != nil || !in.ReadASN1(&list, der.OCTET_STRING) || !in.Empty() || !list.ReadUint16LengthPrefixed(&all) || !list.Empty() || all.Empty() {
			return nil, errors.New("its list of promises cannot be read")
		}
		for !all.Empty() {
			var one cryptobyte.String
			var s sct
			if !all.ReadUint16LengthPrefixed(&one) || !s.read(one) {
				return nil, errors.New("its list of promises cannot be read")
			}
			out = append(out, s)
		}
	}
	return out, nil
}

func (s *sct) read(in cryptobyte.String) bool {
	var version uint8
	var extensions, signature cryptobyte.String
	ok := in.ReadUint8(&version) && version == 0 && in.CopyBytes(s.log[:]) && in.ReadUint64(&s.at) && in.ReadUint16LengthPrefixed(&extensions) &&
		in.ReadUint8(&s.hash) && in.ReadUint8(&s.kind) && in.ReadUint16LengthPrefixed(&signature) && in.Empty()
	s.extensions, s.signature = extensions, signature
	return ok
}

// withoutSCTs is what a certificate's signature is over, without the promises in it.
func withoutSCTs(tbs []byte) ([]byte, error) {
	unreadable := errors.New("its extensions cannot be read")
	in := cryptobyte.String(tbs)
	var body cryptobyte.String
	if !in.ReadASN1(&body, der.SEQUENCE) || !in.Empty() {
		return nil, unreadable
	}
	var out cryptobyte.Builder
	failed := false
	out.AddASN1(der.SEQUENCE, func(out *cryptobyte.Builder) {
		for !body.Empty() {
			var element, wrapped, extensions cryptobyte.String
			var tag der.Tag
			if !body.ReadAnyASN1Element(&element, &tag) {
				failed = true
				return
			}
			if tag != der.Tag(3).Constructed().ContextSpecific() {
				out.AddBytes(element)
				continue
			}
			if !element.ReadASN1(&wrapped, tag) || !wrapped.ReadASN1(&extensions, der.SEQUENCE) || !wrapped.Empty() {
				failed = true
				return
			}
			out.AddASN1(tag, func(out *cryptobyte.Builder) {
				out.AddASN1(der.SEQUENCE, func(out *cryptobyte.Builder) { failed = !copyOthers(out, extensions) || failed })
			})
		}
	})
	made, err := out.Bytes()
	if err != nil || failed || len(made) >= 1<<24 {
		return nil, unreadable
	}
	return made, nil
}

// copyOthers copies every extension but the list of promises.
func copyOthers(out *cryptobyte.Builder, extensions cryptobyte.String) bool {
	for !extensions.Empty() {
		var whole, inner cryptobyte.String
		if !extensions.ReadASN1Element(&whole, der.SEQUENCE) {
			return false
		}
		var id asn1.ObjectIdentifier
		copied := whole
		if !copied.ReadASN1(&inner, der.SEQUENCE) || !inner.ReadASN1ObjectIdentifier(&id) {
			return false
		}
		if !id.Equal(oidSCTs) {
			out.AddBytes(whole)
		}
	}
	return true
}
