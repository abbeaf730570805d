# The kind of rule that is usual for evidence: some of the wanted type exists somewhere in the application version. The
# tests hold ours against it.
package hallmark_test

import rego.v1

version_of(data_) := data_.applications.getApplicationVersion

sample_says_yes(given) if {
	some edge in version_of(given.data).releasables.releasablesConnection.edges
	some artifact in edge.node.artifacts
	some evidence in artifact.evidenceSubject.evidenceConnection.edges
	evidence.node.predicateType == data.curation.policies.predicate_type
}
