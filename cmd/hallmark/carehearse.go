package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// throwAway is a key that signs what nobody gets to see.
type throwAway struct{ *ecdsa.PrivateKey }

func newThrowAway() (throwAway, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return throwAway{}, fmt.Errorf("making a throw-away key: %w", err)
	}
	return throwAway{key}, nil
}

// Public is trust.Signer's.
func (k throwAway) Public() crypto.PublicKey { return k.PrivateKey.Public() }

// Hash is trust.Signer's.
func (k throwAway) Hash() crypto.Hash { return crypto.SHA256 }

// Sign is trust.Signer's.
func (k throwAway) Sign(_ context.Context, digest []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, k.PrivateKey, digest)
}

// rehearse makes every certificate with throw-away keys: what breaks a rule is found before a key is made on a token.
func (p *initPlan) rehearse(ctx context.Context) error {
	root, err := newThrowAway()
	if err != nil {
		return err
	}
	key, err := newThrowAway()
	if err != nil {
		return err
	}
	der, err := trust.NewRoot(ctx, root, p.order(trust.KindRoot))
	if err != nil {
		return err
	}
	top, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading a certificate: %w", err)
	}
	parent := trust.Parent{Key: root, Chain: []*x509.Certificate{top}}
	if _, err := trust.NewIssuing(ctx, parent, key.Public(), p.order(trust.KindIssuing)); err != nil {
		return err
	}
	if p.withoutTime {
		return nil
	}
	_, err = trust.NewTimestamping(ctx, parent, key.Public(), p.order(trust.KindTimestamping))
	return err
}
