package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// What is done to a subscription.
const (
	actionCreate = "create"
	actionUpdate = "update"
	actionNone   = "none"
)

// plan is what becomes of one subscription.
type plan struct {
	Key          string                   `json:"key"`
	Action       string                   `json:"action"` // create, update or none
	Changes      []change                 `json:"changes"`
	Tested       string                   `json:"tested,omitempty"` // what Artifactory said of a sample event
	SecretFile   string                   `json:"secretFile"`
	Subscription artifactory.Subscription `json:"subscription"` // as it should be; its secret is never shown

	secret hookSecret
}

// plan compares what is there with what should be. Nothing is changed.
func (h *hooks) plan(ctx context.Context, base string, debug *bool) (*installation, error) {
	all, err := h.current(ctx)
	if err != nil {
		return nil, err
	}
	in := &installation{Instance: h.config.Name, Subscriptions: []plan{}, LeftOut: []omission{}}
	for _, s := range h.needed() {
		if o := h.omitted(s, all); o != nil {
			in.LeftOut = append(in.LeftOut, *o)
			continue
		}
		p, _, err := h.compare(all, s, base, debug)
		if err != nil {
			return nil, err
		}
		in.Subscriptions = append(in.Subscriptions, p)
	}
	in.Notes = h.notes(h.foreigners(all), in.Subscriptions)
	return in, nil
}

// compare makes the plan for one line of the table, and returns what is there now. Its error is about the address.
func (h *hooks) compare(all []artifactory.Subscription, s announced, base string, debug *bool) (plan, *artifactory.Subscription, error) {
	p := plan{Key: subscriptionName(h.config.Name, s.domain), Action: actionCreate, Changes: []change{}, secret: h.secrets[0]}
	found := find(all, p.Key)
	if found != nil {
		if has, _ := h.secretOf(*found); has != nil {
			p.secret = *has // a rotation is not undone
		}
	}
	p.SecretFile = p.secret.file
	where, err := h.target(base, found)
	if err != nil {
		return p, found, err
	}
	p.Subscription = h.want(s, where, p.secret, found)
	if debug != nil {
		p.Subscription.Debug = *debug
	}
	if found != nil {
		p.Action = actionUpdate
		if p.Changes = h.drift(*found, p.Subscription, p.secret); len(p.Changes) == 0 {
			p.Action = actionNone
		}
	}
	return p, found, nil
}

// target is where a subscription is to deliver: to --url, else where it does now.
func (h *hooks) target(base string, found *artifactory.Subscription) (string, error) {
	if base != "" {
		return target(base, h.config.Name)
	}
	switch {
	case found == nil:
		return "", errors.New("there is no subscription yet: give the address under which Artifactory reaches the service, such as --url https://hallmark.example:8443")
	case len(found.Handlers) != 1:
		return "", fmt.Errorf("the subscription %s has %d targets instead of one; give the right address with --url", found.Key, len(found.Handlers))
	}
	where, err := target(found.Handlers[0].URL, h.config.Name)
	if err != nil || where != found.Handlers[0].URL {
		return "", fmt.Errorf("the subscription %s points to %.200q, which is no receiver of this instance; give the right address with --url", found.Key, found.Handlers[0].URL)
	}
	return where, nil
}

// notes says what a reader should know about the plan.
func (h *hooks) notes(others []foreign, plans []plan) []string {
	notes := []string{}
	if len(h.patterns) > 0 {
		notes = append(notes, fmt.Sprintf("policies name repositories by pattern (%s), so the events of every local repository are asked for, also of later ones; "+
			"a federated repository must be named in full in a policy. What no policy covers is answered and forgotten", strings.Join(h.patterns, ", ")))
	}
	for _, p := range plans {
		if !p.Subscription.Handlers[0].Signing {
			notes = append(notes, "webhookAuth is plain: the secret itself travels with every event; use https, and hmac if your release can sign")
		}
	}
	for _, f := range others {
		notes = append(notes, f.note())
	}
	return notes
}
