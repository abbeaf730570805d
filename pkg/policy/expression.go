package policy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// artifactView is the variable artifact.
type artifactView struct {
	Instance   string              `cel:"instance"`
	Repo       string              `cel:"repository"`
	Path       string              `cel:"path"`
	Name       string              `cel:"name"`
	Kind       string              `cel:"kind"`
	SHA256     string              `cel:"sha256"`
	Size       int64               `cel:"size"`
	Created    time.Time           `cel:"created"`
	Modified   time.Time           `cel:"modified"`
	Project    string              `cel:"project"`
	Properties map[string][]string `cel:"properties"`
	Tag        string              `cel:"tag"`
	Platform   string              `cel:"platform"`
}

// buildView is the variable build; its name is empty when no build record lists the artifact.
type buildView struct {
	Name    string    `cel:"name"`
	Number  string    `cel:"number"`
	Project string    `cel:"project"`
	Started time.Time `cel:"started"`
}

// actorView is an element of the variable actors.
type actorView struct {
	User   string   `cel:"user"`
	Role   string   `cel:"role"`
	Groups []string `cel:"groups"`
}

// signatureView is an element of the variable signatures: one that verified.
type signatureView struct {
	Key    string    `cel:"key"`
	Format string    `cel:"format"`
	Level  int64     `cel:"level"`
	Made   time.Time `cel:"made"`
}

// viewNames are the names of types of variables as people know them.
var viewNames = map[string]string{
	"policy.artifactView": "artifact", "policy.buildView": "build", "policy.actorView": "actor", "policy.signatureView": "signature",
}

// viewFields are the fields of all variables.
var viewFields = func() []string {
	var out []string
	for _, view := range []any{artifactView{}, buildView{}, actorView{}, signatureView{}} {
		for t, i := reflect.TypeOf(view), 0; i < t.NumField(); i++ {
			out = append(out, t.Field(i).Tag.Get("cel"))
		}
	}
	return out
}()

// celWords tells which facts an expression needs that speaks of a variable, or of a field of artifact.
var celWords = map[string]Needs{
	"artifact.properties": NeedProperties, "artifact.project": NeedProject, "build": NeedBuild,
	"actors": NeedActors | NeedGroups, "repositories": NeedRepositories, "signatures": NeedSignatures,
}

var celEnv = sync.OnceValues(func() (*cel.Env, error) {
	view := func(v any) *cel.Type { return cel.ObjectType("policy." + reflect.TypeOf(v).Name()) }
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[artifactView](), reflect.TypeFor[buildView](),
			reflect.TypeFor[actorView](), reflect.TypeFor[signatureView]()),
		ext.Strings(),
		cel.Variable("artifact", view(artifactView{})),
		cel.Variable("build", view(buildView{})),
		cel.Variable("actors", cel.ListType(view(actorView{}))),
		cel.Variable("signatures", cel.ListType(view(signatureView{}))),
		cel.Variable("repositories", cel.ListType(cel.StringType)),
		cel.Variable("event", cel.StringType),
		cel.Variable("now", cel.TimestampType),
		cel.Function("property", cel.MemberOverload("artifact_property_string", []*cel.Type{view(artifactView{}), cel.StringType}, cel.StringType,
			cel.BinaryBinding(firstProperty))),
		cel.ParserRecursionLimit(maxDepthCEL), cel.ParserExpressionSizeLimit(maxExpression),
	)
})

// firstProperty is artifact.property("name"): the property's first value, or the empty text.
func firstProperty(of, name ref.Val) ref.Val {
	a, ok := of.Value().(artifactView)
	key, isText := name.Value().(string)
	if !ok || !isText {
		return types.NewErr("property needs the name of a property")
	}
	if values := a.Properties[key]; len(values) > 0 {
		return types.String(values[0])
	}
	return types.String("")
}

// expression is a checked CEL expression.
type expression struct {
	source  string
	needs   Needs
	program cel.Program
}

func compileExpression(source string) (expression, error) {
	if len(source) > maxExpression {
		return expression{}, fmt.Errorf("has %d bytes, the limit is %d", len(source), maxExpression)
	}
	env, err := celEnv()
	if err != nil {
		return expression{}, fmt.Errorf("preparing CEL: %w", err)
	}
	checked, issues := env.Compile(source)
	if err := issues.Err(); err != nil {
		return expression{}, mistakesOf(issues)
	}
	if out := checked.OutputType(); out != cel.BoolType {
		return expression{}, fmt.Errorf("is of the type %s and must be true or false", out)
	}
	program, err := bounded(env, checked)
	if err != nil {
		return expression{}, err
	}
	return expression{source: source, needs: needsOf(checked.NativeRep().Expr()), program: program}, nil
}

// needsOf walks an expression for the words that cost requests.
func needsOf(root ast.Expr) Needs {
	var n Needs
	selected := map[int64]bool{} // artifact as the operand of a selection or call, accounted for there
	note := func(operand ast.Expr, word string) {
		if operand.Kind() == ast.IdentKind && operand.AsIdent() == "artifact" {
			selected[operand.ID()] = true
			n |= celWords["artifact."+word]
		}
	}
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			note(e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			if call := e.AsCall(); call.IsMemberFunction() && call.FunctionName() == "property" {
				note(call.Target(), "properties")
			}
		case ast.IdentKind:
			n |= celWords[e.AsIdent()]
			if e.AsIdent() == "artifact" && !selected[e.ID()] {
				n |= NeedProperties | NeedProject
			}
		}
	}))
	return n
}

// holds runs the expression. Its error says why there is no answer.
func (e expression) holds(q *question) (bool, error) {
	if !q.afford(0) {
		return false, errors.New(tooMuch().message)
	}
	out, details, err := e.program.Eval(q.view())
	if units := details.ActualCost(); units != nil {
		q.afford(*units)
	}
	if err != nil {
		return false, err
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it is of the type %s", out.Type())
	}
	return yes, nil
}

// view is the question as expressions see it. It is made anew each time: expressions must not share what they can see.
func (q *question) view() map[string]any {
	s := q.subject
	build, actors, signatures := buildView{}, make([]actorView, len(q.facts.Actors)), []signatureView{}
	if b := q.facts.Build; b != nil {
		build = buildView(*b)
	}
	for i, a := range q.facts.Actors {
		actors[i] = actorView(a)
	}
	for _, e := range q.facts.Signatures {
		if e.Problem == "" && !slices.Contains(q.apart, e.Format) {
			signatures = append(signatures, signatureView{Key: e.Key, Format: e.Format, Level: int64(e.level()), Made: e.At})
		}
	}
	properties := q.facts.Properties
	if properties == nil {
		properties = map[string][]string{}
	}
	repositories := q.facts.Repositories
	if repositories == nil {
		repositories = []string{}
	}
	return map[string]any{
		"artifact": artifactView{
			Instance: s.Ref.Instance, Repo: s.Ref.Repo, Path: s.Ref.Path, Name: s.Ref.Name(), Kind: string(s.Kind), SHA256: s.SHA256.String(),
			Size: s.Size, Created: s.Created, Modified: s.Modified, Project: q.facts.Project, Properties: properties,
			Tag: s.Image.Tag, Platform: s.Image.Platform,
		},
		"build": build, "actors": actors, "signatures": signatures, "repositories": repositories, "event": q.event, "now": q.at,
	}
}
