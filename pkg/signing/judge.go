package signing

import (
	"context"
	"errors"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// judge is the table of what can go wrong: the state it leaves, the reason users read, and when the job comes back.
func (r *run) judge(cause error) (ledger.State, reason.Reason, error) {
	var said interface{ reason(*run) reason.Reason }
	switch {
	case errors.Is(cause, artifact.ErrGone):
		return ledger.Gone, reason.Reason{
			Code: reason.ArtifactGone, Message: "the artifact was deleted before it was signed", Found: "nothing at " + r.ref.String(),
		}, nil
	case errors.Is(cause, ledger.ErrBusy), errors.Is(cause, ledger.ErrNotLive):
		return "", reason.Reason{}, job.After(busyWait, cause) // another job is at it: wait for its signatures
	case errors.Is(cause, ledger.ErrSealed):
		return "", reason.Reason{}, job.After(0, cause) // made in the meantime by another job: look again and reuse
	case laterThan(cause) > 0:
		return "", reason.Reason{}, job.After(laterThan(cause), cause)
	case errors.Is(cause, artifact.ErrUnpromoted):
		return ledger.Failed, reason.Reason{
			Code: reason.NotPromoted, Message: "a promotion was announced and none is on record; it is tried again", Found: cause.Error(),
			Expected: "a promotion since the build began", Fix: "promote it again, or: hallmark sign " + r.ref.String(), Who: "release managers",
		}, cause
	case r.step == stepExpand && errors.Is(cause, artifactory.ErrTooLarge):
		return ledger.Failed, reason.Reason{
			Code: reason.BuildUnreadable, Message: "the record is larger than any that is read, so its artifacts are not worked on together", Found: cause.Error(),
			Expected: "at most 64 MiB and 100,000 artifacts", Fix: "hallmark sweep over the repositories that hold them", Who: "release managers",
		}, job.Permanent(cause)
	case errors.Is(cause, context.Canceled):
		return "", reason.Reason{}, cause // the process ends; the job comes back by itself
	case isA[*factsError](cause):
		errors.As(cause, &said)
		return ledger.Failed, said.reason(r), after(cause)
	case errors.Is(cause, artifactory.ErrPath), errors.Is(cause, artifactory.ErrOtherItem):
		return ledger.Failed, (&pathError{cause}).reason(r), job.Permanent(cause)
	case errors.Is(cause, artifactory.ErrNotFile):
		return ledger.Skipped, reason.Reason{
			Code: reason.NotAFile, Message: "a folder is not signed, only the files in it", Found: r.ref.String() + " is a folder",
			Expected: "a file", Fix: "hallmark sign with the path of a file", Who: "the caller",
		}, nil
	case isA[*cacheError](cause):
		return ledger.Skipped, reason.Reason{
			Code: reason.RemoteCache, Message: "nothing can be stored beside a file in the cache of a remote repository, so it is not signed there", Found: r.ref.String(),
			Expected: "a file in a local or federated repository", Fix: "promote it to a local repository first, then: hallmark sign with its path there", Who: "release managers",
		}, nil
	case errors.Is(cause, artifactory.ErrMembers):
		return ledger.Failed, reason.Reason{
			Code: reason.MembersUnknown, Message: "nothing tells which member of the virtual repository holds the file", Found: cause.Error(),
			Expected: "a server that names the member, or a token that may read the virtual repository's configuration",
			Fix:      "hallmark sign with the path in the local repository that holds the file", Who: "the caller, or Artifactory administrators",
		}, job.Permanent(cause)
	case errors.Is(cause, artifactory.ErrMemberDiffers):
		return ledger.Failed, reason.Reason{
			Code: reason.MembersUnknown, Message: "the virtual repository shows a file that its members are not seen to hold; it is tried again", Found: cause.Error(),
			Expected: "a member that holds the bytes that the virtual repository shows",
			Fix:      "hallmark sign with the path in the local repository that holds the file", Who: "the caller, or Artifactory administrators",
		}, cause
	case isA[*ownError](cause):
		return ledger.Skipped, reason.Reason{
			Code: reason.SignatureFile, Message: "a signature file is not signed itself", Found: r.ref.String(),
			Expected: "the artifact that it belongs to", Fix: "hallmark sign with the path of the artifact", Who: "the caller",
		}, nil
	case errors.Is(cause, artifact.ErrAttachment):
		return ledger.Skipped, reason.Reason{
			Code: reason.SignatureFile, Message: "what belongs to an image as a signature or attachment is not signed itself", Found: r.ref.String(),
			Expected: "the image that it belongs to", Fix: "hallmark sign with the path of the image's manifest", Who: "the caller",
		}, nil
	case errors.Is(cause, artifact.ErrPart):
		return ledger.Skipped, reason.Reason{
			Code: reason.PartOfImage, Message: "a layer is covered by the signature of its image's manifest", Found: r.ref.String(),
			Expected: "the manifest of an image", Fix: "hallmark sign with the path of the image's manifest.json", Who: "the caller",
		}, nil
	case errors.Is(cause, artifact.ErrFrozen):
		return ledger.Skipped, reason.Reason{
			Code: reason.PartOfBundle, Message: "what a release bundle holds cannot be changed; its record is what is signed", Found: r.ref.String(),
			Expected: "the release-bundle.json.evd of the bundle", Fix: "hallmark sign with the path of the bundle's release-bundle.json.evd", Who: "the caller",
		}, nil
	case errors.Is(cause, artifactory.ErrNoEvidence) && errors.As(cause, &said):
		return ledger.Failed, said.reason(r), job.Permanent(cause)
	case errors.Is(cause, artifact.ErrPackage):
		return ledger.Failed, reason.Reason{
			Code: reason.PackageUnknown, Message: "nothing tells whether this is a plain file or a part of an image; it is tried again", Found: cause.Error(),
			Expected: artifact.PackageNeeds, Fix: "grant the right; hallmark doctor tells what is known of each repository", Who: "Artifactory administrators",
		}, cause
	case isA[*artifact.MissingError](cause):
		return ledger.Failed, reason.Reason{
			Code: reason.ImageIncomplete, Message: "the index lists manifests that the repository does not hold; it is tried again", Found: cause.Error(),
			Expected: "every manifest that the index lists", Fix: "push the image again, with all its platforms", Who: "the image's owner",
		}, after(cause)
	case errors.Is(cause, artifact.ErrForm):
		return ledger.Failed, reason.Reason{
			Code: reason.ManifestUnreadable, Message: "the image's manifest cannot be read, so it is not signed", Found: cause.Error(),
			Expected: "a Docker manifest of schema 2 or an OCI manifest or index", Fix: "push the image again with a current client", Who: "the image's owner",
		}, job.Permanent(cause)
	case errors.Is(cause, artifactory.ErrDamaged):
		return ledger.Failed, reason.Reason{
			Code: reason.SignaturesDamaged, Message: "somebody has written something else where the image's signatures are listed, so none can be added", Found: cause.Error(),
			Expected: "a list of signatures, or nothing", Fix: "delete that tag, then: hallmark sign " + r.ref.String(), Who: "the image's owner",
		}, job.Permanent(cause)
	case isA[*recordedError](cause):
		return "", reason.Reason{}, after(cause)
	case isA[*pathError](cause):
		errors.As(cause, &said)
		return ledger.Failed, said.reason(r), job.Permanent(cause)
	case isA[*changedError](cause), errors.Is(cause, artifactory.ErrChanged):
		return ledger.Changed, reason.Reason{
			Code: reason.ArtifactChanged, Message: "the artifact was replaced while it was being signed; its new bytes are decided afresh", Found: cause.Error(),
		}, job.After(busyWait, cause)
	case errors.As(cause, &said):
		return ledger.Failed, said.reason(r), after(cause)
	default:
		return ledger.Failed, reason.Reason{
			Code: reason.Undecided, Message: "an internal step failed; it is tried again", Found: "see the service's log for this artifact",
			Expected: "a ledger that can be read and written", Fix: "hallmark doctor", Who: "platform engineers",
		}, cause
	}
}

// after is the cause, to be tried again no sooner than Artifactory asked for.
func after(cause error) error {
	if wait := artifactory.RetryAfter(cause); wait > 0 {
		return job.After(wait, cause)
	}
	return cause
}

func isA[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
