# Hallmark's rule for a lifecycle gate of AppTrust: all of an application version must bear Hallmark's evidence,
# verified by the platform, by one of our keys, for these very bytes, and fresh. README.md says how it is installed.
#
# Nothing but what is known to be good is let through: each check below names what passes, and whatever is missing,
# of another type or cut off is a no. The platform allows few built-in functions, and its Terraform provider refuses
# := and functions of our own inside a rule; rego_test.go holds this file to both.
package curation.policies

import rego.v1

# What the rule answers when it could not even be carried through.
default allow := {
	"should_allow": false,
	"message": "Hallmark: the rule could not read what it was given; the answer is no.",
	"explanation": "Hallmark: the rule could not read what it was given. Expected: an application version with its artifacts and their evidence, and the rule's parameters. Fix: compare the input in the Rego Playground with policies/gates/rego/README.md.",
}

allow := {"should_allow": true, "message": said_yes, "explanation": said_yes} if {
	count(refusals) == 0
	count(items) > 0
	count(accepted | covered) == count(items)
}

allow := {"should_allow": false, "message": said_no, "explanation": said_no} if count(refusals) > 0

said_yes := concat("", ["Hallmark: ", format_int(count(items), 10), " of ", format_int(count(items), 10), " bear evidence that counts."])

said_no := concat("", ["Hallmark: ", concat(" | ", sort(refusals))])

# --- The parameters of the rule. An empty one is the same as one that is missing.

# The predicate type of Hallmark's evidence. Hallmark never signs another.
predicate_type := "https://github.com/hallmark-signing/hallmark/signature/v1"

default params := {}

params := input.params if is_object(input.params)

# keys: aliases of our keys, as a list or with commas between them. Required.
keys contains key if {
	some key in split(replace(params.keys, " ", ""), ",")
	key != ""
}

keys contains key if {
	some key in params.keys
	is_string(key)
	key != ""
}

# public_keys: our public keys (PEM), likewise. When there are any, the alias alone does not count.
pins contains pin if {
	some pem in split(params.public_keys, ",")
	pin = bodies[pem]
	pin != ""
}

pins contains pin if {
	some pem in params.public_keys
	is_string(pem)
	pin = bodies[pem]
	pin != ""
}

# A key's PEM without its frame and its line breaks, which differ from tool to tool.
bodies := {pem: body |
	some pem in pems
	body = replace(replace(replace(replace(replace(replace(pem, "-----BEGIN PUBLIC KEY-----", ""), "-----END PUBLIC KEY-----", ""), "\\n", ""), "\n", ""), "\r", ""), " ", "")
}

pems contains pem if some pem in split(params.public_keys, ",")

pems contains pem if {
	some pem in params.public_keys
	is_string(pem)
}

pems contains pem if {
	some claim in claims
	pem = claim.node.signingKey.publicKey
	is_string(pem)
}

# max_age_days: how old evidence may be. Required: a whole number from 1.
max_age_days := params.max_age_days if {
	is_number(params.max_age_days)
	params.max_age_days >= 1
}

max_age_days := to_number(params.max_age_days) if regex.match(`^[1-9][0-9]{0,4}$`, params.max_age_days)

# subjects: "artifacts" (each of them bears evidence), "sources" (each of what the version was made from does, such as a
# release bundle) or "version" (the version's own record does, which lists them).
default subjects := "artifacts"

subjects := params.subjects if {
	params.subjects
	params.subjects != ""
}

# alias_path: where a piece of evidence names the key that verified it.
default alias_path := "signingKey.alias"

alias_path := params.alias_path if {
	is_string(params.alias_path)
	params.alias_path != ""
}

# digest_path: where it names the digest of the bytes that it is about; "none" leaves that to the platform.
default digest_path := "subject.sha256"

digest_path := params.digest_path if {
	is_string(params.digest_path)
	params.digest_path != ""
}

# Whoever attaches evidence writes these members of it, so nothing may be read from there.
written_by_anybody := {"predicate", "markdown", "predicateSlug", "predicateCategory", "providerId", "createdBy", "attachments"}

refusals contains "the rule names no key. Expected: the parameter keys with the aliases of Hallmark's release keys. Fix: set it in the rule" if count(keys) == 0

refusals contains "the rule does not say how old evidence may be. Expected: the parameter max_age_days, a whole number from 1. Fix: set it in the rule" if not max_age_days

refusals contains "the parameter public_keys holds no public key. Expected: PEM, as hallmark keys show NAME --pem prints it, or nothing. Fix: correct it in the rule" if {
	params.public_keys
	params.public_keys != ""
	count(pins) == 0
}

refusals contains "the parameter subjects is unknown. Expected: artifacts, sources or version. Fix: correct it in the rule" if not known_subjects[subjects]

known_subjects := {"artifacts", "sources", "version"}

