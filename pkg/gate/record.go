package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// errNoDigest: without a digest from Artifactory there is nothing that a signature could be verified for.
var errNoDigest = errors.New("the artifact has no SHA-256")

// errOnlyParts: there is nothing that a signature could be of.
var errOnlyParts = errors.New("has no signature of its own")

// errNoInstance: nobody can be asked about the artifact.
var errNoInstance = errors.New("the instance is not configured")

// changedError: a file was replaced while its bytes were being judged.
type changedError struct {
	ref     artifact.Ref
	was, is artifact.Digest
}

func (e *changedError) Error() string {
	return fmt.Sprintf("%s changed from %s to %s", e.ref, e.was, e.is)
}

// refusal is the table of errors that are an answer: the gate knows enough to say no.
func refusal(req Request, err error) (_ reason.Reason, known bool) {
	var changed *changedError
	var missing *artifact.MissingError
	again := "hallmark gate check " + req.Artifact.String() + " --target " + req.Target.Repo
	switch {
	case err == nil, isUnavailable(err):
		return reason.Reason{}, false
	case errors.Is(err, artifact.ErrGone):
		return reason.Reason{
			Code: reason.ArtifactGone, Message: "the artifact is not in Artifactory", Found: "nothing at " + req.Artifact.String(),
			Expected: "a file, and for a signature file the artifact beside it", Fix: "check the path", Who: "the caller",
		}, true
	case errors.Is(err, artifactory.ErrNotFile):
		return reason.Reason{
			Code: reason.NotAFile, Message: "a folder is not promoted as such; ask about each file", Found: req.Artifact.String() + " is a folder",
			Expected: "a file", Fix: "ask with the path of a file", Who: "the caller",
		}, true
	case errors.Is(err, artifactory.ErrPath), errors.Is(err, artifactory.ErrOtherItem):
		return reason.Reason{
			Code: reason.PathRefused, Message: "the path cannot be followed safely", Found: err.Error(),
			Expected: "a path that means the same file to every server and proxy on the way", Fix: "rename the artifact", Who: "the uploader",
		}, true
	case errors.Is(err, artifactory.ErrMembers):
		return reason.Reason{
			Code: reason.MembersUnknown, Message: "nothing tells which member of the virtual repository holds the file", Found: err.Error(),
			Expected: "a server that names the member, or a token that may read the virtual repository's configuration",
			Fix:      "ask with the path in the local repository that holds the file", Who: "the caller, or Artifactory administrators",
		}, true
	case errors.Is(err, artifact.ErrPart):
		return reason.Reason{
			Code: reason.PartOfImage, Message: "a layer is promoted with its image", Found: req.Artifact.String() + " is a part of an image",
			Expected: "the manifest of an image", Fix: "ask with the path of the image's manifest.json", Who: "the caller",
		}, true
	case errors.Is(err, errOnlyParts):
		return reason.Reason{
			Code: reason.OnlyParts, Message: "a build has no signature of its own; ask about each of its artifacts", Found: req.Artifact.String() + " is the record of a build",
			Expected: "an artifact", Fix: "ask with the paths of the build's artifacts", Who: "the caller",
		}, true
	case errors.Is(err, artifact.ErrAttachment):
		return reason.Reason{
			Code: reason.SignatureFile, Message: "a signature is promoted with its image", Found: req.Artifact.String() + " belongs to an image",
			Expected: "the manifest of an image", Fix: "ask with the path of the image's manifest.json", Who: "the caller",
		}, true
	case errors.Is(err, artifactory.ErrTooMany):
		return reason.Reason{
			Code: reason.SignaturesTooMany, Message: "more is attached to the artifact than the gate reads, so its signature may have been overlooked", Found: err.Error(),
			Expected: "a few signatures and attestations", Fix: "delete the referrers, or the evidence, that nobody needs", Who: "the artifact's owner",
		}, true
	case errors.Is(err, artifact.ErrFrozen):
		return reason.Reason{
			Code: reason.PartOfBundle, Message: "what a release bundle holds is promoted with it", Found: req.Artifact.String() + " is a part of a release bundle",
			Expected: "the release-bundle.json.evd of the bundle", Fix: "ask with the path of the bundle's release-bundle.json.evd", Who: "the caller",
		}, true
	case errors.Is(err, artifactory.ErrNoEvidence):
		return reason.Reason{
			Code: reason.EvidenceUnavailable, Message: "a release bundle's signatures cannot be looked for", Found: err.Error(),
			Expected: "the evidence service of an Enterprise+ subscription", Fix: "get the subscription, or judge the files where they were before they came into the bundle",
			Who: "Artifactory administrators",
		}, true
	case errors.Is(err, errNoInstance):
		return reason.Reason{
			Code: reason.PathRefused, Message: "the artifact is in an Artifactory instance that is not served here", Found: err.Error(),
			Expected: "a configured instance", Fix: "correct the request", Who: "the caller",
		}, true
	case errors.As(err, &missing):
		return reason.Reason{
			Code: reason.ImageIncomplete, Message: "the index lists manifests that the repository does not hold", Found: missing.Error(),
			Expected: "every manifest that the index lists", Fix: "push the image again, with all its platforms", Who: "the image's owner",
		}, true
	case errors.Is(err, artifact.ErrForm):
		return reason.Reason{
			Code: reason.ManifestUnreadable, Message: "the image's manifest cannot be read", Found: err.Error(),
			Expected: "a Docker manifest of schema 2 or an OCI manifest or index", Fix: "push the image again with a current client", Who: "the image's owner",
		}, true
	case errors.Is(err, artifact.ErrBytes):
		return reason.Reason{
			Code: reason.DigestMismatch, Message: "the bytes are not those that Artifactory reports", Found: err.Error(),
			Expected: "bytes with the reported digest", Fix: "run Artifactory's storage consistency check", Who: "platform engineers",
		}, true
	case errors.Is(err, errNoDigest):
		return reason.Reason{
			Code: reason.DigestUnknown, Message: "Artifactory reports no SHA-256 for the artifact", Found: "no SHA-256",
			Expected: "the SHA-256 of the file", Fix: "run Artifactory's SHA-256 migration, or upload the file again", Who: "Artifactory administrators",
		}, true
	case errors.As(err, &changed):
		return reason.Reason{
			Code: reason.ArtifactChanged, Message: "the file was replaced while it was being checked", Found: changed.is.String(),
			Expected: changed.was.String(), Fix: "ask again: " + again, Who: "the caller",
		}, true
	case errors.Is(err, artifactory.ErrChanged):
		return reason.Reason{
			Code: reason.ArtifactChanged, Message: "the file was replaced while it was being checked", Found: err.Error(),
			Expected: "one and the same file during the check", Fix: "ask again: " + again, Who: "the caller",
		}, true
	}
	return reason.Reason{}, false
}

