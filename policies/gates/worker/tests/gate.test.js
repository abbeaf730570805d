/* What the gate asks about, whom, and what it lets pass without asking. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { PROCEED, STOP, context, gateSettings, hallmark, json, request, token, verdict, worker } from "./rig.js";

const yes = json(verdict());

describe("the question", () => {
    for (const event of ["move", "copy"]) {
        it(`is asked with the token, about a ${event}`, async t => {
            const h = await hallmark(t, yes);
            const gate = await worker("gate", gateSettings(h.url));
            const answer = await gate(context(), request(event));
            assert.equal(answer.status, PROCEED, answer.message);
            assert.equal(h.asked.length, 1);
            const { method, url, headers, body } = h.asked[0];
            assert.equal(`${method} ${url}`, "POST /v1/gate/check");
            assert.equal(headers.authorization, `Bearer ${token}`);
            assert.equal(headers["content-type"], "application/json");
            assert.deepEqual(JSON.parse(body), { artifact: "libs-staging-local/app/1.4.2/app.tgz", target: "libs-release-local/app/1.4.2/app.tgz" });
            assert.match(answer.message, /3f6d0b0e/);
        });
    }

    it("names the instance if it is set, and the address may end in a slash", async t => {
        const h = await hallmark(t, yes);
        const gate = await worker("gate", gateSettings(`${h.url}/`, { instance: "main" }));
        assert.equal((await gate(context(), request("move"))).status, PROCEED);
        assert.equal(JSON.parse(h.asked[0].body).instance, "main");
        assert.equal(h.asked[0].url, "/v1/gate/check");
    });

    const to = (path, folder, root = false) => d => void Object.assign(d.targetRepoPath, { path, isFolder: folder, isRoot: root });
    for (const [name, change, target] of [
        ["another name", to("other/name.tgz", false), "libs-release-local/other/name.tgz"],
        ["into a folder", to("customers/acme", true), "libs-release-local/customers/acme/app.tgz"],
        ["into the root", to("", true, true), "libs-release-local/app.tgz"],
        ["no path", to("", false), "libs-release-local/app.tgz"],
        ["odd characters", to("a b/ü#?%;x=1.tgz", false), "libs-release-local/a b/ü#?%;x=1.tgz"],
    ]) {
        it(`tells where the file would stand: ${name}`, async t => {
            const h = await hallmark(t, json(verdict({ target })));
            const gate = await worker("gate", gateSettings(h.url));
            const answer = await gate(context(), request("copy", change));
            assert.equal(answer.status, PROCEED, answer.message);
            assert.equal(JSON.parse(h.asked[0].body).target, target);
        });
    }

    for (const [waitMs, left, wait] of [[0, 5000, undefined], [1500, 5000, "1500ms"], [60000, 5000, "2000ms"], [2000, 3400, "500ms"], [2000, 2900, undefined]]) {
        it(`asks Hallmark to wait ${wait ?? "for nothing"} when ${waitMs} ms are set and ${left} ms left`, async t => {
            const h = await hallmark(t, yes);
            const gate = await worker("gate", gateSettings(h.url, { waitMs }));
            const answer = await gate(context({ getRemainingExecutionTime: () => left }), request("move"));
            assert.equal(answer.status, PROCEED, answer.message);
            assert.equal(JSON.parse(h.asked[0].body).wait, wait);
        });
    }

    it("is asked about a rename within a guarded repository, too", async t => {
        const artifact = "libs-release-local/app/1.4.2/app.tgz";
        const h = await hallmark(t, json(verdict({ artifact })));
        const gate = await worker("gate", gateSettings(h.url));
        const inside = request("move", d => void (d.metadata.repoPath.key = "libs-release-local"));
        assert.equal((await gate(context(), inside)).status, PROCEED);
        assert.equal(JSON.parse(h.asked[0].body).artifact, artifact);
    });
});

describe("guarded repositories", () => {
    for (const [pattern, repository, guarded] of [
        ["libs-release-local", "libs-release-local", true],
        ["libs-release-local", "LIBS-Release-Local", true],
        ["libs-release-local", "libs-release-local2", false],
        ["libs-release-local", "xlibs-release-local", false],
        ["*-release-*", "libs-release-local", true],
        ["*-release-*", "libs-staging-local", false],
        ["*", "anything", true],
        ["libs.release", "libs.release", true],
        ["libs.release", "libs-release", false],
        ["libs.+", "libs.+", true],
    ]) {
        it(`${pattern} ${guarded ? "guards" : "does not guard"} ${repository}`, async t => {
            const h = await hallmark(t, json(verdict({ allow: false })));
            const gate = await worker("gate", gateSettings(h.url, { guarded: ["other", pattern] }));
            const answer = await gate(context(), request("move", d => void (d.targetRepoPath.key = repository)));
            assert.equal(answer.status, guarded ? STOP : PROCEED, answer.message);
            assert.equal(h.asked.length, guarded ? 1 : 0, "what is not guarded costs no call");
        });
    }
});

describe("Hallmark's own promotions", () => {
    const as = id => request("copy", d => void (d.userContext.id = id));
    for (const [name, promoters, id, status] of [
        ["pass when their user is named", ["hallmark-promoter"], "hallmark-promoter", PROCEED],
        ["pass by the subject of a token", ["jfac@01h/users/hallmark-promoter"], "jfac@01h/users/hallmark-promoter", PROCEED],
        ["do not pass otherwise", [], "hallmark-promoter", STOP],
        ["have no other spelling", ["hallmark-promoter"], "Hallmark-Promoter", STOP],
        ["have no longer name", ["hallmark-promoter"], "hallmark-promoter2", STOP],
        ["have no name that ends alike", ["hallmark-promoter"], "jfac@01h/users/hallmark-promoter", STOP],
        ["have no pattern", ["hallmark-*"], "hallmark-promoter", STOP],
    ]) {
        it(name, async t => {
            const h = await hallmark(t, json(verdict({ allow: false })));
            const gate = await worker("gate", gateSettings(h.url, { promoters }));
            const answer = await gate(context(), as(id));
            assert.equal(answer.status, status, answer.message);
            assert.equal(h.asked.length, status === PROCEED ? 0 : 1);
            if (status === STOP) {
                assert.ok(answer.message.includes(id), "says the id that could be configured");
            }
        });
    }

    it("pass with folders", async t => {
        const h = await hallmark(t, yes);
        const gate = await worker("gate", gateSettings(h.url, { promoters: ["hallmark-promoter"] }));
        const folder = request("copy", d => {
            d.userContext.id = "hallmark-promoter";
            d.metadata.repoPath.isFolder = true;
        });
        assert.equal((await gate(context(), folder)).status, PROCEED);
    });
});

describe("folders", () => {
    const folder = change => request("move", d => void (Object.assign(d.metadata.repoPath, { path: "app/1.4.2" }, change)));
    for (const [name, change] of [["a folder", { isFolder: true }], ["a whole repository", { path: "", isRoot: true, isFolder: false }]]) {
        it(`${name} is stopped, and told what to do`, async t => {
            const h = await hallmark(t, yes);
            const gate = await worker("gate", gateSettings(h.url));
            const answer = await gate(context(), folder(change));
            assert.equal(answer.status, STOP);
            assert.match(answer.message, /hallmark promote .* --target libs-release-local --confirm/);
            assert.equal(h.asked.length, 0);
        });
        it(`${name} passes where each file is asked about, and its files are`, async t => {
            const h = await hallmark(t, json(verdict({ allow: false })));
            const gate = await worker("gate", gateSettings(h.url, { folders: "each-file" }));
            assert.equal((await gate(context(), folder(change))).status, PROCEED);
            assert.equal((await gate(context(), request("move"))).status, STOP);
        });
    }
});

describe("requests of an unknown shape are stopped", () => {
    const without = (...path) => d => {
        const last = path.pop();
        delete path.reduce((o, k) => o[k], d)[last];
    };
    const having = (value, ...path) => d => {
        const last = path.pop();
        path.reduce((o, k) => o[k], d)[last] = value;
    };
    for (const [name, change] of [
        ["no target", without("targetRepoPath")],
        ["target null", having(null, "targetRepoPath")],
        ["target a string", having("libs-release-local:app.tgz", "targetRepoPath")],
        ["target without key", without("targetRepoPath", "key")],
        ["target with empty key", having("", "targetRepoPath", "key")],
        ["target key a list", having(["libs-release-local"], "targetRepoPath", "key")],
        ["target without path", without("targetRepoPath", "path")],
        ["target without isFolder", without("targetRepoPath", "isFolder")],
        ["no metadata", without("metadata")],
        ["no source", without("metadata", "repoPath")],
        ["source without key", without("metadata", "repoPath", "key")],
        ["source without path", without("metadata", "repoPath", "path")],
        ["source with empty path", having("", "metadata", "repoPath", "path")],
        ["source path a number", having(7, "metadata", "repoPath", "path")],
        ["source without isFolder", without("metadata", "repoPath", "isFolder")],
        ["isFolder a word", having("false", "metadata", "repoPath", "isFolder")],
        ["no user", without("userContext")],
        ["user without id", without("userContext", "id")],
        ["user with empty id", having("", "userContext", "id")],
        ["user id a number", having(1, "userContext", "id")],
    ]) {
        it(name, async t => {
            const h = await hallmark(t, yes);
            const gate = await worker("gate", gateSettings(h.url, { promoters: ["undefined", "1"] }));
            const answer = await gate(context(), request("copy", change));
            assert.equal(answer.status, STOP);
            assert.match(answer.message, /the request/);
            assert.equal(h.asked.length, 0);
        });
    }

    it("nothing at all", async () => {
        const gate = await worker("gate", gateSettings("http://127.0.0.1:1"));
        for (const data of [undefined, null, "BEFORE_MOVE", 7, {}, [], [request("move")]]) {
            const answer = await gate(context(), data);
            assert.equal(answer.status, STOP);
            assert.match(answer.message, /targetRepoPath/);
        }
    });
});

describe("mistakes in the settings close the gate for everything", () => {
    for (const [name, change] of [
        ["plain HTTP that nobody allowed", { plainHTTP: false }],
        ["no address", { hallmark: "" }],
        ["an address with a path", { hallmark: "https://hallmark.example/v1" }],
        ["an address with a password", { hallmark: "https://me:secret@hallmark.example" }],
        ["another scheme", { hallmark: "ftp://hallmark.example" }],
        ["nothing guarded", { guarded: [] }],
        ["guarded is a word", { guarded: "libs-release-local" }],
        ["guarded has an empty name", { guarded: [" "] }],
        ["promoters is missing", { promoters: undefined }],
        ["promoters has an empty name", { promoters: [""] }],
        ["folders is something else", { folders: "yes" }],
        ["waitMs is negative", { waitMs: -1 }],
        ["waitMs is a text", { waitMs: "2s" }],
        ["waitMs is missing", { waitMs: undefined }],
        ["waitMs is not whole", { waitMs: 0.5 }],
        ["secret has no name", { secret: "" }],
    ]) {
        it(name, async t => {
            const h = await hallmark(t, yes);
            const gate = await worker("gate", gateSettings(h.url, change));
            for (const repository of ["libs-release-local", "libs-other-local"]) {
                const answer = await gate(context(), request("move", d => void (d.targetRepoPath.key = repository)));
                assert.equal(answer.status, STOP);
                assert.match(answer.message, /not set up/);
            }
            assert.equal(h.asked.length, 0);
        });
    }
});

describe("without a usable secret it stops, and does not ask", () => {
    for (const [name, get] of [
        ["undefined", () => undefined],
        ["null", () => null],
        ["empty", () => ""],
        ["blank", () => " \n"],
        ["two lines", () => "a\r\nX-Evil: b"],
        ["not text", () => 7],
        ["thrown", () => { throw new Error("no such secret"); }],
    ]) {
        it(name, async t => {
            const h = await hallmark(t, yes);
            const gate = await worker("gate", gateSettings(h.url));
            const answer = await gate(context({ secrets: { get } }), request("move"));
            assert.equal(answer.status, STOP);
            assert.match(answer.message, /jf worker add-secret hallmark-token/);
            assert.equal(h.asked.length, 0);
        });
    }

    it("the end of a line behind the token does no harm", async () => {
        let sent;
        const noting = { axios: { post: async (url, body, options) => { sent = options.headers.Authorization; return { status: 200, data: verdict() }; } } };
        const gate = await worker("gate", gateSettings("http://127.0.0.1:1"));
        assert.equal((await gate(context({ clients: noting, secrets: { get: () => `${token}\n` } }), request("move"))).status, PROCEED);
        assert.equal(sent, `Bearer ${token}`);
    });

    it("a context without anything is a stop, not an exception", async () => {
        const gate = await worker("gate", gateSettings("http://127.0.0.1:1"));
        for (const nothing of [undefined, null, {}, { secrets: { get: () => token } }]) {
            assert.equal((await gate(nothing, request("move"))).status, STOP);
        }
    });
});

it("an address where nobody listens", async () => {
    const port = await new Promise(done => {
        const s = createServer();
        s.listen(0, "127.0.0.1", () => {
            const { port } = s.address();
            s.close(() => done(port));
        });
    });
    const gate = await worker("gate", gateSettings(`http://127.0.0.1:${port}`));
    const answer = await gate(context(), request("move"));
    assert.equal(answer.status, STOP);
    assert.match(answer.message, /could not ask Hallmark .*ECONNREFUSED/);
    assert.ok(!answer.message.includes(token));
});