refusals contains concat("", ["the parameter ", name, " points to ", path, ", which whoever attaches the evidence can write. Expected: a member that the platform writes. Fix: correct it in the rule"]) if {
	some name, path in {"alias_path": alias_path, "digest_path": digest_path}
	written_by_anybody[split(path, ".")[0]]
}

# --- The application version, in either shape that the platform is known to give.

version := input.data.applications.getApplicationVersion

version := input.data if {
	is_object(input.data)
	not input.data.applications
}

# What must bear evidence: its name for messages, its digest, and the edges to the evidence.
items contains item if {
	subjects == "artifacts"
	some r, edge in version.releasables.releasablesConnection.edges
	some a, artifact in edge.node.artifacts
	item = {
		"id": ["package", r, a], "path": object.get(artifact, "filePath", "?"), "sha256": object.get(artifact, "sha256", null),
		"package": object.get(edge.node, "packageType", ""),
		"edges": object.get(artifact, ["evidenceSubject", "evidenceConnection", "edges"], null),
	}
}

items contains item if {
	subjects == "artifacts"
	some a, edge in version.artifactsConnection.edges
	item = {
		"id": ["artifact", a], "path": concat("/", [object.get(edge.node, "path", "?"), object.get(edge.node, "name", "?")]), "sha256": object.get(edge.node, "sha256", null),
		"package": object.get(edge.node, "packageType", ""),
		"edges": object.get(edge.node, ["evidenceConnection", "edges"], null),
	}
}

items contains item if {
	subjects == "sources"
	some n, source in version.sources
	item = {
		"id": ["source", n], "path": concat("", ["source ", format_int(n + 1, 10), " (", object.get(source, "__typename", "?"), ")"]),
		"sha256": object.get(source, ["evidenceSubject", "sha256"], null),
		"package": "", "edges": object.get(source, ["evidenceSubject", "evidenceConnection", "edges"], null),
	}
}

items contains item if {
	subjects == "version"
	some edges in record_edges
	item = {
		"id": ["version", edges], "path": "the application version's record", "sha256": object.get(version, ["evidenceSubject", "sha256"], null),
		"package": "", "edges": edges,
	}
}

record_edges contains version.evidenceSubject.evidenceConnection.edges

record_edges contains version.evidenceConnection.edges

# Each was read, and none is on a further page that the rule was not given.
default listed_in_packages := 0

listed_in_packages := sum([count(edge.node.artifacts) | some edge in version.releasables.releasablesConnection.edges])

default listed := 0

listed := count(version.artifactsConnection.edges)

all_read if {
	subjects == "artifacts"
	count(items) == listed_in_packages + listed
}

all_read if {
	subjects == "sources"
	count(items) == count(version.sources)
}

all_read if subjects == "version"

refusals contains "there is nothing in this application version that could bear evidence. Expected: at least one artifact, or source. Fix: make a version with contents" if count(items) == 0

refusals contains "not every part of this application version can be read. Expected: each with its digest and its evidence. Fix: compare the input in the Rego Playground with policies/gates/rego/README.md" if {
	count(items) > 0
	not all_read
}

only_a_part := "the platform gave the rule only a part of this application version. Expected: all of it. Fix: make smaller versions, or ask JFrog for the limit"

refusals contains only_a_part if {
	subjects == "artifacts"
	some connection in connections
	connection.pageInfo.hasNextPage != false
}

refusals contains only_a_part if {
	subjects == "artifacts"
	some connection in connections
	connection.totalCount != count(connection.edges)
}

refusals contains only_a_part if {
	subjects == "artifacts"
	version.releasables.releasablesCount != count(version.releasables.releasablesConnection.edges)
}

connections contains version.releasables.releasablesConnection

connections contains version.artifactsConnection

refusals contains "a package of this application version has no artifacts. Expected: at least one. Fix: make a new version" if {
	subjects == "artifacts"
	some edge in version.releasables.releasablesConnection.edges
	not some_artifact[edge]
}

some_artifact contains edge if {
	some edge in version.releasables.releasablesConnection.edges
	count(edge.node.artifacts) > 0
}

# --- The checks. A claim is a piece of evidence of ours; each check is the set of those that pass it.

claims := {claim |
	some item in items
	some n, edge in item.edges
	edge.node.predicateType == predicate_type
	claim = {"id": [item.id, n], "item": item.id, "sha256": item.sha256, "node": edge.node}
}

verified := {claim.id |
	some claim in claims
	claim.node.verified == true
}

by_our_key := {claim.id |
	some claim in claims
	keys[object.get(claim.node, split(alias_path, "."), null)]
	pinned_or_not[claim.id]
}

# With public keys in the rule, those claims that one of them verified; else all.
pinned_or_not contains claim.id if {
	some claim in claims
	count(pins) == 0
}

