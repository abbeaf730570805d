package reason

// The codes. Adding one means adding its line to Codes; docs/reasons.md is generated from it.
const (
	ArtifactGone        Code = "artifact-gone"
	ArtifactChanged     Code = "artifact-changed"
	PathRefused         Code = "path-refused"
	NotAFile            Code = "not-a-file"
	SignatureFile       Code = "signature-file"
	NoPolicy            Code = "no-policy"
	PolicyConflict      Code = "policy-conflict"
	DigestUnknown       Code = "digest-unknown"
	NoGatePolicy        Code = "no-gate-policy"
	SignatureMissing    Code = "signature-missing"
	SignatureInvalid    Code = "signature-invalid"
	SignatureWrongBytes Code = "signature-wrong-bytes"
	SignatureWrongKey   Code = "signature-wrong-key"
	SignatureOrphaned   Code = "signature-orphaned"
	SignatureUnstored   Code = "signature-unstored"
	SignaturesTooMany   Code = "signatures-too-many"
	SignaturesDamaged   Code = "signatures-damaged"
	PropertyFalse       Code = "property-false"
	DigestMismatch      Code = "digest-mismatch"
	StoreRefused        Code = "store-refused"
	StoreUnavailable    Code = "store-unavailable"
	PropertyRefused     Code = "property-refused"
	KeyUnavailable      Code = "key-unavailable"
	Undecided           Code = "undecided"
	NothingSelected     Code = "nothing-selected"
	TargetOccupied      Code = "target-occupied"
	PromotionRefused    Code = "promotion-refused"
	PartOfImage         Code = "part-of-image"
	ImageIncomplete     Code = "image-incomplete"
	ImageForeign        Code = "image-foreign"
	ManifestUnreadable  Code = "manifest-unreadable"
	FormatUnfit         Code = "format-unfit"
	ContentRefused      Code = "content-refused"
	RemoteCache         Code = "remote-cache"
	VirtualRepository   Code = "virtual-repository"
	MembersUnknown      Code = "members-unknown"
	PackageUnknown      Code = "package-unknown"
	BuildIncomplete     Code = "build-incomplete"
	BuildForeign        Code = "build-foreign"
	BuildUnreadable     Code = "build-unreadable"
	BundleIncomplete    Code = "bundle-incomplete"
	BundleRefused       Code = "bundle-refused"
	NotPromoted         Code = "not-promoted"
	OnlyParts           Code = "only-parts"
	PartOfBundle        Code = "part-of-bundle"
	EvidenceUnverified  Code = "evidence-unverified"
	EvidenceUnavailable Code = "evidence-unavailable"
	CheckFailed         Code = "check-failed"
	TriggerRefused      Code = "trigger-refused"
	KeyRetired          Code = "key-retired"
	KeyNotYet           Code = "key-not-yet"
	KeyDistrusted       Code = "key-distrusted"
	KeyDevelopment      Code = "key-development"
	KeyForbidden        Code = "key-forbidden"
	SignatureSwapped    Code = "signature-swapped"
	SignatureStale      Code = "signature-stale"
	SignatureUndated    Code = "signature-undated"
	TrustLevelLow       Code = "trust-level-low"
	FactsUnavailable    Code = "facts-unavailable"

	CertificateUntrusted   Code = "certificate-untrusted"
	CertificateExpired     Code = "certificate-expired"
	LogProofInvalid        Code = "log-proof-invalid"
	LogUnknown             Code = "log-unknown"
	TimestampInvalid       Code = "timestamp-invalid"
	LogUnavailable         Code = "log-unavailable"
	CertificateUnavailable Code = "certificate-unavailable"
	TimeUnavailable        Code = "time-unavailable"

	LogCheckpointInvalid    Code = "log-checkpoint-invalid"
	LogOriginWrong          Code = "log-origin-wrong"
	LogForked               Code = "log-forked"
	LogRolledBack           Code = "log-rolled-back"
	LogRewritten            Code = "log-rewritten"
	LogIncomplete           Code = "log-incomplete"
	LogEntryChanged         Code = "log-entry-changed"
	LogEntryRemoved         Code = "log-entry-removed"
	LogEntriesReordered     Code = "log-entries-reordered"
	LogTileDamaged          Code = "log-tile-damaged"
	LogLeafUnknown          Code = "log-leaf-unknown"
	LogSignatureInvalid     Code = "log-signature-invalid"
	LogKeyUnannounced       Code = "log-key-unannounced"
	LogCertificateUnlogged  Code = "log-certificate-unlogged"
	LogCertificateUndrafted Code = "log-certificate-undrafted"
	LogDraftDropped         Code = "log-draft-dropped"
	LogTimeBackwards        Code = "log-time-backwards"
	LogGrantMissing         Code = "log-grant-missing"
	LogIntentOpen           Code = "log-intent-open"
	LogEntryUnaccounted     Code = "log-entry-unaccounted"
	LogEntryAbandoned       Code = "log-entry-abandoned"
	LogOutcomeEmpty         Code = "log-outcome-empty"
	LogOutcomeWrong         Code = "log-outcome-wrong"
	LogUseMissing           Code = "log-use-missing"
	LedgerUseMissing        Code = "ledger-use-missing"
	SignatureUnlogged       Code = "signature-unlogged"
	SignatureKeyUnlogged    Code = "signature-key-unlogged"
	SignatureUnpublished    Code = "signature-unpublished"
	SignatureUnread         Code = "signature-unread"
	KeyUnread               Code = "key-unread"
	LogIntentMissing        Code = "log-intent-missing"
	LedgerIntentMissing     Code = "ledger-intent-missing"
	LedgerIntentUnknown     Code = "ledger-intent-unknown"
	LedgerIntentWrong       Code = "ledger-intent-wrong"
	LedgerContentWrong      Code = "ledger-content-wrong"
	LedgerLogUnread         Code = "ledger-log-unread"
	LedgerLogUnknown        Code = "ledger-log-unknown"
	LedgerUnlogged          Code = "ledger-unlogged"
)

