package policy

import (
	"fmt"
	"regexp/syntax"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Limits of an expression (CEL, Common Expression Language). What it may cost is bounded three times: by an estimate for
// facts of ordinary size when it is loaded, by a count when it runs, and by a count over all that one decision asks.
const (
	maxExpression = 4096      // bytes
	maxEstimate   = 2_000_000 // of CEL's units
	maxCost       = 500_000   // of CEL's units, of one expression and of one decision; about 100 ms at worst
	maxDepthCEL   = 64

	maxExpressions = 4000 // that a set has, equal ones counted once; compiling so many takes a few seconds
)

// Sizes of facts for the estimate. Larger ones are cut short by the count at run time.
const (
	maxText  = 256
	maxItems = 100
)

// maxAlternation bounds a regular expression: how many characters and classes it comes to, repetitions written out.
// Matching takes time in proportion to that, times the length of the text.
const maxAlternation = 1000

// stepsPerUnit is how many steps of matching a regular expression cost one unit of CEL's.
const stepsPerUnit = 10

// afford takes what a test costs from what one decision may cost, and reports whether that is not used up.
func (q *question) afford(units uint64) bool {
	q.spent += units
	return q.spent <= maxCost
}

// tooMuch is what a test finds that the decision cannot afford.
func tooMuch() *failing {
	return &failing{
		message: "the checks before this one took all the work that one decision may cost, so the answer is no",
		found:   fmt.Sprintf("more than %d units of work", maxCost), fix: "make the policy's expressions and patterns cheaper",
	}
}

// weight is how many characters and classes a regular expression comes to when repetitions are written out.
func weight(re *syntax.Regexp) int {
	const most = 1 << 20
	sum := 1
	switch re.Op {
	case syntax.OpLiteral:
		sum = len(re.Rune)
	case syntax.OpCharClass:
		sum += len(re.Rune) / 32
	case syntax.OpRepeat:
		return min(most, max(1, re.Min, re.Max)*weight(re.Sub[0]))
	}
	for _, sub := range re.Sub {
		sum = min(most, sum+weight(sub))
	}
	return sum
}

// checkRegexp refuses what is no regular expression or takes too long to match.
func checkRegexp(text string) (steps int, err error) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0, err
	}
	if steps = weight(re); steps > maxAlternation {
		return 0, fmt.Errorf("comes to %d characters and classes, repetitions written out; the limit is %d", steps, maxAlternation)
	}
	return steps, nil
}

// unbounded tells what in a checked expression CEL does not count the cost of; empty when there is nothing. Lists within
// lists can stand for more than memory holds, because they share their parts, until something looks at every one.
// Beyond that it lists the regular expressions, with the steps that each takes a character.
func unbounded(checked *ast.AST) (patterns matching, why string) {
	patterns = matching{}
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || why != "" {
			return
		}
		call := e.AsCall()
		args := call.Args()
		switch call.FunctionName() {
		case "format", "strings.quote":
			why = call.FunctionName() + " is not available; join texts with +"
		case "dyn":
			why = "dyn is not available; name the value itself"
		case "matches":
			pattern := args[len(args)-1]
			text, isText := "", false
			if pattern.Kind() == ast.LiteralKind {
				text, isText = pattern.AsLiteral().Value().(string)
			}
			if !isText {
				why = "the pattern of matches must be written out, not come from what is matched"
			} else if steps, err := checkRegexp(text); err != nil {
				why = "the pattern of matches " + err.Error()
			} else {
				patterns[text] = steps
			}
		case operators.Equals, operators.NotEquals, operators.In, operators.OldIn:
			for _, arg := range args {
				if t := checked.GetType(arg.ID()); !plainType(t) {
					why = fmt.Sprintf("values of the type %s cannot be compared; compare their parts", t)
				}
			}
		}
	}))
	return patterns, why
}

// matching counts what matching regular expressions costs, which CEL takes to be in proportion to their length as
// written: by the expression, the steps that it takes a character.
type matching map[string]int

// CallCost makes a matching a cost.ActualCostEstimator.
func (m matching) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if function != "matches" || len(args) != 2 {
		return nil
	}
	text, isText := args[0].Value().(string)
	pattern, isPattern := args[1].Value().(string)
	if !isText || !isPattern {
		return nil
	}
	units := 1 + uint64(m[pattern]*(len(text)+1))/stepsPerUnit
	return &units
}

// plainType reports whether comparing values of a type takes no longer than it is counted for: texts, numbers and the
// like, and lists and maps of them.
func plainType(t *types.Type) bool {
	switch t.Kind() {
	case types.ListKind, types.MapKind:
		for _, p := range t.Parameters() {
			if !scalarType(p) && p.Kind() != types.TypeParamKind {
				return false
			}
		}
		return true
	}
	return scalarType(t)
}

func scalarType(t *types.Type) bool {
	switch t.Kind() {
	case types.BoolKind, types.BytesKind, types.DoubleKind, types.DurationKind, types.IntKind, types.NullTypeKind, types.StringKind, types.TimestampKind, types.UintKind:
		return true
	}
	return false
}

// sizes bounds what facts can be, for the estimate of cost.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if len(n.Path()) == 0 {
		return nil
	}
	switch n.Type().Kind() {
	case types.ListKind, types.MapKind:
		return &cost.SizeEstimate{Max: maxItems}
	case types.StringKind:
		return &cost.SizeEstimate{Max: maxText}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// bounded makes the program of a checked expression.
func bounded(env *cel.Env, checked *cel.Ast) (cel.Program, error) {
	patterns, why := unbounded(checked.NativeRep())
	if why != "" {
		return nil, fmt.Errorf("%s", why)
	}
	price, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, fmt.Errorf("estimating what it costs: %w", err)
	}
	if price.Max > maxEstimate {
		return nil, fmt.Errorf("could cost %d units with large facts, the limit is %d; loops within loops are the usual cause", price.Max, maxEstimate)
	}
	return env.Program(checked, cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost), cel.CostLimit(maxCost), cel.CostTracking(patterns))
}
