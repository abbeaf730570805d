package hsm

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// Attributes are a private key's properties in the token's own words. A nil value means that the token does not say.
// They are a record, not proof: only a vendor's attestation would be.
type Attributes struct {
	Label              string `json:"label"`
	ID                 string `json:"id"` // CKA_ID in hexadecimal
	Token              *bool  `json:"token,omitempty"`
	Private            *bool  `json:"private,omitempty"`
	Sensitive          *bool  `json:"sensitive,omitempty"`
	AlwaysSensitive    *bool  `json:"alwaysSensitive,omitempty"`
	Extractable        *bool  `json:"extractable,omitempty"`
	NeverExtractable   *bool  `json:"neverExtractable,omitempty"`
	Local              *bool  `json:"local,omitempty"` // made on the token
	Sign               *bool  `json:"sign,omitempty"`
	Decrypt            *bool  `json:"decrypt,omitempty"`
	Unwrap             *bool  `json:"unwrap,omitempty"`
	Derive             *bool  `json:"derive,omitempty"`
	Modifiable         *bool  `json:"modifiable,omitempty"`
	Copyable           *bool  `json:"copyable,omitempty"`
	Destroyable        *bool  `json:"destroyable,omitempty"`
	AlwaysAuthenticate *bool  `json:"alwaysAuthenticate,omitempty"`
}

// flag is the table from attribute to field.
func (a *Attributes) flags() map[uint]**bool {
	return map[uint]**bool{
		pkcs11.CKA_TOKEN:               &a.Token,
		pkcs11.CKA_PRIVATE:             &a.Private,
		pkcs11.CKA_SENSITIVE:           &a.Sensitive,
		pkcs11.CKA_ALWAYS_SENSITIVE:    &a.AlwaysSensitive,
		pkcs11.CKA_EXTRACTABLE:         &a.Extractable,
		pkcs11.CKA_NEVER_EXTRACTABLE:   &a.NeverExtractable,
		pkcs11.CKA_LOCAL:               &a.Local,
		pkcs11.CKA_SIGN:                &a.Sign,
		pkcs11.CKA_DECRYPT:             &a.Decrypt,
		pkcs11.CKA_UNWRAP:              &a.Unwrap,
		pkcs11.CKA_DERIVE:              &a.Derive,
		pkcs11.CKA_MODIFIABLE:          &a.Modifiable,
		pkcs11.CKA_COPYABLE:            &a.Copyable,
		pkcs11.CKA_DESTROYABLE:         &a.Destroyable,
		pkcs11.CKA_ALWAYS_AUTHENTICATE: &a.AlwaysAuthenticate,
	}
}

// confined reports whether the token says, without doubt, that the key cannot leave it.
func (a Attributes) confined() bool { return is(a.Sensitive) && isNot(a.Extractable) }

func is(b *bool) bool    { return b != nil && *b }
func isNot(b *bool) bool { return b != nil && !*b }

// reader looks at objects through one session of its own.
type reader struct {
	raw *pkcs11.Ctx
	s   pkcs11.SessionHandle
}

// read runs f with a session on the connection's token. The session sees private objects, because the login belongs to
// the process.
func (c *conn) read(f func(reader) error) error {
	s, err := c.lib.raw.OpenSession(c.slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return fmt.Errorf("opening a session to look at objects: %w", err)
	}
	defer c.lib.raw.CloseSession(s) //nolint:errcheck // nothing depends on it
	return f(reader{raw: c.lib.raw, s: s})
}

// find returns every object of the class, with the label unless it is empty.
func (r reader) find(objectClass uint, label string) ([]pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, objectClass)}
	if label != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	}
	if err := r.raw.FindObjectsInit(r.s, template); err != nil {
		return nil, fmt.Errorf("searching objects: %w", err)
	}
	var all []pkcs11.ObjectHandle
	var err error
	for {
		var some []pkcs11.ObjectHandle
		if some, _, err = r.raw.FindObjects(r.s, 64); err != nil || len(some) == 0 {
			break
		}
		all = append(all, some...)
	}
	if ferr := r.raw.FindObjectsFinal(r.s); err == nil {
		err = ferr
	}
	if err != nil {
		return nil, fmt.Errorf("searching objects: %w", err)
	}
	return all, nil
}

// bytes reads one attribute; nil when the token does not have it or does not tell.
func (r reader) bytes(o pkcs11.ObjectHandle, attribute uint) ([]byte, error) {
	got, err := r.raw.GetAttributeValue(r.s, o, []*pkcs11.Attribute{pkcs11.NewAttribute(attribute, nil)})
	switch {
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)), errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE)):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading attribute 0x%X: %w", attribute, err)
	case len(got) != 1:
		return nil, nil
	}
	return got[0].Value, nil
}

// number reads a CK_ULONG in the machine's byte order, which is little-endian wherever PKCS#11 modules are built for.
func (r reader) number(o pkcs11.ObjectHandle, attribute uint) (uint, error) {
	b, err := r.bytes(o, attribute)
	if err != nil {
		return 0, err
	}
	if len(b) == 0 || len(b) > 8 {
		return 0, fmt.Errorf("reading attribute 0x%X: %d bytes are no number", attribute, len(b))
	}
	var n uint
	for i, v := range b {
		n |= uint(v) << (8 * i)
	}
	return n, nil
}

// attributes reads a private key's properties one at a time, so that one unknown attribute hides no other.
func (r reader) attributes(o pkcs11.ObjectHandle) (Attributes, error) {
	var a Attributes
	label, err := r.bytes(o, pkcs11.CKA_LABEL)
	if err != nil {
		return Attributes{}, err
	}
	id, err := r.bytes(o, pkcs11.CKA_ID)
	if err != nil {
		return Attributes{}, err
	}
	a.Label, a.ID = string(label), hex.EncodeToString(id)
	for attribute, field := range a.flags() {
		b, err := r.bytes(o, attribute)
		if err != nil {
			return Attributes{}, err
		}
		if len(b) == 1 {
			v := b[0] != 0
			*field = &v
		}
	}
	return a, nil
}