pinned_or_not contains claim.id if {
	some claim in claims
	pins[bodies[claim.node.signingKey.publicKey]]
}

for_these_bytes contains claim.id if {
	some claim in claims
	digest_path == "none"
}

for_these_bytes contains claim.id if {
	some claim in claims
	regex.match(`^(sha256:)?[0-9a-fA-F]{64}$`, claim.sha256)
	lower(trim_prefix(object.get(claim.node, split(digest_path, "."), ""), "sha256:")) == lower(trim_prefix(claim.sha256, "sha256:"))
}

# Clocks may differ by five minutes.
fresh := {claim.id |
	some claim in claims
	time.now_ns() - time.parse_rfc3339_ns(claim.node.createdAt) >= -300 * 1000000000
	time.now_ns() - time.parse_rfc3339_ns(claim.node.createdAt) <= ((max_age_days * 24) * 3600) * 1000000000
}

# What has a claim that passes all of them.
accepted := {claim.item |
	passed = ((verified & by_our_key) & for_these_bytes) & fresh
	some claim in claims
	passed[claim.id]
}

# The layers of an image bear no evidence: its manifest lists them by digest, and has to bear some itself.
covered := {item.id |
	some item in items
	image_packages[item.package]
	manifests[concat("", [trim_suffix(item.path, concat("", ["sha256__", item.sha256])), "manifest.json"])]
}

manifests := {item.path |
	some item in items
	image_packages[item.package]
	endswith(item.path, "/manifest.json")
}

image_packages := {"docker", "oci"}

# --- What is wrong, artifact by artifact. The first ten are told: there may be thousands.

failing := sort([[item.path, item.id] |
	some item in items
	not accepted[item.id]
	not covered[item.id]
])

told := {pair[1] | some pair in array.slice(failing, 0, 10)}

refusals contains concat("", [pair[0], ": ", concat("; ", array.slice(sort({fault[1] | some fault in faults; fault[0] == pair[1]}), 0, 5))]) if {
	some pair in array.slice(failing, 0, 10)
}

refusals contains concat("", ["~ and ", format_int(count(failing) - 10, 10), " more"]) if count(failing) > 10

faults contains [id, concat("", ["found no evidence of type ", predicate_type, ". Expected: one that counts. Fix: have it signed, and wait until the evidence is attached"])] if {
	some id in told
	count({claim.id | some claim in claims; claim.item == id}) == 0
}

faults contains [claim.item, "found evidence that the platform has not verified. Expected: verified by a trusted key. Fix: upload the key's public half to the trusted keys, under its name, delete this evidence and have the artifact signed again"] if {
	some claim in told_claims
	not verified[claim.id]
}

faults contains [claim.item, concat("", ["found evidence by key ", substring(object.get(claim.node, split(alias_path, "."), null), 0, 100), by_whom])] if {
	some claim in told_claims
	not by_our_key[claim.id]
}

faults contains [claim.item, concat("", ["found evidence by a key that is not told (nothing at ", alias_path, ")", by_whom])] if {
	some claim in told_claims
	not is_string(object.get(claim.node, split(alias_path, "."), null))
}

by_whom := concat("", [". Expected: ", concat(" or ", sort(keys)), pinned, ". Fix: have it signed by such a key"])

default pinned := ""

pinned := ", with the public key that the rule names" if count(pins) > 0

faults contains [claim.item, concat("", ["found evidence for other bytes: ", substring(object.get(claim.node, split(digest_path, "."), null), 0, 100), ". Expected: ", substring(claim.sha256, 0, 100), ". Fix: have what stands there now signed"])] if {
	some claim in told_claims
	not for_these_bytes[claim.id]
}

faults contains [claim.item, concat("", ["found evidence for bytes that are not told (nothing at ", digest_path, "). Expected: the digest of the bytes. Fix: see digest_path in policies/gates/rego/README.md"])] if {
	some claim in told_claims
	not for_these_bytes[claim.id]
	not is_string(object.get(claim.node, split(digest_path, "."), null))
}

faults contains [claim.item, "the platform does not tell the artifact's digest. Expected: one to compare the evidence with. Fix: see digest_path in policies/gates/rego/README.md"] if {
	some claim in told_claims
	not for_these_bytes[claim.id]
	not is_string(claim.sha256)
}

faults contains [claim.item, concat("", ["found evidence of ", substring(claim.node.createdAt, 0, 40), how_old])] if {
	some claim in told_claims
	not fresh[claim.id]
}

faults contains [claim.item, concat("", ["found evidence of no date", how_old])] if {
	some claim in told_claims
	not is_string(object.get(claim.node, "createdAt", null))
}

how_old := concat("", [". Expected: not older than ", format_int(max_age_days, 10), " days, and not of the future. Fix: delete it and have the artifact signed again"])

told_claims := {claim |
	some claim in claims
	told[claim.item]
}
