package webhook

// appTrustDomain is about applications and their gates in JFrog AppTrust. Its types have had two generations of names,
// and either may come: those of the older are the last two lines.
var appTrustDomain = domain{types: ignore("AppTrust keeps its own gates; who promotes asks ours",
	"entry_gate_evaluation_started", "entry_gate_validation_passed", "entry_gate_validation_failed",
	"exit_gate_evaluation_started", "exit_gate_validation_passed", "exit_gate_validation_failed",
	"application_creation_started", "application_creation_completed", "application_creation_failed",
	"application_update_started", "application_update_completed", "application_update_failed",
	"application_deletion_started", "application_deletion_completed", "application_deletion_failed",
	"version_creation_started", "version_creation_completed", "version_creation_failed",
	"version_promotion_started", "version_promotion_completed", "version_promotion_failed",
	"release_started", "release_completed", "release_failed",
	"entry_gate_evaluation", "entry_gate_validation", "entry_gate_failure",
	"exit_gate_evaluation", "exit_gate_validation", "exit_gate_failure",
)}
