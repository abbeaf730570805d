package artifactory

import (
	"errors"
	"fmt"
	"time"
)

// Quirks answers what JFrog's documents leave open, or what differs between releases. The zero value is the strict
// reading. They may be changed while the server runs.
type Quirks struct {
	// SameBytes says what a deploy of identical bytes over a file does for a caller without delete rights:
	// "refuse" (default, 403) or "allow" (201).
	SameBytes string
	// LongValue says what a property key over 255 or a value over 2,400 characters does: "error" (default, 400) or "cut".
	LongValue string
	// Overwritten says what becomes of an item's properties when it is overwritten: "drop" (default) or "keep".
	Overwritten string
	// Copied says whether properties follow a copy or move: "follow" (default) or "drop".
	Copied string
	// EncodedSemicolon says what %3B in a path is: "name" (default, part of the name) or "matrix" (starts a parameter).
	EncodedSemicolon string
	// MovePaths is the form of source_repo_path and target_repo_path in events: "repo/path" (default), "repo:path", "repo".
	MovePaths string
	// VirtualInfo says which repository api/storage names for an item read through a virtual one: "member" (default),
	// which holds it, or "virtual", as it was asked.
	VirtualInfo string
	// NoDeployTarget is the answer to a deploy where no local repository takes it: "forbid" (default, 403) or "missing" (404).
	NoDeployTarget string
	// Mirrored says whether files that arrive by federation are announced: "announce" (default) or "silent".
	Mirrored string
	// ServiceFiles says whether files that services store for themselves (build-info, evidence, release bundles) are
	// announced as artifact/deployed: "announce" (default) or "silent".
	ServiceFiles string
	// PromotionEvents says what a promotion of a build, image or release bundle announces: "all" (default), each file as
	// copied or moved and then the promotion, or "promoted", the promotion alone.
	PromotionEvents string
	// PromotionAbort says what a promotion that fails has carried: "half" (default, everything before the failure) or
	// "none" (all is checked first).
	PromotionAbort string
	// SameContent says how many of several files with one SHA-1 a build promotion carries: "all" (default) or "one".
	SameContent string
	// MissingArtifact says what a build promotion does about an artifact that is nowhere: "fail" (default) or "skip".
	MissingArtifact string
	// AQLWait is how long a query waits for one of three slots before it is answered 429; default 10 s.
	AQLWait time.Duration
	// ListRights makes AQL insist that non-admins include repo, path and name: "insist" (default) or "ignore".
	ListRights string
}

// Validate reports unknown answers.
func (q Quirks) Validate() error {
	return errors.Join(
		oneOf("SameBytes", q.SameBytes, "refuse", "allow"),
		oneOf("LongValue", q.LongValue, "error", "cut"),
		oneOf("Overwritten", q.Overwritten, "drop", "keep"),
		oneOf("Copied", q.Copied, "follow", "drop"),
		oneOf("EncodedSemicolon", q.EncodedSemicolon, "name", "matrix"),
		oneOf("MovePaths", q.MovePaths, "repo/path", "repo:path", "repo"),
		oneOf("VirtualInfo", q.VirtualInfo, "member", "virtual"),
		oneOf("NoDeployTarget", q.NoDeployTarget, "forbid", "missing"),
		oneOf("Mirrored", q.Mirrored, "announce", "silent"),
		oneOf("ServiceFiles", q.ServiceFiles, "announce", "silent"),
		oneOf("PromotionEvents", q.PromotionEvents, "all", "promoted"),
		oneOf("PromotionAbort", q.PromotionAbort, "half", "none"),
		oneOf("SameContent", q.SameContent, "all", "one"),
		oneOf("MissingArtifact", q.MissingArtifact, "fail", "skip"),
		oneOf("ListRights", q.ListRights, "insist", "ignore"),
	)
}

func oneOf(name, got string, known ...string) error {
	if got == "" {
		return nil
	}
	for _, k := range known {
		if got == k {
			return nil
		}
	}
	return fmt.Errorf("stand-in: quirk %s is %q, known are %q", name, got, known)
}

// Quirks returns the present answers.
func (s *Server) Quirks() Quirks { return *s.quirks.Load() }

// SetQuirks replaces them; requests already running may still see the old ones.
func (s *Server) SetQuirks(q Quirks) error {
	if err := q.Validate(); err != nil {
		return err
	}
	if q.AQLWait == 0 {
		q.AQLWait = 10 * time.Second
	}
	s.quirks.Store(&q)
	return nil
}
