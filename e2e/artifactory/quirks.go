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
	// Configurations says what those who are not admins are told of repositories' configurations: "open" (default, all),
	// "partial" (key, class and package type) or "closed" (403).
	Configurations string
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
	// BuildStarted says how ?started= chooses a build's run: "time" (default, however its zone is written) or "text", as the
	// build-info has it.
	BuildStarted string
	// EmptyPromotion says what a build promotion with a target repository does that is to carry neither artifacts nor
	// dependencies: "record" (default) it with the repository, record it "without" the repository, or "refuse" (400).
	EmptyPromotion string
	// ImageFiles says whether manifests and layers that are pushed are announced as artifact/deployed, too: "announce"
	// (default) or "silent".
	ImageFiles string
	// DigestPushes says whether docker/pushed and docker/deleted tell of manifests without a tag: "announce" (default),
	// with the digest as tag, or "silent".
	DigestPushes string
	// RegistryAuth is what the registry API asks for: "bearer" (default), a token of its own, or "basic".
	RegistryAuth string
	// Referrers is the answer of the referrers API: "" (default, it works), "404" as before it existed, or "403".
	Referrers string
	// SubjectHeader says whether a push with a subject is answered with OCI-Subject: "answer" (default) or "omit".
	SubjectHeader string
	// MissingChildren says what a push of an index does whose manifests are missing: "refuse" (default) or "accept".
	MissingChildren string
	// PromotedReferrers says whether referrers go with a promoted image: "stay" (default) or "follow".
	PromotedReferrers string
	// PromoteNoTag is what an image promotion without a tag means: "all" (default) or "latest".
	PromoteNoTag string
	// BundleOverEqual says what the promotion of a release bundle does where the target has the same bytes already: "fail"
	// (default) or "allow".
	BundleOverEqual string
	// EvidenceKeys says which trusted keys evidence is verified with: "documented" (default; RSA-2048, P-256, Ed25519) or
	// "all" that are known here.
	EvidenceKeys string
	// SigstoreEvidence says what evidence in a Sigstore bundle with a key counts as: "unverified" (default) or "verified"
	// when some trusted key fits.
	SigstoreEvidence string
	// PrepareField names the artifact in evidence/prepare: "repo_path" (default) or "path".
	PrepareField string
	// VerifiedType is the type of verified in searches: "bool" (default) or "string".
	VerifiedType string
	// CopiedEvidence says whether evidence goes with a copied or moved file: "stay" (default) or "follow".
	CopiedEvidence string
	// PrivateTargets says what webhooks to loopback and private addresses get: "allow" (default) or "refuse", as the
	// platform does unless told otherwise.
	PrivateTargets string
	// AnyFederated says what releases that do not know this criterion do about it: "known" (default) or "refuse" (400).
	AnyFederated string
	// Users says which interfaces tell about users: "both" (default), "access" alone, as when the older one is gone, or
	// "older" alone, as before 7.49. The other is 404.
	Users string
	// AQLWait is how long a query waits for one of three slots before it is answered 429; default 10 s.
	AQLWait time.Duration
	// PropertyPages says what offset and limit count in a query that includes all properties: "" (default, such a query is
	// refused with 501), "items", or "rows" of an item and one property, so that a page may cut an item's properties.
	PropertyPages string
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
		oneOf("Configurations", q.Configurations, "open", "partial", "closed"),
		oneOf("NoDeployTarget", q.NoDeployTarget, "forbid", "missing"),
		oneOf("Mirrored", q.Mirrored, "announce", "silent"),
		oneOf("ServiceFiles", q.ServiceFiles, "announce", "silent"),
		oneOf("PromotionEvents", q.PromotionEvents, "all", "promoted"),
		oneOf("PromotionAbort", q.PromotionAbort, "half", "none"),
		oneOf("SameContent", q.SameContent, "all", "one"),
		oneOf("MissingArtifact", q.MissingArtifact, "fail", "skip"),
		oneOf("BuildStarted", q.BuildStarted, "time", "text"),
		oneOf("EmptyPromotion", q.EmptyPromotion, "record", "without", "refuse"),
		oneOf("ImageFiles", q.ImageFiles, "announce", "silent"),
		oneOf("DigestPushes", q.DigestPushes, "announce", "silent"),
		oneOf("RegistryAuth", q.RegistryAuth, "bearer", "basic"),
		oneOf("Referrers", q.Referrers, "404", "403"),
		oneOf("SubjectHeader", q.SubjectHeader, "answer", "omit"),
		oneOf("MissingChildren", q.MissingChildren, "refuse", "accept"),
		oneOf("PromotedReferrers", q.PromotedReferrers, "stay", "follow"),
		oneOf("PromoteNoTag", q.PromoteNoTag, "all", "latest"),
		oneOf("BundleOverEqual", q.BundleOverEqual, "fail", "allow"),
		oneOf("EvidenceKeys", q.EvidenceKeys, "documented", "all"),
		oneOf("SigstoreEvidence", q.SigstoreEvidence, "unverified", "verified"),
		oneOf("PrepareField", q.PrepareField, "repo_path", "path"),
		oneOf("VerifiedType", q.VerifiedType, "bool", "string"),
		oneOf("CopiedEvidence", q.CopiedEvidence, "stay", "follow"),
		oneOf("Users", q.Users, "both", "access", "older"),
		oneOf("PropertyPages", q.PropertyPages, "items", "rows"),
		oneOf("PrivateTargets", q.PrivateTargets, "allow", "refuse"),
		oneOf("AnyFederated", q.AnyFederated, "known", "refuse"),
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