// isUnavailable reports whether a fact that the policies ask for could not be learnt; why not is no answer about the artifact.
func isUnavailable(err error) bool {
	_, ok := errors.AsType[*facts.Unavailable](err)
	return ok
}

// undecided turns whatever was found so far into a no that says what could not be learnt.
func (g *Gate) undecided(ctx context.Context, req Request, v *Verdict, err error) {
	g.Log.WarnContext(ctx, "the gate could not decide", slog.String("artifact", v.Artifact), slog.String("target", v.Target), slog.Any("error", err))
	found := "an internal error; see the service's log"
	st, answered := errors.AsType[*artifactory.StatusError](err)
	_, unrecorded := errors.AsType[*recordError](err)
	_, unremembered := errors.AsType[*memoryError](err)
	switch {
	case unremembered:
		found = "the ledger, which knows when and for what signatures were made, does not answer; see the service's log"
	case errors.Is(err, context.DeadlineExceeded):
		found = "no answer within " + Timeout.String()
	case answered:
		found = "Artifactory answers " + st.Error()
	case artifactory.Temporary(err):
		found = "Artifactory cannot be reached"
	case unrecorded:
		found = "the verdict could not be recorded in the ledger; see the service's log"
	}
	v.Allow, v.Decided, v.asked = false, false, nil
	why := reason.Reason{
		Code: reason.Undecided, Message: "the gate could not learn what it needs, so the answer is no", Found: found,
		Expected: "Artifactory and the ledger answer in time",
		Fix:      "try again: hallmark gate check " + req.Artifact.String() + " --target " + req.Target.Repo, Who: "platform engineers",
	}
	if unknown, ok := errors.AsType[*facts.Unavailable](err); ok {
		why = unknown.Reason("hallmark gate check " + req.Artifact.String() + " --target " + req.Target.Repo)
	}
	tooMuch, isLoad := errors.AsType[*contentsError](err)
	switch {
	case isLoad:
		why.Message, why.Found = "the release bundle's contents could not all be judged for one verdict, so the answer is no", tooMuch.found
		why.Expected = "contents that are judged within the time that a verdict may take"
		why.Fix, why.Who = "promote it, or judge it alone, with what takes its time; without --confirm nothing is changed: "+dryRun(req.Artifact, req.Target.Repo), "the caller"
	case isUnavailable(err):
	case errors.Is(err, artifactory.ErrReferrers):
		why.Found = err.Error()
		why.Expected = "the right Read on " + req.Artifact.Repo + " for the service's token, the referrers API of its images included"
		why.Fix, why.Who = "grant the right, or let the gate policy demand the format cosign-tag alone, where the API is forbidden for good", "Artifactory administrators"
	case errors.Is(err, artifactory.ErrMemberDiffers):
		why.Code, why.Found = reason.MembersUnknown, err.Error()
		why.Expected = "a member that holds the bytes that the virtual repository shows"
		why.Fix, why.Who = "try again, or ask with the path in the local repository that holds the file", "the caller, or Artifactory administrators"
	case errors.Is(err, artifact.ErrPackage):
		why.Code, why.Found, why.Expected, why.Fix, why.Who = reason.PackageUnknown, err.Error(), artifact.PackageNeeds, "grant the right, then ask again", "Artifactory administrators"
	case answered && (st.Status == http.StatusForbidden || st.Status == http.StatusUnauthorized):
		why.Expected = "the right Read on " + req.Artifact.Repo + " for the service's token"
		why.Fix, why.Who = "grant the right and check it with: hallmark doctor", "Artifactory administrators"
	}
	v.Reasons = []reason.Reason{why}
}

