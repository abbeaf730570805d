/*
 * What "jf worker deploy" sends, and what the platform puts around it: the CLI takes imports away, the platform transpiles
 * one file and has definitions of its own before it.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import ts from "typescript";
import { PROCEED, STOP, context, gateSettings, hallmark, json, read, request, verdict, worker } from "./rig.js";

const manifests = {
    "before-move": ["BEFORE_MOVE", "../gate.ts"],
    "before-copy": ["BEFORE_COPY", "../gate.ts"],
    "before-property-create": ["BEFORE_PROPERTY_CREATE", "../shield.ts"],
    "before-property-delete": ["BEFORE_PROPERTY_DELETE", "../shield.ts"],
};

/** What the CLI does with the source before it sends it (jfrog-cli-platform-services, clean_import.go). */
function cleaned(source) {
    for (;;) {
        const match = /^\s*(import\s+[^;]+;\s*)([^]*)$/m.exec(source);
        if (!match) {
            return source;
        }
        source = match[2];
    }
}

describe("manifests", () => {
    const names = new Set();
    for (const [folder, [action, source]] of Object.entries(manifests)) {
        it(folder, () => {
            const m = JSON.parse(read(`${folder}/manifest.json`));
            assert.equal(m.action, action);
            assert.equal(m.sourceCodePath, source);
            assert.ok(read(`${folder}/${m.sourceCodePath}`));
            assert.equal(m.application, "artifactory");
            assert.equal(m.enabled, true, "what is deployed is in force");
            assert.deepEqual(m.secrets, {});
            assert.deepEqual(m.filterCriteria, { artifactFilterCriteria: { anyLocal: true, anyFederated: true, anyRemote: true } });
            assert.match(m.name, /^[a-z][a-z0-9-]{1,38}$/);
            assert.ok(!names.has(m.name));
            names.add(m.name);
        });
    }
});

describe("the source", () => {
    for (const name of ["gate", "shield"]) {
        it(`${name} loses nothing on the way`, () => {
            const source = read(`${name}.ts`);
            assert.equal(cleaned(source), source);
            assert.match(cleaned(`import { X } from "./x";\n${source}`), /export default/, "the rule here is the CLI's");
            assert.doesNotMatch(source, /\b(require|import|process|Buffer|globalThis)\b *[(.]/, "nothing that only Node has");
        });

        it(`${name} has no name that the platform defines`, () => {
            const own = [...read(`${name}.ts`).matchAll(/^(?:export )?(?:async )?(?:interface|type|enum|class|function|const|let) (\w+)/gm)].map(m => m[1]);
            const theirs = [...read("types.ts").matchAll(/^export (?:interface|enum) (\w+)/gm)].map(m => m[1]);
            assert.ok(own.length > 5 && theirs.length > 10);
            assert.deepEqual(own.filter(n => theirs.includes(n)), []);
        });
    }
});

/** The source as the platform runs it. */
function platform(name) {
    const { outputText, diagnostics } = ts.transpileModule(`${read("types.ts").replace(/^export /gm, "")}\n${cleaned(read(`${name}.ts`))}`, {
        reportDiagnostics: true,
        compilerOptions: { target: ts.ScriptTarget.ES2018, module: ts.ModuleKind.ESNext },
    });
    assert.deepEqual(diagnostics, []);
    return outputText;
}

it("the gate works behind the platform's definitions", async t => {
    const h = await hallmark(t, json(verdict()));
    const gate = await worker("gate", gateSettings(h.url), "", platform("gate"));
    assert.equal((await gate(context(), request("move"))).status, PROCEED);
});

it("the shield works behind the platform's definitions", async () => {
    const shield = await worker("shield", { writers: ["hallmark"] }, "", platform("shield"));
    assert.equal((await shield(context(), request("property-create"))).status, STOP);
});

it("as shipped, the gate lets nothing into what it guards, and the shield nobody write", async () => {
    const [gate, shield] = await Promise.all(["gate", "shield"].map(async n => (await import(new URL(`../out/${n}.js`, import.meta.url))).default));
    const log = console.log;
    console.log = () => {};
    try {
        const nobody = context({ clients: { axios: { post: async () => { throw new Error("getaddrinfo ENOTFOUND hallmark.example"); } } } });
        assert.equal((await gate(nobody, request("copy"))).status, STOP);
        assert.equal((await gate(nobody, request("copy", d => void (d.targetRepoPath.key = "libs-other-local")))).status, PROCEED);
        assert.equal((await shield({}, request("property-create", d => void (d.userContext.id = "hallmark")))).status, STOP);
    } finally {
        console.log = log;
    }
});
