package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// subscribed is the table of what Artifactory is to announce: a subscription for each domain. A domain is a line here.
// Its name stays here when it is no longer needed, because its subscriptions are still ours.
var subscribed = []announced{
	{"artifact", []string{"deployed", "copied", "moved"}, always, inRepositories},
	{"docker", []string{"pushed", "promoted"}, forImages, inRepositories},
	{"build", []string{"uploaded", "promoted"}, whenNamed, ofEveryBuild},
	{"release_bundle_v2", []string{"release_bundle_v2_completed"}, forBundles, ofEveryBundle},
	{"release_bundle_v2_promotion", []string{"release_bundle_v2_promotion_completed"}, forBundles, intoEnvironments},
}

// announced is one line of it.
type announced struct {
	domain string
	types  []string
	need   func(h *hooks, event string) bool // whether policies of the instance have use for an event, "domain/type"
	where  func(h *hooks, found *artifactory.Subscription) artifactory.Criteria
}

// needed lists the lines that the policies of the instance call for, each with the types that they do.
func (h *hooks) needed() []announced {
	var out []announced
	for _, s := range subscribed {
		s.types = slices.DeleteFunc(slices.Clone(s.types), func(t string) bool { return !s.need(h, s.domain+"/"+t) })
		if len(s.types) > 0 {
			out = append(out, s)
		}
	}
	return out
}

func always(*hooks, string) bool { return true }

func forImages(h *hooks, _ string) bool {
	return slices.Contains(h.policies.Kinds(h.config.Name), artifact.KindImage)
}

// whenNamed is for what others announce file by file, too.
func whenNamed(h *hooks, event string) bool {
	return slices.Contains(h.policies.Events(h.config.Name), event)
}

func forBundles(h *hooks, event string) bool {
	return h.policies.AsksOfBundles(h.config.Name, event)
}

// inRepositories chooses those that policies name, without our own signature files.
func inRepositories(h *hooks, _ *artifactory.Subscription) artifactory.Criteria {
	c := artifactory.Criteria{AnyLocal: len(h.patterns) > 0, Repositories: h.repositories, Include: []string{}}
	for _, name := range seal.Formats() {
		if f, _ := seal.Lookup(name); f.Suffix != "" {
			c.Exclude = append(c.Exclude, "**/*"+f.Suffix)
		}
	}
	return c
}

// ofEveryBuild, because a build's files may be in any repository.
func ofEveryBuild(*hooks, *artifactory.Subscription) artifactory.Criteria {
	return artifactory.Criteria{AnyBuild: true, Include: []string{}, Exclude: []string{}}
}

func ofEveryBundle(*hooks, *artifactory.Subscription) artifactory.Criteria {
	return artifactory.Criteria{AnyBundle: true}
}

// intoEnvironments chooses those that are asked for or configured, else those that the subscription has; with none of
// these there can be no subscription.
func intoEnvironments(h *hooks, found *artifactory.Subscription) artifactory.Criteria {
	c := artifactory.Criteria{Environments: h.environments}
	if len(c.Environments) == 0 && found != nil {
		c.Environments = found.Filter.Criteria.Environments
	}
	return c
}

// omission is a subscription that policies need and that cannot be made without somebody who knows more.
type omission struct {
	Key string `json:"key"`
	Why string `json:"why"`
	Fix string `json:"fix"`
}

// omitted says why a line of the table cannot be subscribed to; nil when it can.
func (h *hooks) omitted(s announced, all []artifactory.Subscription) *omission {
	key := subscriptionName(h.config.Name, s.domain)
	c := s.where(h, find(all, key))
	if c.AnyLocal || c.AnyBuild || c.AnyBundle || len(c.Repositories)+len(c.Environments) > 0 {
		return nil
	}
	return &omission{
		Key: key,
		Why: "promotions of release bundles are not announced: Artifactory announces them for environments that are named, and none is",
		Fix: fmt.Sprintf("write below name: %s in the configuration a line such as environments: [PROD], then %s; or add --environment PROD to that", h.config.Name, h.installFix(someURL)),
	}
}

// environmentsAsked takes what --environment says. Beside a configuration that says something else it would be undone by
// the next install.
func (h *hooks) environmentsAsked(names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := artifactory.CheckEnvironments(names); err != nil {
		return fmt.Errorf("--environment: %w", err)
	}
	if len(h.config.Environments) > 0 && listText(names) != listText(h.config.Environments) {
		return fmt.Errorf("--environment %s: the configuration has environments: [%s] for %s, and the next install would go by that; change it there",
			strings.Join(names, ", "), strings.Join(h.config.Environments, ", "), h.config.Name)
	}
	h.environments = names
	return nil
}

func find(all []artifactory.Subscription, key string) *artifactory.Subscription {
	if i := slices.IndexFunc(all, func(sub artifactory.Subscription) bool { return sub.Key == key }); i >= 0 {
		return &all[i]
	}
	return nil
}
