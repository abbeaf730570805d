/* What the gate makes of Hallmark's answers, and of having none. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PROCEED, STOP, WARN, client, context, digest, gateSettings, hallmark, json, request, token, verdict, worker } from "./rig.js";

const unsigned = {
    code: "signature-missing", message: "the artifact has no signature that counts", found: "no signature file", expected: "1 signature, lane release",
    would: "with one signature by key class release", fix: "hallmark sign libs-staging-local/app/1.4.2/app.tgz", who: "release-managers",
    rule: "policies/gate.yaml:9 (libs-release)",
};

/** Asks a Hallmark that answers like this. */
async function ask(t, answer, { change = {}, settings = {}, head = "", event = "move" } = {}) {
    const h = await hallmark(t, answer);
    const gate = await worker("gate", gateSettings(h.url, settings), head);
    const began = performance.now();
    const said = await gate(context(change), request(event));
    assert.deepEqual(Object.keys(said).sort(), ["message", "status"]);
    assert.ok(!said.message.includes(token), "the token stays a secret");
    assert.ok(!/[\p{C}]/u.test(said.message), "one line of text");
    return { ...said, took: performance.now() - began, asked: h.asked };
}

const raw = (status, type, body) => res => {
    res.writeHead(status, { "Content-Type": type });
    res.end(body);
};

describe("a no is told with its reasons", () => {
    it("all that a reason has", async t => {
        const said = await ask(t, json(verdict({ allow: false, reasons: [unsigned] })));
        assert.equal(said.status, STOP);
        for (const words of Object.values(unsigned)) {
            assert.ok(said.message.includes(words), `${words} is missing in ${said.message}`);
        }
        assert.match(said.message, /libs-staging-local\/app\/1\.4\.2\/app\.tgz may not enter libs-release-local\/app\/1\.4\.2\/app\.tgz/);
        assert.match(said.message, /fix: hallmark sign libs-staging-local\/app\/1\.4\.2\/app\.tgz \|/, "a command can be copied as it is");
        assert.match(said.message, /user id release-bot/);
    });

    it("without what a reason lacks", async t => {
        const said = await ask(t, json(verdict({ allow: false, reasons: [{ code: "no-gate-policy", message: "closed" }] })));
        assert.ok(said.message.endsWith("[no-gate-policy] closed"), said.message);
    });

    it("what would pass is not told twice", async t => {
        const said = await ask(t, json(verdict({ allow: false, reasons: [{ ...unsigned, would: `with ${unsigned.expected}` }] })));
        assert.doesNotMatch(said.message, /would pass/);
    });

    it("not decided is a no, and says so", async t => {
        const said = await ask(t, json(verdict({ allow: false, decided: false, reasons: [{ code: "undecided", message: "Artifactory is away" }] })));
        assert.equal(said.status, STOP);
        assert.match(said.message, /could not decide.*\[undecided\] Artifactory is away/);
    });

    it("of many reasons the first five, of hostile ones what is fit to print", async t => {
        const many = Array.from({ length: 20 }, (_, i) => ({ code: `code-${i}`, message: `a\u0000b\r\n\u2028c\u202e${"x".repeat(5000)}`, found: { a: 1 }, fix: 7 }));
        const said = await ask(t, json(verdict({ allow: false, reasons: [null, "text", 7, ...many] })));
        assert.equal(said.status, STOP);
        assert.match(said.message, /code-1\].*And 18 more\.$/);
        assert.doesNotMatch(said.message, /code-2/);
        assert.ok(said.message.length <= 3000);
    });

    it("none given", async t => {
        const said = await ask(t, json(verdict({ allow: false })));
        assert.match(said.message, /No reason was given/);
    });
});

describe("warnings let pass, and are seen", () => {
    it("status and message", async t => {
        const said = await ask(t, json(verdict({ warnings: [unsigned] })));
        assert.equal(said.status, WARN);
        assert.match(said.message, new RegExp(`sha256 ${digest}.* may enter .* with warnings\\. \\[signature-missing\\].*\\| would pass with one signature`));
    });
    for (const none of [undefined, null, []]) {
        it(`none: ${JSON.stringify(none)}`, async t => {
            assert.equal((await ask(t, json(verdict({ warnings: none })))).status, PROCEED);
        });
    }
});

