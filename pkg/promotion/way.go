package promotion

import (
	"context"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Kind says what is promoted as one.
type Kind string

// The kinds of promotions.
const (
	KindFile   Kind = "file"
	KindBuild  Kind = "build"
	KindImage  Kind = "image"
	KindBundle Kind = "bundle"
)

// way is what the promotions of one kind have for themselves.
type way struct {
	kind  Kind
	asked func(req Request) bool            // whether a request is for this kind
	check func(req Request) error           // refuses what cannot be followed
	name  func(req Request) string          // what reports call it
	sel   func(*run, context.Context) error // step 1
	// other says why an artifact that the gate lets in is not the one that was asked for.
	other func(r *run, it *item) reason.Reason
	// judged ends step 2: it adds to the run's reasons why the whole may not go; nil for nothing.
	judged func(*run)
	// begin is what step 4 begins with; nil for nothing. It reports whether the rest may follow.
	begin func(*run, context.Context) bool
	// finish is step 6. It runs when all artifacts stand at the target, can be repeated, and adds to the run's reasons why
	// it failed.
	finish func(*run, context.Context) bool
}

// ways is the table of kinds.
var ways = []way{files, builds, images, bundles}

// wayOf finds the one way that a request asks for.
func wayOf(req Request) (way, error) {
	var found []way
	for _, w := range ways {
		if w.asked(req) {
			found = append(found, w)
		}
	}
	if len(found) != 1 {
		names := "nothing"
		for i, w := range found {
			if names += " and " + string(w.kind); i == 0 {
				names = string(w.kind)
			}
		}
		return way{}, refuse(reason.NothingSelected, "a promotion is about artifacts, a build, an image or a release bundle", names, "exactly one of them")
	}
	return found[0], found[0].check(req)
}
