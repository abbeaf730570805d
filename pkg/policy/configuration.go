package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// SigningConfiguration is the YAML form of what permission hangs on: keys and formats for one product, with those who
// answer for it and those who may have artifacts signed. A key that a configuration lists is used through it alone.
type SigningConfiguration struct {
	Header     `yaml:",inline"`
	Product    strictyaml.Located[string] `yaml:"product" doc:"the product that it signs; shown in decisions"`
	Lane       strictyaml.Located[string] `yaml:"lane" required:"true" oneof:"development,release" doc:"the lane of all its keys"`
	Managers   People                     `yaml:"managers" doc:"who looks after the policies that name it; nobody of them submits"`
	Submitters Submitters                 `yaml:"submitters" default:"everybody" doc:"whose artifacts are signed, as Artifactory reports it"`
	Sign       []SignLine                 `yaml:"sign" required:"true" doc:"what to sign with, a line for each signature"`
}

// People are users and groups of Artifactory.
type People struct {
	Users  []strictyaml.Located[string] `yaml:"users" doc:"names of users"`
	Groups []strictyaml.Located[string] `yaml:"groups" doc:"names of groups"`
}

// Submitters are people, with what they must have done.
type Submitters struct {
	Pos    strictyaml.Pos
	Users  []strictyaml.Located[string] `yaml:"users" doc:"names of users"`
	Groups []strictyaml.Located[string] `yaml:"groups" doc:"names of groups"`
	As     []strictyaml.Located[string] `yaml:"as" default:"creator, modifier, promoter" doc:"which of those whom Artifactory names must be submitters: creator, modifier, promoter; every one of them that it names"`
}

// configuration is a SigningConfiguration that was checked.
type configuration struct {
	name, owner, product string
	rule                 string
	lane                 string
	managers             people
	submitters           people
	as                   []string // roles; none when everybody may submit
	lines                []line
}

// anonymous is what Artifactory calls those who did not log in.
const anonymous = "anonymous"

type people struct{ users, groups []string }

func (p people) empty() bool { return len(p.users)+len(p.groups) == 0 }

func (p people) has(a Actor) bool {
	return slices.Contains(p.users, a.User) || slices.ContainsFunc(a.Groups, func(g string) bool { return slices.Contains(p.groups, g) })
}

// hasAnyCase is has for those who are kept out: Artifactory knows names in lower case, whatever people write.
func (p people) hasAnyCase(a Actor) bool {
	in := func(list []string, name string) bool {
		return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
	}
	return in(p.users, a.User) || slices.ContainsFunc(a.Groups, func(g string) bool { return in(p.groups, g) })
}

// String names a few of them, for messages.
func (p people) String() string { return strings.Join(clip(p.list()), ", ") }

// all names all of them.
func (p people) all() string { return strings.Join(p.list(), ", ") }

func (p people) list() []string {
	parts := slices.Clone(p.users)
	for _, g := range p.groups {
		parts = append(parts, "group "+g)
	}
	return parts
}

func (c *compiler) configuration(src source, y SigningConfiguration) *configuration {
	c.header(y.Header)
	c.oneLine("product", y.Product, maxOwner)
	r := &configuration{
		name: y.Name.Value, owner: y.Owner.Value, product: y.Product.Value, rule: place(src.short, y.Pos.Line, y.Name.Value), lane: y.Lane.Value,
		managers:   people{c.names(y.Managers.Users), c.names(y.Managers.Groups)},
		submitters: people{c.names(y.Submitters.Users), c.names(y.Submitters.Groups)},
	}
	if y.Submitters.Pos != (strictyaml.Pos{}) {
		r.as = []string{Creator, Modifier, Promoter}
		if len(y.Submitters.As) > 0 {
			r.as = nil
		}
		for _, role := range y.Submitters.As {
			if c.known("role", role, []string{Creator, Modifier, Promoter}) {
				r.as = append(r.as, role.Value)
			}
		}
		if r.submitters.empty() && !c.partial {
			c.fail(y.Submitters.Pos, "submitters: names nobody, so nothing could ever be signed; list users or groups")
		}
	}
	for _, u := range y.Submitters.Users {
		if strings.EqualFold(u.Value, anonymous) {
			c.fail(u.Pos, "%s is whoever did not log in, and nobody's word; list users that log in, or leave submitters out to let everybody submit", u.Value)
		}
	}
	for _, both := range [][2][]strictyaml.Located[string]{{y.Managers.Users, y.Submitters.Users}, {y.Managers.Groups, y.Submitters.Groups}} {
		for _, s := range both[1] {
			if slices.ContainsFunc(both[0], func(m strictyaml.Located[string]) bool { return strings.EqualFold(m.Value, s.Value) }) {
				c.fail(s.Pos, "%s is a manager and a submitter; the roles are distinct, take the name out of one", s.Value)
			}
		}
	}
	r.lines = c.lines(y.Sign)
	for _, l := range y.Sign {
		for _, k := range l.named() {
			if lane := c.lane(k.Value); lane != "" && r.lane != "" && lane != r.lane {
				c.fail(k.Pos, "%s is a %s key and the configuration's lane is %s", k.Value, lane, r.lane)
			}
		}
	}
	return r
}

