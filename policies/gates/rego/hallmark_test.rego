package hallmark_test

import rego.v1

import data.curation.policies

# --- What is given: one application version with a file and an image, as the platform shows it.

now := "2026-08-20T12:00:00Z"

file_digest := "3f6d0b0e3f6d0b0e3f6d0b0e3f6d0b0e3f6d0b0e3f6d0b0e3f6d0b0e3f6d0b0e"

other_digest := "bf02510c8ce0b804a099797510afc19325acfb979538c5b521304c83cde63892"

layer_digest := "08c68b562ed431ef1f55de12f561720f310d63314145e69c6eafb996f81a6249"

our_pem := "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEours\nAAAA\n-----END PUBLIC KEY-----\n"

evil_pem := "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEevil\nBBBB\n-----END PUBLIC KEY-----\n"

params := {"keys": "release-2025, release-2026", "public_keys": "", "max_age_days": "30", "subjects": "", "alias_path": "", "digest_path": ""}

evidence(digest) := {"node": {
	"createdAt": "2026-08-14T09:35:00.123Z", "evidenceId": "e1", "predicate": {"result": "signed"}, "predicateSlug": "signature",
	"predicateType": policies.predicate_type, "providerId": "", "subject": {"sha256": digest},
	"signingKey": {"alias": "release-2026", "publicKey": our_pem}, "verified": true,
}}

artifact(path, digest, edges) := {"filePath": path, "sha256": digest, "evidenceSubject": {"evidenceConnection": {"edges": edges}}}

file := artifact("modem/9.1/modem-9.1.bin", file_digest, [evidence(file_digest)])

manifest := artifact("app/1.0/manifest.json", other_digest, [evidence(other_digest)])

layer := artifact(concat("", ["app/1.0/sha256__", layer_digest]), layer_digest, null)

release(package_type, artifacts) := {"node": {"artifacts": artifacts, "name": "x", "packageType": package_type, "version": "1"}}

version(releasables) := {"applications": {"getApplicationVersion": {
	"releasables": {"releasablesConnection": {"edges": releasables}, "releasablesCount": count(releasables)},
	"evidenceSubject": {"evidenceConnection": {"edges": null}}, "sources": [], "status": "COMPLETED", "version": "1.0.0",
}}}

whole := {"params": params, "data": version([release("generic", [file]), release("docker", [manifest, layer])])}

# One change to the file's evidence, or to what was given.
changed(path, value) := json.patch(whole, [{"op": "replace", "path": path, "value": value}])

added(path, value) := json.patch(whole, [{"op": "add", "path": path, "value": value}])

removed(path) := json.patch(whole, [{"op": "remove", "path": path}])

connection := "data/applications/getApplicationVersion/releasables/releasablesConnection"

edges_of_file := concat("/", [connection, "edges/0/node/artifacts/0/evidenceSubject/evidenceConnection/edges"])

node(member) := concat("/", [edges_of_file, "0/node", member])

answer(given) := result if {
	result := policies.allow with input as given with time.now_ns as time.parse_rfc3339_ns(now)
}

yes(given) if {
	result := answer(given)
	result.should_allow == true
	result.message == "Hallmark: 3 of 3 bear evidence that counts."
}

# A no that says each of these words.
no(given, words) if {
	result := answer(given)
	result.should_allow == false
	result.explanation == result.message
	every word in words { contains(result.explanation, word) }
}

# --- What passes.

test_evidence_that_counts_passes if {
	yes(whole)
	sample_says_yes(whole)
}

test_layers_are_covered_by_their_manifest_alone if {
	no(changed(concat("/", [connection, "edges/1/node/artifacts/0/evidenceSubject/evidenceConnection/edges"]), null), ["app/1.0/manifest.json: found no evidence"])
	no(changed(concat("/", [connection, "edges/1/node/packageType"]), "generic"), ["sha256__08c68b56"])
	no(changed(concat("/", [connection, "edges/1/node/artifacts/1/filePath"]), "app/2.0/sha256__08c68b56"), ["app/2.0/sha256__08c68b56: found no evidence"])
	no(changed(concat("/", [connection, "edges/1/node/artifacts/1/sha256"]), file_digest), ["found no evidence"])
	other := concat("", ["other/1.0/sha256__", layer_digest])
	no(changed(concat("/", [connection, "edges/1/node/artifacts/1/filePath"]), other), [concat("", [other, ": found no evidence"])])
}

test_good_evidence_beside_bad_passes if {
	yes(added(concat("/", [edges_of_file, "0"]), json.patch(evidence(other_digest), [{"op": "replace", "path": "node/verified", "value": false}])))
}

