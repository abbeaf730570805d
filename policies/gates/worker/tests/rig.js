/*
 * What the tests share: workers as they are deployed but for their settings, requests as they were recorded, and a Hallmark
 * on the loopback interface.
 */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import axios from "axios";

export const PROCEED = 1;
export const STOP = 2;
export const WARN = 3;

export const token = "a-gate-token-of-the-worker";
export const digest = "3f6d0b0e".repeat(8);

const root = new URL("../", import.meta.url);
const settingsLine = /const settings = \{\n[\s\S]*?\n\};/g;

/** The text of a file beside the workers. */
export const read = path => readFileSync(new URL(path, root), "utf8");

/** Loads compiled code of a worker with other settings, silent; head comes before it. */
export async function worker(name, settings, head = "", code = read(`out/${name}.js`)) {
    if (code.match(settingsLine)?.length !== 1) {
        throw new Error(`${name} does not have its settings in one place`);
    }
    const changed = code.replace(settingsLine, () => `const settings = ${JSON.stringify(settings)};`);
    return (await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(`const console = { log() {} };\n${head}\n${changed}`)}`)).default;
}

/** The client that the platform has, kept from going through the proxies of whoever runs the tests. */
export const client = axios.create({ proxy: false });

/** Settings that work, but for the address. */
export const gateSettings = (url, changes = {}) => ({
    hallmark: url, instance: "", guarded: ["libs-release-local"], promoters: [], folders: "stop", waitMs: 0, secret: "hallmark-token", plainHTTP: true, ...changes,
});

/** What the platform hands to a worker: a real client, the secrets. */
export const context = (changes = {}) => ({
    clients: { axios: client },
    secrets: { get: name => ({ "hallmark-token": token })[name] },
    wait: ms => new Promise(done => setTimeout(done, ms)),
    getRemainingExecutionTime: () => 5000,
    ...changes,
});

/** A recorded request; change gets it and may alter it. */
export function request(name, change = () => {}) {
    const data = JSON.parse(read(`payloads/${name}.json`));
    change(data);
    return data;
}

/** The verdict on the recorded move or copy. */
export const verdict = (changes = {}) => ({
    allow: true, decided: true, artifact: "libs-staging-local/app/1.4.2/app.tgz", target: "libs-release-local/app/1.4.2/app.tgz",
    subject: "libs-staging-local/app/1.4.2/app.tgz", sha256: digest, reasons: [], signatures: [], policySet: digest, at: "2026-11-22T03:00:00Z", ...changes,
});

/**
 * Plays Hallmark: answer(response, body, request) answers every call, whose bodies are kept in asked. It ends with the test.
 */
export async function hallmark(t, answer) {
    const asked = [];
    const server = createServer((req, res) => {
        let body = "";
        req.on("data", part => (body += part));
        req.on("end", () => {
            asked.push({ method: req.method, url: req.url, headers: req.headers, body });
            answer(res, body, req);
        });
    });
    await new Promise(done => server.listen(0, "127.0.0.1", done));
    t.after(() => {
        server.closeAllConnections();
        return new Promise(done => server.close(done));
    });
    return { url: `http://127.0.0.1:${server.address().port}`, asked };
}

/** An answer with a JSON body. */
export const json = (body, status = 200) => res => {
    res.writeHead(status, { "Content-Type": status === 200 ? "application/json" : "application/problem+json" });
    res.end(JSON.stringify(body));
};