describe("only a whole yes about what was asked is a yes", () => {
    const other = changes => json(verdict(changes));
    for (const [name, answer] of [
        ["allow without decided", other({ decided: false })],
        ["allow with reasons", other({ reasons: [unsigned] })],
        ["allow as a word", other({ allow: "true" })],
        ["allow as a number", other({ allow: 1 })],
        ["allow missing", other({ allow: undefined })],
        ["decided missing", other({ decided: undefined })],
        ["decided as a word", other({ decided: "true" })],
        ["reasons missing", other({ reasons: undefined })],
        ["reasons null", other({ reasons: null })],
        ["reasons an object", other({ reasons: {} })],
        ["warnings a word", other({ warnings: "none" })],
        ["warnings an object", other({ warnings: {} })],
        ["about another artifact", other({ artifact: "libs-staging-local/app/1.4.1/app.tgz" })],
        ["about no artifact", other({ artifact: undefined })],
        ["about another target", other({ target: "libs-other-local/app/1.4.2/app.tgz" })],
        ["about the target's repository alone", other({ target: "libs-release-local" })],
        ["without a digest", other({ sha256: "" })],
        ["digest missing", other({ sha256: undefined })],
        ["half a digest", other({ sha256: digest.slice(1) })],
        ["true", json(true)],
        ["null", json(null)],
        ["a list of a verdict", json([verdict()])],
        ["an empty object", json({})],
        ["a verdict in an envelope", json({ verdict: verdict() })],
        ["an empty body", raw(200, "application/json", "")],
        ["half a verdict", raw(200, "application/json", JSON.stringify(verdict()).slice(0, -1))],
        ["a page to log in", raw(200, "text/html", "<html><title>Log in</title></html>")],
        ["bytes", raw(200, "application/octet-stream", Buffer.from([0xff, 0xfe, 0, 1]))],
        ["more than a verdict can be", raw(200, "application/json", JSON.stringify({ ...verdict(), more: "x".repeat(2 << 20) }))],
        ["__proto__ with a yes", raw(200, "application/json", `{"__proto__": ${JSON.stringify(verdict())}}`)],
    ]) {
        it(name, async t => {
            const said = await ask(t, answer);
            assert.equal(said.status, STOP, said.message);
            assert.ok(said.message.length > 20);
        });
    }

    it("a yes that the client did not parse is read all the same", async t => {
        const text = { post: async (...args) => ({ ...(await client.post(...args)), data: JSON.stringify(verdict()) }) };
        assert.equal((await ask(t, json(verdict()), { change: { clients: { axios: text } } })).status, PROCEED);
    });
});

describe("every other status is a stop", () => {
    for (const status of [201, 202, 203, 204, 206, 300, 304, 400, 404, 408, 413, 422, 429, 500, 502, 503, 504]) {
        it(`${status}, even with a yes`, async t => {
            const said = await ask(t, raw(status, "application/json", status === 204 || status === 304 ? undefined : JSON.stringify(verdict())));
            assert.equal(said.status, STOP);
            assert.match(said.message, new RegExp(`Hallmark answered ${status}`));
        });
    }

    for (const [status, detail, hint] of [[401, "the bearer token is not known", /secret hallmark-token/], [403, "the token may not ask for verdicts", /role gate/]]) {
        it(`${status} says what to mend`, async t => {
            const said = await ask(t, json({ title: "no", status, detail }, status));
            assert.equal(said.status, STOP);
            assert.match(said.message, hint);
            assert.ok(said.message.includes(detail));
        });
    }

    it("a problem's reasons are told", async t => {
        const said = await ask(t, json({ title: "Bad Request", status: 400, detail: "the path is refused", reasons: [{ code: "path-refused", message: "two readings" }] }, 400));
        assert.match(said.message, /answered 400: the path is refused.*\[path-refused\] two readings/);
    });

    for (const status of [301, 302, 303, 307, 308]) {
        it(`${status}: nobody is followed`, async t => {
            let followed = 0;
            const said = await ask(t, (res, _, req) => {
                followed += req.url === "/elsewhere";
                res.writeHead(req.url === "/elsewhere" ? 200 : status, { Location: "/elsewhere", "Content-Type": "application/json" });
                res.end(JSON.stringify(verdict()));
            });
            assert.equal(said.status, STOP);
            assert.equal(followed, 0);
        });
    }

    it("a client that does not throw is held to the status, too", async t => {
        const lenient = { post: (url, body, options) => client.post(url, body, { ...options, validateStatus: () => true }) };
        const said = await ask(t, json(verdict(), 500), { change: { clients: { axios: lenient } } });
        assert.equal(said.status, STOP);
        assert.match(said.message, /answered 500/);
    });
});