test_lists_and_numbers_as_parameters if {
	yes(changed("params", {"keys": ["release-2026"], "max_age_days": 30}))
	yes(changed("params", {"keys": ["release-2026"], "max_age_days": 30, "public_keys": [our_pem]}))
}

test_digests_in_either_form if {
	yes(changed(node("subject/sha256"), concat("", ["sha256:", upper(file_digest)])))
}

test_names_of_fields_are_parameters if {
	flat := json.patch(removed(node("signingKey")), [{"op": "add", "path": node("keyAlias"), "value": "release-2026"}])
	no(flat, ["that is not told (nothing at signingKey.alias)"])
	given := json.patch(flat, [
		{"op": "replace", "path": "params/alias_path", "value": "keyAlias"},
		{"op": "remove", "path": concat("/", [connection, "edges/1"])},
		{"op": "replace", "path": "data/applications/getApplicationVersion/releasables/releasablesCount", "value": 1},
	])
	answer(given).should_allow
}

# --- What the sample lets through.

lets_through := {
	"unverified": {"given": changed(node("verified"), false), "words": ["modem/9.1/modem-9.1.bin", "has not verified"]},
	"verified as text": {"given": changed(node("verified"), "true"), "words": ["has not verified"]},
	"verification not told": {"given": removed(node("verified")), "words": ["has not verified"]},
	"an attacker's key": {"given": changed(node("signingKey/alias"), "evil"), "words": ["found evidence by key evil", "Expected: release-2025 or release-2026"]},
	"an alias like ours": {"given": changed(node("signingKey/alias"), "release-2026 "), "words": ["found evidence by key release-2026 "]},
	"a key that is not told": {"given": removed(node("signingKey")), "words": ["that is not told"]},
	"no key at all": {"given": changed(node("signingKey"), null), "words": ["that is not told"]},
	"a claim in the predicate": {"given": json.patch(changed(node("predicate"), {"alias": "release-2026"}), [{"op": "remove", "path": node("signingKey")}]), "words": ["that is not told"]},
	"other bytes": {"given": changed(node("subject/sha256"), other_digest), "words": ["for other bytes: bf02510c", "Expected: 3f6d0b0e", "signed"]},
	"bytes that are not told": {"given": removed(node("subject")), "words": ["for bytes that are not told (nothing at subject.sha256)"]},
	"an artifact without digest": {"given": removed(concat("/", [connection, "edges/0/node/artifacts/0/sha256"])), "words": ["does not tell the artifact's digest"]},
	"an empty digest on both sides": {"given": json.patch(changed(node("subject/sha256"), ""), [{"op": "replace", "path": concat("/", [connection, "edges/0/node/artifacts/0/sha256"]), "value": ""}]), "words": ["for other bytes"]},
	"stale": {"given": changed(node("createdAt"), "2026-07-20T00:00:00Z"), "words": ["evidence of 2026-07-20T00:00:00Z", "not older than 30 days"]},
	"of the future": {"given": changed(node("createdAt"), "2026-08-20T12:06:00Z"), "words": ["not of the future"]},
	"without date": {"given": removed(node("createdAt")), "words": ["found evidence of no date"]},
	"with no real date": {"given": changed(node("createdAt"), "yesterday"), "words": ["found evidence of yesterday"]},
	"one of many without": {"given": added(concat("/", [connection, "edges/0/node/artifacts/1"]), artifact("modem/9.1/extra.bin", other_digest, null)), "words": ["modem/9.1/extra.bin: found no evidence"]},
	"one of many for the other": {"given": added(concat("/", [connection, "edges/0/node/artifacts/1"]), artifact("modem/9.1/extra.bin", other_digest, [evidence(file_digest)])), "words": ["modem/9.1/extra.bin: found evidence for other bytes"]},
	"only a page": {"given": added(concat("/", [connection, "pageInfo"]), {"hasNextPage": true}), "words": ["only a part"]},
	"only some packages": {"given": changed("data/applications/getApplicationVersion/releasables/releasablesCount", 7), "words": ["only a part"]},
	"an artifact that is none": {"given": added(concat("/", [connection, "edges/0/node/artifacts/1"]), "text"), "words": ["not every part"]},
	"a package that is none": {"given": json.patch(added(concat("/", [connection, "edges/0"]), "text"), [{"op": "replace", "path": "data/applications/getApplicationVersion/releasables/releasablesCount", "value": 3}]), "words": ["has no artifacts"]},
	"a package without artifacts": {"given": json.patch(added(concat("/", [connection, "edges/0"]), release("npm", null)), [{"op": "replace", "path": "data/applications/getApplicationVersion/releasables/releasablesCount", "value": 3}]), "words": ["has no artifacts"]},
}

