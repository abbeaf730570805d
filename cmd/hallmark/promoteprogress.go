package main

import (
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// promotionLine is the bar of a promotion: each phase fills it anew.
func promotionLine(p promotion.Progress) string {
	done := 0.0
	if p.Of > 0 {
		done = float64(p.Done) / float64(p.Of)
	}
	line := bar(done) + " " + string(p.Phase)
	switch {
	case p.Phase == promotion.PhaseWaiting:
		line += " for another promotion into the same repository"
	case p.Of > 0:
		line += fmt.Sprintf(", %d of %d", p.Done, p.Of)
	case p.Done > 0:
		line += fmt.Sprintf(", %d found", p.Done)
	}
	if p.ID != 0 {
		line += fmt.Sprintf(" (promotion %d)", p.ID)
	}
	return line
}