describe("no answer is a stop", () => {
    for (const [name, answer] of [
        ["the connection is reset", (res, _, req) => req.socket.resetAndDestroy()],
        ["the connection ends without an answer", (res, _, req) => req.socket.end()],
        ["the connection ends half way", res => {
            res.writeHead(200, { "Content-Type": "application/json", "Content-Length": 4096 });
            res.write(JSON.stringify(verdict()));
            res.socket.end();
        }],
        ["what answers does not speak HTTP", (res, _, req) => req.socket.end("SSH-2.0-OpenSSH\r\n\r\n")],
        ["an answer of two lengths", (res, _, req) => req.socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")],
    ]) {
        it(name, async t => {
            const said = await ask(t, answer);
            assert.equal(said.status, STOP);
            assert.match(said.message, /could not ask Hallmark|is not a verdict/);
        });
    }

    it("an error that repeats the token does not tell it", async t => {
        const leaky = { post: async (url, body, options) => { throw new Error(`bad header ${options.headers.Authorization}`); } };
        const said = await ask(t, json(verdict()), { change: { clients: { axios: leaky } } });
        assert.match(said.message, /bad header Bearer \(token\)/);
    });

    for (const thrown of [undefined, null, "text", {}, { response: null }, { response: { status: "200", data: verdict() } }]) {
        it(`a client that throws ${JSON.stringify(thrown)}`, async t => {
            const said = await ask(t, json(verdict()), { change: { clients: { axios: { post: async () => { throw thrown; } } } } });
            assert.equal(said.status, STOP);
        });
    }

    for (const returned of [undefined, null, "text", {}, { data: verdict() }, { status: "200", data: verdict() }]) {
        it(`a client that returns ${JSON.stringify(returned)?.slice(0, 30)}`, async t => {
            const said = await ask(t, json(verdict()), { change: { clients: { axios: { post: async () => returned } } } });
            assert.equal(said.status, STOP);
        });
    }
});

describe("within the time that the platform gives", { concurrency: true }, () => {
    const patience = 3000; // less than without the limit under test, more than a busy machine takes with it
    const silent = () => {};
    const dripping = res => {
        res.writeHead(200, { "Content-Type": "application/json" });
        const drip = setInterval(() => res.write(" "), 50);
        res.on("close", () => clearInterval(drip));
    };
    const left = ms => ({ getRemainingExecutionTime: () => ms });

    it("4.5 s at most", async t => {
        const said = await ask(t, silent);
        assert.equal(said.status, STOP);
        assert.match(said.message, /within 4500 ms|timeout of 4500ms/);
        assert.ok(said.took > 4400, `${said.took} ms`);
    });

    it("4.5 s also where the platform does not say how much is left", async t => {
        for (const getRemainingExecutionTime of [undefined, () => undefined, () => NaN, () => { throw new Error("no"); }]) {
            let given;
            const noting = { post: async (url, body, options) => { given = options.timeout; return { status: 200, data: verdict() }; } };
            assert.equal((await ask(t, silent, { change: { getRemainingExecutionTime, clients: { axios: noting } } })).status, PROCEED);
            assert.equal(given, 4500);
        }
    });

    const deaf = { axios: { post: () => new Promise(() => {}) } };
    for (const [name, answer, more] of [
        ["silence", silent, {}],
        ["an answer that trickles", dripping, {}],
        ["a client without time-out", silent, { clients: deaf }],
    ]) {
        it(`less when less is left: ${name}`, async t => {
            const said = await ask(t, answer, { change: { ...left(900), ...more } });
            assert.equal(said.status, STOP);
            assert.ok(said.took < patience, `${said.took} ms`);
        });
    }

    it("by the platform's own clock where there is no setTimeout", async t => {
        const said = await ask(t, silent, { change: { ...left(900), clients: deaf }, head: "const setTimeout = undefined, clearTimeout = undefined;" });
        assert.equal(said.status, STOP);
        assert.ok(said.took < patience, `${said.took} ms`);
    });

    it("by the client's time-out where there is no clock at all", async t => {
        const said = await ask(t, silent, { change: { ...left(900), wait: undefined }, head: "const setTimeout = undefined, clearTimeout = undefined;" });
        assert.equal(said.status, STOP);
        assert.match(said.message, /timeout of 500ms/);
    });

    it("no time left: not asked", async t => {
        for (const ms of [400, 0, -1]) {
            const said = await ask(t, json(verdict()), { change: left(ms) });
            assert.equal(said.status, STOP);
            assert.match(said.message, /left no time/);
            assert.equal(said.asked.length, 0);
        }
    });

    it("a slow yes in time is a yes", async t => {
        const said = await ask(t, res => setTimeout(() => json(verdict())(res), 300));
        assert.equal(said.status, PROCEED);
    });
});