test_what_the_sample_lets_through[name] if {
	some name, c in lets_through
	sample_says_yes(c.given)
	no(c.given, c.words)
}

# A key of the right name that is not ours: somebody replaced the trusted key.
test_pinned_public_keys if {
	pinned := json.patch(whole, [{"op": "replace", "path": "params/public_keys", "value": our_pem}])
	yes(pinned)
	yes(json.patch(whole, [{"op": "replace", "path": "params/public_keys", "value": concat(",", [evil_pem, replace(our_pem, "\n", "\\n")])}]))
	swapped := json.patch(pinned, [{"op": "replace", "path": node("signingKey/publicKey"), "value": evil_pem}])
	sample_says_yes(swapped)
	no(swapped, ["with the public key that the rule names"])
	no(json.patch(pinned, [{"op": "remove", "path": node("signingKey/publicKey")}]), ["with the public key that the rule names"])
	no(json.patch(pinned, [{"op": "replace", "path": node("signingKey/publicKey"), "value": ""}]), ["with the public key that the rule names"])
	no(json.patch(whole, [{"op": "replace", "path": "params/public_keys", "value": " "}]), ["public_keys holds no public key"])
}

# Both sides of both limits.
test_freshness_to_the_second if {
	yes(changed(node("createdAt"), "2026-07-21T12:00:00Z"))
	no(changed(node("createdAt"), "2026-07-21T11:59:59Z"), ["not older than"])
	yes(changed(node("createdAt"), "2026-08-20T12:05:00Z"))
	no(changed(node("createdAt"), "2026-08-20T12:05:01Z"), ["of the future"])
}

test_bytes_left_to_the_platform_only_when_asked_for if {
	given := removed(node("subject"))
	no(given, ["nothing at subject.sha256"])
	yes(json.patch(given, [{"op": "replace", "path": "params/digest_path", "value": "none"}]))
}

# Our key on something else than that the bytes are signed.
test_another_predicate_is_not_ours if {
	no(changed(node("predicateType"), "https://slsa.dev/provenance/v1"), ["modem-9.1.bin: found no evidence of type"])
	no(removed(node("predicateType")), ["modem-9.1.bin: found no evidence of type"])
}

# --- Versions that hold nothing, or nothing that can be read.

test_empty_versions_are_refused if {
	no({"params": params, "data": version([])}, ["nothing in this application version"])
	no(changed(connection, {"edges": null}), ["nothing in this application version"])
	no({"params": params, "data": {}}, ["nothing in this application version"])
	no({"params": params, "data": []}, ["nothing in this application version"])
	no({"params": params}, ["nothing in this application version"])
	no(changed("data/applications", {"getApplicationVersion": null}), ["nothing in this application version"])
	no({}, ["nothing in this application version", "names no key", "max_age_days"])
	no([], ["nothing in this application version"])
	no("text", ["nothing in this application version"])
}

# --- The rule's own parameters.

test_parameters_that_are_wrong_are_refused if {
	every name, c in {
		"keys": [["", "names no key"], [" , ", "names no key"], [[], "names no key"], [7, "names no key"], [null, "names no key"]],
		"max_age_days": [["", "max_age_days"], ["0", "max_age_days"], [0, "max_age_days"], ["-1", "max_age_days"], [-1, "max_age_days"], ["1e9", "max_age_days"], [true, "max_age_days"], [null, "max_age_days"], ["30 days", "max_age_days"]],
		"subjects": [["artifact", "subjects is unknown"], [["artifacts"], "subjects is unknown"]],
		"alias_path": [["predicate.alias", "which whoever attaches the evidence can write"], ["markdown", "alias_path points to markdown"], ["signingKey.publicKey", "found evidence by key"]],
		"digest_path": [["predicate.sha256", "digest_path points to predicate.sha256"], ["", "never"]],
	} {
		every pair in c {
			given := json.patch(whole, [{"op": "replace", "path": concat("/", ["params", name]), "value": pair[0]}])
			refused_or_default(given, pair[1])
		}
	}
}

refused_or_default(given, word) if no(given, [word])

refused_or_default(given, "never") if yes(given)

test_every_refusal_says_what_to_do if {
	every c in lets_through {
		result := answer(c.given)
		contains(result.explanation, "Expected: ")
		contains(result.explanation, "Fix: ")
	}
}

