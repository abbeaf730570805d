package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func promotionText(w io.Writer, r promotion.Report) {
	word, sentence := promotionHead(r)
	fmt.Fprintf(w, "%s  %s\n", word, sentence)
	if r.Name != "" {
		fmt.Fprintf(w, "  %-9s %s\n", r.Kind, r.Name)
	}
	if r.ID != 0 {
		fmt.Fprintf(w, "  record    hallmark promote show %d\n", r.ID)
	}
	rows := make([][]string, len(r.Items))
	for i, it := range r.Items {
		rows[i] = itemRow(it.State, it.Artifact, it.Files, it.Reasons)
	}
	itemTable(w, rows)
	for _, why := range r.Reasons {
		fmt.Fprint(w, why.Text())
	}
	for _, it := range r.Items {
		itemReasons(w, it.Artifact, it.Reasons)
		if len(it.Left) > 0 {
			fmt.Fprintf(w, "%s\n  stay behind, because they do not count at the target: %s\n", it.Artifact, strings.Join(it.Left, ", "))
		}
	}
}

// promotionHead says how a promotion ended, in a word and in a sentence.
func promotionHead(r promotion.Report) (word, sentence string) {
	doing := "copy"
	if r.Move {
		doing = "move"
	}
	head, known := map[promotion.State][2]string{
		promotion.StateAllowed:    {"ALLOWED", "every artifact may enter %s; nothing was changed, --confirm promotes (%s)"},
		promotion.StateRefused:    {"REFUSED", "not every artifact may enter %s; nothing was changed (%s)"},
		promotion.StateUndecided:  {"UNDECIDED", "not everything could be learnt about the way to %s; nothing was changed (%s)"},
		promotion.StateDone:       {"PROMOTED", "everything stands in %s (%s)"},
		promotion.StateIncomplete: {"INCOMPLETE", "the promotion into %s failed half way (%s)"},
	}[r.State]
	if !known {
		return strings.ToUpper(string(r.State)), "this hallmark is older than the service and does not know what became of the promotion into " + r.Target
	}
	return head[0], fmt.Sprintf(head[1], r.Target, doing)
}

func recordText(w io.Writer, p api.Promotion) {
	doing := "copied"
	if p.Move {
		doing = "moved"
	}
	fmt.Fprintf(w, "%s  promotion %d into %s, %s by %s\n", strings.ToUpper(p.State), p.ID, p.Target, doing, p.Caller)
	if p.Name != "" {
		fmt.Fprintf(w, "  %-9s %s\n", p.Kind, p.Name)
	}
	fmt.Fprintf(w, "  begun     %s\n", p.StartedAt.Format(time.RFC3339))
	if p.EndedAt != nil {
		fmt.Fprintf(w, "  ended     %s\n", p.EndedAt.Format(time.RFC3339))
	}
	rows := make([][]string, len(p.Items))
	for i, it := range p.Items {
		rows[i] = itemRow(it.State, it.Artifact, it.Files, it.Reasons)
	}
	itemTable(w, rows)
	for _, it := range p.Items {
		itemReasons(w, it.Artifact, it.Reasons)
	}
}

func recordsText(w io.Writer, list []api.PromotionSummary) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no promotion was ever begun")
		return
	}
	rows := make([][]string, len(list))
	for i, p := range list {
		what := p.Kind
		if p.Name != "" {
			what += " " + p.Name
		}
		rows[i] = []string{strconv.FormatInt(p.ID, 10), p.State, p.StartedAt.Format(time.RFC3339), p.Target, what, statesText(p), p.Caller}
	}
	table(w, []string{"ID", "STATE", "BEGUN", "TARGET", "WHAT", "ARTIFACTS", "CALLER"}, rows)
}

// statesText counts artifacts, and says how far they came where not all are done.
func statesText(p api.PromotionSummary) string {
	text := strconv.Itoa(p.Artifacts)
	if p.States["done"] == p.Artifacts {
		return text
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(p.States)) {
		parts = append(parts, fmt.Sprintf("%d %s", p.States[state], state))
	}
	return text + ": " + strings.Join(parts, ", ")
}

func itemRow(state, artifact string, files []string, why []reason.Reason) []string {
	told := strings.Join(files, ", ")
	if len(why) > 0 {
		told = why[0].String()
	}
	return []string{"  " + state, artifact, told}
}

func itemTable(w io.Writer, rows [][]string) {
	if len(rows) > 0 {
		table(w, []string{"  STATE", "ARTIFACT", "SIGNATURE FILES, OR WHY NOT"}, rows)
	}
}

func itemReasons(w io.Writer, artifact string, why []reason.Reason) {
	if len(why) == 0 {
		return
	}
	fmt.Fprintln(w, artifact)
	for _, r := range why {
		fmt.Fprint(w, r.Text())
	}
}
