package webhook

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/job"
)

// domains is the table of event domains. A type that is not in its domain's table, and a domain that is not in this
// one, is acknowledged and forgotten: names changed between releases of JFrog's platform and will again.
var domains = map[string]domain{
	"artifact":                    artifactDomain,
	"artifact_property":           propertyDomain,
	"docker":                      dockerDomain,
	"build":                       buildDomain,
	"release_bundle":              bundleDomain,
	"release_bundle_v2":           bundle2Domain,
	"release_bundle_v2_promotion": bundle2PromotionDomain,
	"distribution":                distributionDomain,
	"destination":                 destinationDomain,
	"artifactory_release_bundle":  destinationDomain, // its older name
	"artifact_lifecycle":          lifecycleDomain,
	"user":                        userDomain,
	"app_trust":                   appTrustDomain,
	"xray_scan_status":            scanDomain,
	"curation":                    curationDomain,
}

// domain is what JFrog groups events by.
type domain struct {
	types map[string]eventType
	// mark is a field of the data that tells the domain's events from those of another domain with a type of the same
	// name, in payloads that name no domain. Domains without one are the last resort.
	mark string
}

// eventType is one line of a domain's table.
type eventType struct {
	// read finds what the event points at; nil when it is nothing that could ever be signed.
	read decode
	lane job.Lane
	// ignored says why the event is acknowledged and leads to nothing. Without it the event is acted on.
	ignored string
}

// ignore makes lines of events that lead to nothing and point at nothing.
func ignore(why string, types ...string) map[string]eventType {
	table := make(map[string]eventType, len(types))
	for _, t := range types {
		table[t] = eventType{ignored: why}
	}
	return table
}

// Type is one type of event as users see it.
type Type struct {
	Domain, Name string
	Lane         job.Lane // of the work that it leads to; empty when it leads to none
	Ignored      string   // why it leads to none
}

// Types lists every type of event that is known, sorted by domain and name.
func Types() []Type {
	var all []Type
	for name, d := range domains {
		for typ, t := range d.types {
			line := Type{Domain: name, Name: typ, Lane: t.lane, Ignored: t.ignored}
			if t.ignored != "" {
				line.Lane = ""
			}
			all = append(all, line)
		}
	}
	slices.SortFunc(all, func(a, b Type) int { return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Name, b.Name)) })
	return all
}

// Events lists, sorted, every "domain/type" that can lead to work: what a policy may name.
func Events() []string {
	var all []string
	for _, t := range Types() {
		if t.Ignored == "" {
			all = append(all, t.Domain+"/"+t.Name)
		}
	}
	return all
}

// domainOf names the domain of a payload that does not: the only one that has the type, or the one whose mark the data
// bears; "" when that is no answer.
func domainOf(typ string, fields map[string]struct{}) string {
	var plain, marked []string
	for _, name := range slices.Sorted(maps.Keys(domains)) {
		if _, ok := domains[name].types[typ]; !ok {
			continue
		}
		mark := domains[name].mark
		if _, ok := fields[mark]; ok {
			marked = append(marked, name)
		}
		plain = append(plain, name)
	}
	for _, found := range [][]string{marked, plain} {
		if len(found) == 1 {
			return found[0]
		}
	}
	return ""
}