// Codes explains every code in one sentence; a test holds that none is missing.
var Codes = map[Code]string{
	ArtifactGone:        "The artifact is not in Artifactory any more.",
	ArtifactChanged:     "The artifact was replaced while it was being signed or checked; nothing that was found out holds for its new bytes.",
	PathRefused:         "The path cannot be named safely in a request to Artifactory.",
	NotAFile:            "The path names a folder; only files are signed and promoted.",
	SignatureFile:       "A signature file is never signed itself.",
	NoPolicy:            "No signing policy matches the artifact.",
	PolicyConflict:      "Two signing policies match the artifact and sign it differently; nothing is signed.",
	DigestUnknown:       "Artifactory reports no SHA-256 for the artifact, so nothing can be granted for its bytes.",
	NoGatePolicy:        "No gate policy names the target repository; the gate fails closed.",
	SignatureMissing:    "A signature that the gate demands is not stored beside the artifact.",
	SignatureInvalid:    "A signature file is stored but is damaged or does not verify.",
	SignatureWrongBytes: "A signature file is stored but was made for other bytes.",
	SignatureWrongKey:   "A signature file is stored but was made with a key that the gate does not accept.",
	SignatureOrphaned:   "A signature file lies in a repository without its artifact.",
	SignatureUnstored:   "Artifactory took a signature and serves something else in its place; the artifact is not marked as signed.",
	SignaturesTooMany:   "More is attached to an image or release bundle than is read; its signature may be among the rest.",
	SignaturesDamaged:   "A tag that should list an image's signatures holds something else; none can be added until it is deleted.",
	PropertyFalse:       "An artifact's properties say that it is signed, and it is not.",
	DigestMismatch:      "The bytes that arrived are not those that Artifactory reports.",
	StoreRefused:        "Artifactory refused to store a signature file.",
	StoreUnavailable:    "Artifactory did not answer as it should.",
	PropertyRefused:     "Artifactory refused the properties that mark the artifact.",
	KeyUnavailable:      "The signing key cannot be used now.",
	Undecided:           "The gate could not learn what it needs in time; the answer is no.",
	NothingSelected:     "No artifact is where the request says; nothing was promoted.",
	TargetOccupied:      "Something else stands at the target; a promotion overwrites nothing.",
	PromotionRefused:    "Artifactory refused a step of a promotion.",
	RemoteCache:         "The file is in the cache of a remote repository, where nothing can be stored beside it; promote it to a local repository first.",
	VirtualRepository:   "A virtual or remote repository only shows files that are stored in another one, which has to be named.",
	MembersUnknown:      "The path is in a virtual repository, and nothing tells which of its members holds the file, or those that are known do not hold it.",
	PackageUnknown:      "The file is named as parts of images are, and the token may not know whether its repository keeps images.",
	PartOfImage:         "The file is a layer or another part of an image; the image's manifest is what is signed.",
	ImageIncomplete:     "An index lists manifests that the repository does not hold.",
	ImageForeign:        "Files that are none of an image's lie in the folder of its tag, which Artifactory promotes as a whole.",
	ManifestUnreadable:  "The file should be an image manifest and is none that can be signed.",
	BuildIncomplete:     "Artifacts that build-info names are not where they should be, or are not the bytes that it names; hallmark promote promotes nothing of such a build.",
	BuildUnreadable:     "The record of a build cannot be read, or is larger than any build's.",
	BundleIncomplete:    "Artifacts of a release bundle are not where they should be, or are not the bytes that it lists.",
	BundleRefused:       "Artifacts of a release bundle may not enter the target, or none of them could.",
	NotPromoted:         "A promotion was announced, and the record of what was promoted names none.",
	PartOfBundle:        "The file is frozen as part of a release bundle; the bundle's record is what is signed.",
	EvidenceUnverified:  "The signature of a release bundle is made, and Artifactory does not verify it with a trusted key.",
	EvidenceUnavailable: "The platform has no evidence service, which is where a release bundle's signature is kept.",
	OnlyParts:           "A build has no signature of its own; its artifacts have.",
	ContentRefused:      "The file is itself a text that signatures of images or release bundles are made over; its signature could be passed off as one.",
	FormatUnfit:         "The signing policy names no format that can sign this kind of artifact.",
	CheckFailed:         "A check that the policy requires does not hold.",
	TriggerRefused:      "Somebody brought the artifact who may not have it signed, or nobody is known to have brought it.",
	KeyRetired:          "The key is retired: it signs nothing any more, and what it signed after its time does not count.",
	KeyNotYet:           "The key's time has not begun: it signs nothing yet, and a signature from before its time does not count.",
	KeyDistrusted:       "The key is distrusted: it signs nothing, and what it signed from then on, or at a time that nothing trustworthy tells, does not count.",
	KeyDevelopment:      "The artifact is signed with a development key where a release key is demanded.",
	KeyForbidden:        "The artifact is signed with a key that the gate forbids.",
	SignatureSwapped:    "A signature file is stored that belongs to another artifact.",
	SignatureStale:      "The artifact is signed, longer ago than the gate accepts.",
	SignatureUndated:    "The artifact is signed, and nothing trustworthy tells when.",
	FactsUnavailable:    "What a policy asks about the artifact, such as its build or who uploaded it, could not be learnt; the answer is no.",
	TrustLevelLow:       "The artifact is signed, with less trust than the gate demands.",
	BuildForeign:        "A file carries the properties of a build and is not one of its artifacts; nothing was promoted.",

	CertificateUntrusted:   "A signature's certificate does not chain to the root of trust, or is not of the key that signed.",
	CertificateExpired:     "A signature was time-stamped outside the life of its certificate.",
	LogUnknown:             "A signature stands in a log that is not in the trusted root: a replica's that nothing was told of, or a stranger's.",
	LogProofInvalid:        "What should prove that a signature stands in the log does not prove it.",
	TimestampInvalid:       "A signature's time-stamp is not of that signature, or is by no authority that is trusted.",
	CertificateUnavailable: "No certificate can be issued for the signing key now; nothing is signed without one.",
	LogUnavailable:         "The log of key use cannot be written now; nothing is signed that it does not hold.",
	TimeUnavailable:        "No time-stamping authority gives a time-stamp that holds; nothing is signed without one.",

	LogCheckpointInvalid:    "The checkpoint of a transparency log is not signed by the log's key.",
	LogOriginWrong:          "The checkpoint is that of another transparency log.",
	LogForked:               "A transparency log has two histories: two signed checkpoints cannot both be true.",
	LogRolledBack:           "A transparency log has fewer entries than it had: an older copy was put back, or its end was cut off.",
	LogRewritten:            "The entries of a transparency log are not those that its checkpoint was signed over.",
	LogIncomplete:           "A transparency log breaks off before the last entry that its checkpoint counts.",
	LogEntryChanged:         "An entry of a transparency log is not the one that was logged.",
	LogEntryRemoved:         "Entries were taken out of a transparency log.",
	LogEntriesReordered:     "Entries of a transparency log are in another order than the one they were logged in.",
	LogTileDamaged:          "A tile of a transparency log is damaged; its entries are not, but proofs of them fail.",
	LogLeafUnknown:          "An entry of a transparency log is of no known kind.",
	LogSignatureInvalid:     "An entry of a transparency log holds a signature that does not verify with the key it names.",
	LogKeyUnannounced:       "A transparency log has a signature, intent or certificate of a key that the service did not announce at its start.",
	LogCertificateUnlogged:  "A signature was made with a certificate that the transparency log does not hold.",
	LogCertificateUndrafted: "A certificate was issued that the transparency log had not announced before.",
	LogDraftDropped:         "The transparency log announced a certificate that was then not issued, as after a crash.",
	LogTimeBackwards:        "Entries of the transparency log give times that go back: a clock was set.",
	LogGrantMissing:         "An intent to use a key names no policy that allowed it.",
	LogIntentOpen:           "A key was about to be used, and the transparency log does not tell what came of it.",
	LogEntryUnaccounted:     "A key was used without an intent, or no outcome tells of it.",
	LogEntryAbandoned:       "A signature was logged and then given up, as after a crash; it was not published. This is no alarm.",
	LogOutcomeEmpty:         "An outcome in a transparency log says that signatures were made, and names no entries of them.",
	LogOutcomeWrong:         "An outcome in a transparency log does not fit the intent or the entries that it names.",
	LogUseMissing:           "The ledger holds a signature that the transparency log does not account for.",
	LedgerUseMissing:        "The transparency log holds a signature that the ledger does not.",
	SignatureUnlogged:       "A signature by one of the service's keys is stored in Artifactory and stands in no transparency log.",
	SignatureKeyUnlogged:    "A signature is stored in Artifactory by a key that no process has opened, as far as the transparency logs tell; they do not hold it.",
	SignatureUnpublished:    "A signature is stored in Artifactory that the transparency log holds as given up: the service did not publish it.",
	SignatureUnread:         "What is stored in Artifactory as a signature cannot be looked into, so nobody can say whose it is.",
	KeyUnread:               "The public key of a key of the service is not known, so its signatures are not looked for in Artifactory.",
	LogIntentMissing:        "The ledger has an intent that was carried out, and the transparency log does not have it.",
	LedgerIntentMissing:     "The transparency log has an intent that the ledger does not.",
	LedgerIntentUnknown:     "The ledger has a signature of an intent that it does not have.",
	LedgerIntentWrong:       "The ledger says something else of an intent, or of whose a signature is, than the transparency log.",
	LedgerContentWrong:      "The ledger has a signature that is none, or that is kept under the digest of another file.",
	LedgerLogUnread:         "The ledger has signatures of a transparency log that was not looked at; they are not verified.",
	LedgerLogUnknown:        "The ledger has signatures of a transparency log that the trusted root does not name.",
	LedgerUnlogged:          "The ledger has signatures that were made without a transparency log, and nobody has said that they are known.",
}
