package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/webhook"
)

// foreign is somebody else's subscription that delivers to this instance's receiver. Its secret can neither be read nor
// changed here.
type foreign struct {
	artifactory.Subscription
	binding bool     // its deliveries count by their secret, so one of the configured secrets must stay as it is
	acted   []string // what it announces that can lead to work, "domain/type"
	doubled bool     // all of that is what our own subscriptions ask for, by the policies
}

// foreigners finds them by the path of their targets: the receiver may be reached under several names.
func (h *hooks) foreigners(all []artifactory.Subscription) []foreign {
	var out []foreign
	for _, sub := range all {
		f := foreign{Subscription: sub}
		reaches := false
		for _, t := range sub.Handlers {
			if u, err := url.Parse(t.URL); err == nil && strings.HasSuffix(u.Path, "/webhook/"+h.config.Name) {
				reaches = true
				f.binding = f.binding || sub.Enabled && t.Signing == (h.config.WebhookAuth != artifactory.WebhookPlain)
			}
		}
		if !reaches || ours(h.config.Name, sub.Key) {
			continue
		}
		for _, typ := range sub.Filter.Types {
			if event := sub.Filter.Domain + "/" + typ; slices.Contains(webhook.Events(), event) {
				f.acted = append(f.acted, event)
			}
		}
		f.doubled = !slices.ContainsFunc(f.acted, func(event string) bool { return !h.asks(all, event) })
		out = append(out, f)
	}
	return out
}

// asks reports whether one of our own subscriptions announces an event, or is going to by the next install.
func (h *hooks) asks(all []artifactory.Subscription, event string) bool {
	return slices.ContainsFunc(h.needed(), func(s announced) bool {
		return slices.ContainsFunc(s.types, func(t string) bool { return s.domain+"/"+t == event }) && h.omitted(s, all) == nil
	})
}

// advice says how to get rid of it without losing what it announces.
func (f foreign) advice() string {
	switch {
	case len(f.acted) == 0:
		return "Hallmark has no use for what it announces: remove it in Artifactory"
	case f.doubled:
		return "what it announces is announced by Hallmark's own subscriptions too: once these work, remove it in Artifactory"
	}
	return fmt.Sprintf("it announces what Hallmark acts on (%s), and not all of that is announced by Hallmark's own subscriptions: let a policy call for it, run hallmark webhook install, and only then remove it in Artifactory",
		strings.Join(f.acted, ", "))
}

func (f foreign) note() string {
	s := fmt.Sprintf("the subscription %s delivers to this receiver too and is not Hallmark's to touch; ", f.Key)
	switch {
	case !f.Enabled:
		s += "it is switched off; "
	case !f.binding:
		s += "it proves itself in another way than webhookAuth says, so its events are refused with 401; "
	}
	return s + f.advice()
}

// binders keeps those that hold on to a secret.
func binders(all []foreign) []foreign {
	return slices.DeleteFunc(slices.Clone(all), func(f foreign) bool { return !f.binding })
}

// check is a failure: nobody sees here whether its secret counts, and no rotation can end while it is there.
func (f foreign) check() hsm.Check {
	return hsm.Check{
		Name:   f.Key + ": not Hallmark's",
		Detail: "it delivers to this receiver with a secret that can neither be read nor changed here: as soon as that is not in webhookSecrets, its events are refused with 401 and lost",
		Fix:    f.advice(),
	}
}

// held says in a rotation why the old secret must stay.
func held(all []foreign) (what, fix string) {
	var keys, advice []string
	for _, f := range all {
		keys, advice = append(keys, f.Key), append(advice, f.Key+": "+f.advice())
	}
	return fmt.Sprintf("not Hallmark's, delivering to this receiver, with a secret that can neither be read nor changed here: %s", strings.Join(keys, ", ")), strings.Join(advice, "\n")
}
