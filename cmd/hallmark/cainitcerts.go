package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// noneOf refuses before anything is made when a file is there that is no certificate: it would be found too late.
func (c *Config) noneOf(files caFiles, withoutTime bool) error {
	for _, kind := range []trust.Kind{trust.KindRoot, trust.KindIssuing, trust.KindTimestamping} {
		if kind == trust.KindTimestamping && withoutTime {
			continue
		}
		if _, err := readCertificates(files.of(kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// certify makes the certificates that are not there.
func (p *initPlan) certify(ctx context.Context, keys map[hsm.Use]hsm.KeyConfig) error {
	var needed []hsm.KeyConfig
	for _, use := range []hsm.Use{hsm.UseRoot, hsm.UseIssuer, hsm.UseTimestamp} {
		if k, ok := keys[use]; ok {
			needed = append(needed, k)
		}
	}
	complete := true
	for _, kind := range p.kinds() {
		have, err := p.have(kind, keys[useOf(kind)])
		if err != nil {
			return err
		}
		complete = complete && have
	}
	if complete {
		return nil // and no key is used
	}
	return p.config.withKeys(ctx, needed, func(ring *hsm.Keyring) error {
		root, err := ring.Service(keys[hsm.UseRoot].Name, hsm.UseRoot)
		if err != nil {
			return err
		}
		for _, kind := range p.kinds() {
			if have, err := p.have(kind, keys[useOf(kind)]); have || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			if err := p.make(ctx, ring, root, kind, keys[useOf(kind)].Name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *initPlan) kinds() []trust.Kind {
	if p.withoutTime {
		return []trust.Kind{trust.KindRoot, trust.KindIssuing}
	}
	return []trust.Kind{trust.KindRoot, trust.KindIssuing, trust.KindTimestamping}
}

// have reports whether the certificate of a kind is there. One that is there and cannot be used is an error.
func (p *initPlan) have(kind trust.Kind, key hsm.KeyConfig) (bool, error) {
	chain, err := p.files.chain(kind)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := readCertificates(p.files.of(kind)); err == nil {
			return false, fmt.Errorf("%s is there, and its root %s is not; move it away", p.files.of(kind), p.files.Root)
		}
		return false, nil
	}
	if err == nil {
		if found := spkiOf(chain[0]); found != key.SPKI {
			err = fmt.Errorf("it is of the key %s, and the key %s is %s", found, key.Name, key.SPKI)
		} else {
			err = trust.CheckChain(chain, kind, nil, time.Now())
		}
	}
	if err != nil {
		return false, fmt.Errorf("%s is there and cannot be used: %w; move it away, or name another --dir", p.files.of(kind), err)
	}
	return true, nil
}

// order is what the certificate of a kind is to say.
func (p *initPlan) order(kind trust.Kind) trust.Order {
	o := trust.Order{Life: p.life, Profile: p.profile, Addresses: p.addresses}
	switch kind {
	case trust.KindRoot:
		o.Subject, o.Life = p.subject(p.title+" Root "+p.suffix), p.rootLife
	case trust.KindIssuing:
		o.Subject = p.subject(p.title + " Issuing " + p.suffix)
	default:
		o.Subject = p.subject(p.title + " Time-stamping " + p.suffix)
	}
	return o
}

func (p *initPlan) make(ctx context.Context, ring *hsm.Keyring, root *hsm.Signer, kind trust.Kind, name string) error {
	if kind == trust.KindRoot {
		der, err := trust.NewRoot(ctx, root, p.order(kind))
		return p.store(kind, der, err)
	}
	key, err := ring.Service(name, useOf(kind))
	if err != nil {
		return err
	}
	top, err := p.files.chain(trust.KindRoot)
	if err != nil {
		return err
	}
	parent, certify := trust.Parent{Key: root, Chain: top}, trust.NewTimestamping
	if kind == trust.KindIssuing {
		certify = trust.NewIssuing
	}
	der, err := certify(ctx, parent, key.Public(), p.order(kind))
	return p.store(kind, der, err)
}

func (p *initPlan) store(kind trust.Kind, der []byte, err error) error {
	if err != nil {
		return err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading the new certificate: %w", err)
	}
	if err := writeNew(p.files.of(kind), trust.PEMChain(c), false); err != nil {
		return fmt.Errorf("writing the certificate (%s): %w", kind, err)
	}
	return nil
}
