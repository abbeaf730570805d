package artifactory

import (
	"strings"
	"sync"
)

// property compiles "@key": … . A negative comparison also finds items that lack the key; a positive one is satisfied
// by any of several values.
func (c *compiler) property(m member) (criterion, error) {
	pattern := m.key[1:]
	ops, negative := operators(m), false
	if len(ops) == 0 {
		return criterion{}, badAQL("%s has an empty comparison", m.key)
	}
	if len(ops) == 1 && (ops[0].key == "$ne" || ops[0].key == "$nmatch") {
		negative = true
		ops = []member{{map[string]string{"$ne": "$eq", "$nmatch": "$match"}[ops[0].key], ops[0].value}}
	}
	var tests []func(string) bool
	for _, op := range ops {
		t, err := textTest(m.key, op)
		if err != nil {
			return criterion{}, err
		}
		tests = append(tests, t)
	}
	fits := func(values []string) bool {
		for _, v := range values {
			ok := true
			for _, t := range tests {
				ok = ok && t(v)
			}
			if ok {
				return true
			}
		}
		return false
	}
	if !strings.ContainsAny(pattern, "*?") {
		return criterion{func(n *node) bool { return fits(n.props[pattern]) != negative }, anywhere}, nil
	}
	return criterion{func(n *node) bool {
		for key, values := range n.props {
			if wildcard(pattern, key) && fits(values) {
				return !negative
			}
		}
		return negative
	}, anywhere}, nil
}

// Fields of the build domain that item queries may use; name and number belong together.
const (
	artifactBuild   = "artifact.module.build."
	dependencyBuild = "dependency.module.build."
)

// buildMembers takes the fields of the build domain out of an object.
func buildMembers(members []member) (built, rest []member) {
	for _, m := range members {
		if strings.HasPrefix(m.key, artifactBuild) || strings.HasPrefix(m.key, dependencyBuild) {
			built = append(built, m)
		} else {
			rest = append(rest, m)
		}
	}
	return built, rest
}

// builtBy finds what a build's latest run lists as artifacts, or dependencies, by SHA-1.
func (c *compiler) builtBy(members []member) (criterion, error) {
	var key buildKey
	dependencies := strings.HasPrefix(members[0].key, dependencyBuild)
	for _, m := range members {
		value, ok := m.value.(string)
		switch {
		case !ok || strings.HasPrefix(m.key, dependencyBuild) != dependencies:
			return criterion{}, unsupported("the AQL comparison of %q is not implemented", m.key)
		case strings.HasSuffix(m.key, ".name"):
			key.name = value
		case strings.HasSuffix(m.key, ".number"):
			key.number = value
		default:
			return criterion{}, unsupported("the AQL field %q is not implemented", m.key)
		}
	}
	if key.name == "" || key.number == "" {
		return criterion{}, unsupported("AQL by build needs its name and number")
	}
	// Read when the query runs, which is when the lock is held.
	sums := sync.OnceValue(func() map[string]bool {
		out := map[string]bool{}
		for known := range c.server.builds {
			if known.name != key.name || known.number != key.number {
				continue
			}
			if b, err := c.server.run(known, ""); err == nil {
				files := b.artifacts
				if dependencies {
					files = b.dependencies
				}
				for _, f := range files {
					out[strings.ToLower(f.SHA1)] = true
				}
			}
		}
		return out
	})
	return criterion{func(n *node) bool { return n.isFile() && !n.repo.sealed && sums()[n.blob.sha1] }, anywhere}, nil
}
