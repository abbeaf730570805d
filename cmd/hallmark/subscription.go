package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

func subscriptionName(instance, domain string) string { return "hallmark-" + instance + "-" + domain }

// ours reports whether a subscription is one that this command may touch. No domain has a '-' in it, so what belongs to
// the instance main-eu is never taken for one of main.
func ours(instance, key string) bool {
	for _, s := range subscribed {
		if key == subscriptionName(instance, s.domain) {
			return true
		}
	}
	return false
}

// hookSecret is one of the configured secrets. Its mark, 32 bits of a MAC, is kept in the subscription's description,
// because Artifactory never shows a secret again and somebody must know which one it has.
type hookSecret struct {
	file  string
	value artifactory.Secret
	mark  string
}

// shortestSecret is in characters. Whoever may read the subscription could try guesses against the mark.
const shortestSecret = 16

func readHookSecrets(a artifactory.Config) ([]hookSecret, error) {
	var out []hookSecret
	for _, f := range a.WebhookSecrets {
		raw, err := f.Read()
		if err != nil {
			return nil, fmt.Errorf("artifactory %q: reading a webhook secret: %w", a.Name, err)
		}
		switch text := string(raw); {
		case !utf8.Valid(raw) || strings.ContainsFunc(text, unicode.IsControl):
			return nil, fmt.Errorf("artifactory %q: the webhook secret in %s is not plain text, which Artifactory could not keep as it is; make one with: openssl rand -hex 32", a.Name, f.File)
		case len(text) < shortestSecret:
			return nil, fmt.Errorf("artifactory %q: the webhook secret in %s has %d characters; make one with: openssl rand -hex 32", a.Name, f.File, len(text))
		default:
			mac := hmac.New(sha256.New, raw)
			mac.Write([]byte("hallmark webhook secret"))
			out = append(out, hookSecret{f.File, artifactory.Secret(text), hex.EncodeToString(mac.Sum(nil)[:4])})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("artifactory %q has no webhookSecrets: list a file that holds one, made with: openssl rand -hex 32", a.Name)
	}
	return out, nil
}

var markText = regexp.MustCompile(`\bsecret ([0-9a-f]{8})\b`)

func description(instance string, secret hookSecret) string {
	return fmt.Sprintf("Made by hallmark webhook install for the instance %s, with secret %s. Changes are undone by the next install.", instance, secret.mark)
}

// secretOf finds the configured secret that a subscription was last given by us. known is false when its description
// does not say; then nobody knows.
func (h *hooks) secretOf(sub artifactory.Subscription) (secret *hookSecret, known bool) {
	m := markText.FindStringSubmatch(sub.Description)
	if m == nil {
		return nil, false
	}
	for i := range h.secrets {
		if h.secrets[i].mark == m[1] {
			return &h.secrets[i], true
		}
	}
	return nil, true
}

// want is the subscription that a domain should have. What only the platform's administrator can know is kept from
// found, if there is one: project, proxy, fixed headers, federated repositories, debug.
func (h *hooks) want(s announced, target string, secret hookSecret, found *artifactory.Subscription) artifactory.Subscription {
	sub := artifactory.Subscription{
		Key: subscriptionName(h.config.Name, s.domain), Description: description(h.config.Name, secret), Enabled: true,
		Filter:   artifactory.EventFilter{Domain: s.domain, Types: s.types, Criteria: s.where(h, found)},
		Handlers: []artifactory.Handler{{Type: "webhook", URL: target, Secret: secret.value, Signing: h.config.WebhookAuth != artifactory.WebhookPlain}},
	}
	if found != nil {
		sub.ProjectKey, sub.Debug, sub.Filter.Criteria.AnyFederated = found.ProjectKey, found.Debug, found.Filter.Criteria.AnyFederated
		if len(found.Handlers) == 1 {
			sub.Handlers[0].Proxy, sub.Handlers[0].Headers = found.Handlers[0].Proxy, found.Handlers[0].Headers
		}
	}
	return sub
}

// change is one thing about a subscription that is not as it should be.
type change struct {
	Field    string `json:"field"`
	Found    string `json:"found"`
	Expected string `json:"expected"`
	Why      string `json:"why"`
}

// drift lists what is different, as far as Artifactory shows it; secret is what want carries.
func (h *hooks) drift(found, want artifactory.Subscription, secret hookSecret) []change {
	out := []change{}
	compare := func(field string, found, expected any, why string) {
		if f, e := fmt.Sprint(found), fmt.Sprint(expected); f != e {
			out = append(out, change{field, f, e, why})
		}
	}
	f, w := found.Filter, want.Filter
	compare("enabled", found.Enabled, want.Enabled, "false is the default of the API, and nothing is sent then")
	compare("domain", f.Domain, w.Domain, "what happens to artifacts is in this domain")
	compare("events", listText(f.Types), listText(w.Types), "these can bring something to sign")
	compare("anyLocal", f.Criteria.AnyLocal, w.Criteria.AnyLocal, "true only when policies name repositories by pattern")
	compare("anyBuild", f.Criteria.AnyBuild, w.Criteria.AnyBuild, "a build's files may be in any repository")
	compare("builds", listText(f.Criteria.Builds), listText(w.Criteria.Builds), "policies decide about the files of builds")
	compare("anyReleaseBundle", f.Criteria.AnyBundle, w.Criteria.AnyBundle, "policies decide about release bundles")
	compare("release bundles", listText(f.Criteria.Bundles), listText(w.Criteria.Bundles), "policies decide about release bundles")
	compare("environments", listText(f.Criteria.Environments), listText(w.Criteria.Environments), "promotions into these bring something to sign")
	compare("anyRemote", f.Criteria.AnyRemote, w.Criteria.AnyRemote, "what a cache fetches is not ours to sign")
	compare("repositories", listText(f.Criteria.Repositories), listText(w.Criteria.Repositories), "policies name these")
	compare("include patterns", listText(f.Criteria.Include), listText(w.Criteria.Include), "policies decide about paths; a pattern here would keep events from them")
	compare("exclude patterns", listText(f.Criteria.Exclude), listText(w.Criteria.Exclude), "our own signature files need not be announced, everything else must be")
	if len(found.Handlers) != 1 {
		compare("handlers", len(found.Handlers), 1, "a subscription delivers to one place")
		return out
	}
	a, b := found.Handlers[0], want.Handlers[0]
	compare("handler", a.Type, b.Type, "only predefined webhooks have the payload and the HMAC")
	compare("target", a.URL, b.URL, "the receiver's address ends in /webhook/ and the instance")
	signing := "the secret proves the sender by an HMAC; otherwise it is sent itself, and refused with 401"
	if !b.Signing {
		signing = "webhookAuth is plain"
	}
	compare("use_secret_for_signing", a.Signing, b.Signing, signing)
	compare("debug", found.Debug, want.Debug, "asked for by --debug")
	if has, known := h.secretOf(found); has == nil || has.mark != secret.mark {
		what := "unknown: its description does not say"
		if has != nil {
			what = "that of " + has.file
		} else if known {
			what = "one that is not configured"
		}
		out = append(out, change{"secret", what, "that of " + secret.file, "what it has must be in webhookSecrets, or every event is refused with 401 and lost"})
	}
	return out
}

// mustBe turns drift into an error, after a write.
func mustBe(key string, changes []change) error {
	var errs []error
	for _, c := range changes {
		errs = append(errs, fmt.Errorf("%s is %s, not %s", c.Field, c.Found, c.Expected))
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("Artifactory took the subscription %s and keeps something else: %w", key, errors.Join(errs...)) //nolint:staticcheck // a product's name
}

// listText writes a list as a set.
func listText(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	items = slices.Clone(items)
	slices.Sort(items)
	return strings.Join(items, ", ")
}