test_many_refusals_are_cut if {
	many := [artifact(concat("", ["many/", format_int(i, 10)]), other_digest, null) | some i in numbers.range(1, 300)]
	result := answer({"params": params, "data": version([release("generic", many)])})
	not result.should_allow
	contains(result.explanation, "and 290 more")
	count(result.explanation) < 4000
}

# --- The version's own record, and the older shape of the input.

test_the_versions_own_record if {
	given := json.patch(whole, [
		{"op": "replace", "path": "params/subjects", "value": "version"},
		{"op": "replace", "path": "data/applications/getApplicationVersion/evidenceSubject", "value": {"sha256": file_digest, "evidenceConnection": {"edges": [evidence(file_digest)]}}},
	])
	answer(given).should_allow
	no(json.patch(given, [{"op": "replace", "path": "data/applications/getApplicationVersion/evidenceSubject/sha256", "value": other_digest}]), ["the application version's record: found evidence for other bytes"])
	no(json.patch(given, [{"op": "remove", "path": "data/applications/getApplicationVersion/evidenceSubject/sha256"}]), ["does not tell the artifact's digest"])
	no(json.patch(whole, [{"op": "replace", "path": "params/subjects", "value": "version"}]), ["the application version's record: found no evidence"])
	no(json.patch(given, [{"op": "remove", "path": "data/applications/getApplicationVersion/evidenceSubject"}]), ["nothing in this application version"])

	# Evidence of the record is none of the artifacts.
	no(json.patch(given, [{"op": "replace", "path": "params/subjects", "value": "artifacts"}, {"op": "replace", "path": edges_of_file, "value": null}]), ["modem-9.1.bin: found no evidence"])
}

# A version that was made from release bundles.
test_the_sources if {
	source := {"__typename": "ApplicationVersionSourceReleaseBundle", "evidenceSubject": {"sha256": file_digest, "evidenceConnection": {"edges": [evidence(file_digest)]}}}
	sources := "data/applications/getApplicationVersion/sources"
	given := json.patch(whole, [
		{"op": "replace", "path": "params/subjects", "value": "sources"},
		{"op": "replace", "path": sources, "value": [source, source]},
		{"op": "replace", "path": edges_of_file, "value": null},
	])
	answer(given).should_allow
	no(json.patch(given, [{"op": "replace", "path": concat("", [sources, "/1/evidenceSubject/sha256"]), "value": other_digest}]), ["source 2 (ApplicationVersionSourceReleaseBundle): found evidence for other bytes"])
	no(json.patch(given, [{"op": "add", "path": concat("", [sources, "/2"]), "value": {"__typename": "ApplicationVersionSourceDirect"}}]), ["source 3 (ApplicationVersionSourceDirect): found no evidence"])
	no(json.patch(given, [{"op": "add", "path": concat("", [sources, "/2"]), "value": "text"}]), ["not every part"])
	no(json.patch(given, [{"op": "replace", "path": sources, "value": []}]), ["nothing in this application version"])
	no(json.patch(given, [{"op": "replace", "path": sources, "value": null}]), ["nothing in this application version"])

	# Evidence of a source is none of the artifacts, nor the other way round.
	no(json.patch(given, [{"op": "replace", "path": "params/subjects", "value": "artifacts"}]), ["modem-9.1.bin: found no evidence"])
	no(json.patch(whole, [{"op": "replace", "path": "params/subjects", "value": "sources"}]), ["nothing in this application version"])
}

older(edges) := {"params": params, "data": {"evidenceConnection": {"edges": []}, "fromBuilds": [], "artifactsConnection": {"totalCount": 1, "edges": [{"node": {
	"name": "modem.bin", "path": "modem/9.1", "sha256": file_digest, "packageType": "generic",
	"evidenceConnection": {"edges": edges},
}}]}}}

test_the_older_shape if {
	answer(older([evidence(file_digest)])).should_allow
	no(older([evidence(other_digest)]), ["modem/9.1/modem.bin: found evidence for other bytes"])
	no(older([]), ["modem/9.1/modem.bin: found no evidence"])
	no(json.patch(older([evidence(file_digest)]), [{"op": "replace", "path": "data/artifactsConnection/totalCount", "value": 2}]), ["only a part"])
	no(json.patch(older([evidence(file_digest)]), [{"op": "add", "path": "data/artifactsConnection/pageInfo", "value": {"hasNextPage": true}}]), ["only a part"])
	no(json.patch(older([evidence(file_digest)]), [{"op": "remove", "path": "data/artifactsConnection/edges/0/node/path"}, {"op": "replace", "path": "data/artifactsConnection/edges/0/node/name", "value": 7}]), ["nothing in this application version"])
}
