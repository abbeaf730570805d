/*
 * Runs one compiled worker once, as the platform would: node tests/run.js FILE, where FILE holds {worker, settings, secret,
 * data} as JSON. Prints the answer.
 */

import { readFileSync } from "node:fs";
import { context, worker } from "./rig.js";

const { worker: name, settings, secret, data } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const run = await worker(name, settings);
console.log(JSON.stringify(await run(context({ secrets: { get: () => secret } }), data)));
