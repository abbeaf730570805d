// Has @sigstore/verify judge a bundle: node judge.mjs ROOT BUNDLE ARTIFACT (--key PEM | --identity URI --issuer URI).
// Thresholds are its own: one log entry, one time-stamp, one SCT.
import { readFileSync } from "node:fs";
import { createPublicKey } from "node:crypto";
import { parseArgs } from "node:util";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { Verifier, toSignedEntity, toTrustMaterial } from "@sigstore/verify";

const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { key: { type: "string" }, identity: { type: "string" }, issuer: { type: "string" } },
});
const [rootFile, bundleFile, artifactFile] = positionals;
const json = (file) => JSON.parse(readFileSync(file, "utf8"));

const pinned = values.key && createPublicKey(readFileSync(values.key));
const trust = toTrustMaterial(TrustedRoot.fromJSON(json(rootFile)), () => {
    if (!pinned) throw new Error("no key is pinned");
    return { publicKey: pinned, validFor: () => true };
});
const entity = toSignedEntity(bundleFromJSON(json(bundleFile)), readFileSync(artifactFile));
if (!pinned && !(values.identity && values.issuer)) throw new Error("a key, or an identity and its issuer, is needed");
if (entity.key.$case !== (pinned ? "public-key" : "certificate")) throw new Error(`the bundle is signed by a ${entity.key.$case}`);
const exactly = (text) => `^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`; // it takes a pattern
new Verifier(trust).verify(entity, pinned ? undefined : { subjectAlternativeName: exactly(values.identity), extensions: { issuer: values.issuer } });
console.log("Verified OK");
