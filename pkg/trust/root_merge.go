package trust

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rootv1 "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
)

// merge adds to one root what another lists. Validity is joined: from the earliest start, to the earliest end that anyone
// knows, so that a file that was made before a key was retired does not bring it back.
func merge(into, from *rootv1.TrustedRoot) error {
	var err error
	if into.Tlogs, err = mergeKeys(into.GetTlogs(), from.GetTlogs(), true); err != nil {
		return err
	}
	if into.Ctlogs, err = mergeKeys(into.GetCtlogs(), from.GetCtlogs(), false); err != nil {
		return err
	}
	into.CertificateAuthorities = mergeAuthorities(into.GetCertificateAuthorities(), from.GetCertificateAuthorities())
	into.TimestampAuthorities = mergeAuthorities(into.GetTimestampAuthorities(), from.GetTimestampAuthorities())
	return nil
}

func mergeKeys(all, more []*rootv1.TransparencyLogInstance, exact bool) ([]*rootv1.TransparencyLogInstance, error) {
	for _, l := range more {
		i := slices.IndexFunc(all, func(o *rootv1.TransparencyLogInstance) bool {
			return bytes.Equal(o.GetLogId().GetKeyId(), l.GetLogId().GetKeyId())
		})
		if i < 0 {
			all = append(all, l)
			continue
		}
		have := all[i]
		if !bytes.Equal(have.GetPublicKey().GetRawBytes(), l.GetPublicKey().GetRawBytes()) {
			return nil, errors.New("two keys have one logId")
		}
		if exact && originOf(have) != originOf(l) {
			return nil, fmt.Errorf("one key signs for two logs, %q and %q; each log needs a key of its own", have.GetBaseUrl(), l.GetBaseUrl())
		}
		join(have.GetPublicKey().GetValidFor(), l.GetPublicKey().GetValidFor())
	}
	return all, nil
}

func mergeAuthorities(all, more []*rootv1.CertificateAuthority) []*rootv1.CertificateAuthority {
	for _, a := range more {
		id := authorityID(a)
		i := slices.IndexFunc(all, func(o *rootv1.CertificateAuthority) bool { return authorityID(o) == id })
		if i < 0 {
			all = append(all, a)
			continue
		}
		if all[i].GetValidFor() == nil {
			all[i].ValidFor = &commonv1.TimeRange{}
		}
		join(all[i].GetValidFor(), a.GetValidFor())
	}
	return all
}

// originOf is the first line of a log's checkpoints; "" when the address has no host.
func originOf(l *rootv1.TransparencyLogInstance) string {
	u, err := url.Parse(l.GetBaseUrl())
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// join widens a validity to another's start and narrows it to another's end. No start at all is the earliest.
func join(into, from *commonv1.TimeRange) {
	if s := from.GetStart(); s == nil || into.GetStart() != nil && s.AsTime().Before(into.GetStart().AsTime()) {
		into.Start = s
	}
	if e := from.GetEnd(); e != nil && (into.GetEnd() == nil || e.AsTime().Before(into.GetEnd().AsTime())) {
		into.End = e
	}
}

// windowOf is a validity as times.
func windowOf(r *commonv1.TimeRange) (w Window) {
	if s := r.GetStart(); s != nil {
		w.From = s.AsTime()
	}
	if e := r.GetEnd(); e != nil {
		w.To = e.AsTime()
	}
	return w
}

// authorityID tells authorities apart: by all certificates of their chains.
func authorityID(a *rootv1.CertificateAuthority) string {
	h := sha256.New()
	for _, c := range a.GetCertChain().GetCertificates() {
		sum := sha256.Sum256(c.GetRawBytes())
		h.Write(sum[:])
	}
	return string(h.Sum(nil))
}

// arrange puts everything into an order that does not depend on where it came from: by start, then by what it is.
func arrange(r *rootv1.TrustedRoot) {
	keys := func(a, b *rootv1.TransparencyLogInstance) int {
		return cmp.Or(starts(a.GetPublicKey().GetValidFor(), b.GetPublicKey().GetValidFor()), bytes.Compare(a.GetLogId().GetKeyId(), b.GetLogId().GetKeyId()))
	}
	authorities := func(a, b *rootv1.CertificateAuthority) int {
		return cmp.Or(starts(a.GetValidFor(), b.GetValidFor()), cmp.Compare(authorityID(a), authorityID(b)))
	}
	slices.SortFunc(r.GetTlogs(), keys)
	slices.SortFunc(r.GetCtlogs(), keys)
	slices.SortFunc(r.GetCertificateAuthorities(), authorities)
	slices.SortFunc(r.GetTimestampAuthorities(), authorities)
}

func starts(a, b *commonv1.TimeRange) int {
	return a.GetStart().AsTime().Compare(b.GetStart().AsTime())
}