// names are names of people: not empty and of one line.
func (c *compiler) names(written []strictyaml.Located[string]) []string {
	var out []string
	for _, n := range written {
		if n.Value == "" {
			c.fail(n.Pos, "a name is empty")
		}
		c.oneLine("a name", n, maxOwner)
		out = append(out, n.Value)
	}
	return out
}

// needs tells which facts it takes to know who submitted.
func (r *configuration) needs() Needs {
	switch {
	case r == nil || r.as == nil && r.managers.empty():
		return 0
	case len(r.submitters.groups)+len(r.managers.groups) > 0:
		return NeedActors | NeedGroups
	}
	return NeedActors
}

// admits returns nil when those who brought the artifact may have it signed, else why not. Each of those whom Artifactory
// names in the roles that count must be a submitter, and nobody in any role a manager; when it names nobody, nobody submitted it.
func (r *configuration) admits(q *question) *reason.Reason {
	if r == nil || r.needs() == 0 {
		return nil
	}
	no := reason.Reason{Code: reason.TriggerRefused, Rule: r.rule, Who: r.owner, Expected: "all of: " + strings.Join(r.as, ", ") + ", as far as Artifactory names them, among " + r.submitters.String()}
	if r.as == nil {
		no.Expected = "none of the managers: " + r.managers.String()
	}
	if lacks := q.lacks(r.needs()); lacks != 0 {
		no.Code, no.Message, no.Found = reason.Undecided, "it is not known who brought the artifact, so the answer is no", "not looked up: "+lacks.String()
		no.Fix, no.Who = "ask again: "+again(q.subject.Ref), "platform engineers"
		return &no
	}
	if len(q.by(r.as)) == 0 && r.as != nil {
		no.Message, no.Found = "Artifactory names nobody who brought the artifact", "no "+strings.Join(r.as, ", ")
		no.Fix, no.Would = "let a submitter upload it", "if one of "+r.submitters.String()+" uploaded it"
		return &no
	}
	for _, a := range q.by([]string{Creator, Modifier, Promoter}) {
		switch {
		case r.managers.hasAnyCase(a): // whatever the role
			no.Message = fmt.Sprintf("%s, its %s, is a manager of %s, and managers do not submit", a.User, a.Role, r.name)
		case slices.Contains(r.as, a.Role) && !r.submitters.has(a):
			no.Message = fmt.Sprintf("%s, its %s, may not have artifacts signed with %s", a.User, a.Role, r.name)
		default:
			continue
		}
		no.Found = a.Role + " " + a.User
		if len(a.Groups) > 0 {
			no.Found += ", in " + strings.Join(clip(a.Groups), ", ")
		}
		no.Fix, no.Would = "let a submitter upload or promote it", "if its "+a.Role+" were one of "+r.submitters.String()
		switch {
		case r.as == nil:
			no.Fix, no.Would = "let somebody else upload or promote it", "if its "+a.Role+" were no manager"
		case !r.managers.hasAnyCase(a):
			no.Fix += "; or add " + a.User + " to the submitters of " + r.name
		}
		return &no
	}
	return nil
}