// record puts the verdict on the books, also when whoever asked has gone. It gives up when the time for a verdict is
// over, though the ledger may still write it then: the books may hold a yes that was given as a no, never the reverse.
func (g *Gate) record(ctx context.Context, req Request, v Verdict) error {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	err := within(ctx, func(ctx context.Context) error {
		return g.Ledger.RecordVerdict(ctx, ledger.Verdict{
			Ref: req.Artifact, Target: req.Target, Subject: v.SHA256, Allow: v.Allow, Reasons: v.Reasons,
			PolicySet: v.PolicySet, At: v.At, Caller: req.Caller, Rule: v.Policy, Warnings: v.Warnings, Asked: v.asked,
		})
	})
	if err != nil {
		return &recordError{err}
	}
	return nil
}

// within runs f and waits for it no longer than ctx lasts. Only the caller may end ctx: if f's end did it, the two could
// be noticed in either order, and what was done would now and then pass for cancelled.
func within(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// recordError: a verdict was made and could not be put on the books.
type recordError struct{ err error }

func (e *recordError) Error() string { return "recording the verdict: " + e.err.Error() }
func (e *recordError) Unwrap() error { return e.err }

func (g *Gate) count(v Verdict, took time.Duration) {
	g.seconds.Observe(took.Seconds())
	if v.Allow {
		g.verdicts.WithLabelValues("allow").Inc()
	}
	for _, r := range v.Reasons {
		g.verdicts.WithLabelValues(string(r.Code)).Inc()
	}
}
