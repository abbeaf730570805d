package promotion

import (
	"context"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// files: artifacts that are named by their places.
var files = way{
	kind:   KindFile,
	asked:  func(req Request) bool { return len(req.Artifacts) > 0 },
	check:  func(Request) error { return nil },
	name:   func(Request) string { return "" },
	sel:    (*run).selectItems,
	other:  func(*run, *item) reason.Reason { return reason.Reason{} }, // a place is all that was asked for
	finish: func(*run, context.Context) bool { return true },
}
