/*
 * Hallmark's promotion gate as a JFrog Worker, for BEFORE_MOVE and BEFORE_COPY (README.md says how to deploy it).
 *
 * Whatever would enter a guarded repository is stopped unless Hallmark answers, in time and about just this artifact:
 * allow. Everything else is a stop: no answer, another answer, a request of a shape that is not known here, a mistake in
 * the settings. The file stands alone: it imports nothing, and every name in it is its own, because the platform puts its
 * definitions (enum ActionStatus and others) around what is deployed.
 */

interface GateSettings {
    hallmark: string;
    instance: string;
    guarded: string[];
    promoters: string[];
    folders: "stop" | "each-file";
    waitMs: number;
    secret: string;
    plainHTTP: boolean;
}

const settings: GateSettings = {
    // Where Hallmark listens: https://name or https://name:port, without a path.
    hallmark: "https://hallmark.example",
    // What Hallmark's configuration calls this Artifactory; "" if it knows only one.
    instance: "",
    // What nothing enters without Hallmark's yes. * stands for any characters. Virtual repositories through which one can
    // deploy into a guarded repository belong here, too.
    guarded: ["libs-release-local"],
    // Who passes without being asked about, because Hallmark has judged already: the ids of the users with which
    // "hallmark promote" works, exactly as the platform reports them (a stop says which id it saw).
    promoters: [],
    // "stop": no folder enters a guarded repository. "each-file": the folder itself passes, as you have seen that your
    // platform calls this worker for each file in it.
    folders: "stop",
    // For how many milliseconds Hallmark may put its answer off for a signature that is under way, so that nothing fails for
    // being promoted right after its upload. 0 for not at all; more than 2000 is not to be had.
    waitMs: 2000,
    // The worker's secret that holds the bearer token; its role in Hallmark is "gate".
    secret: "hallmark-token",
    // true lets the worker ask over http://, where whoever is on the way can answer in Hallmark's place.
    plainHTTP: false,
};

const PROCEED = 1;
const STOP = 2;
const WARN = 3;

/** The platform ends a worker after 5,000 ms, and what happens to the move then is not documented. */
const longestAsk = 4500;
/** Milliseconds of what the platform says is left that are kept for answering. */
const keptForAnswer = 400;

/** Milliseconds that are kept for judging, before and after a wait. */
const keptForJudging = 2500;

/** Bounds on what goes into a message. */
const mostReasons = 5;
const longestField = 300;
const longestMessage = 3000;

interface GateAnswer {
    status: 1 | 2 | 3;
    message: string;
}

/** What is used of PlatformContext. What is optional here may be missing in older versions. */
interface GateContext {
    clients: { axios: { post(url: string, body: unknown, options: object): Promise<unknown> } };
    secrets: { get(name: string): string };
    wait?(ms: number): Promise<void>;
    getRemainingExecutionTime?(): number;
}

interface GatePlace {
    repository: string;
    path: string;
    folder: boolean;
}

interface GateQuestion {
    artifact: string;
    target: string;
    instance?: string;
    wait?: string;
}

type Fields = Record<string, unknown>;

declare const console: { log(line: string): void };
declare const setTimeout: ((then: () => void, ms: number) => unknown) | undefined;
declare const clearTimeout: ((timer: unknown) => void) | undefined;

/** Thrown where there is nothing left to decide; its message is the answer's. */
class Stopped extends Error {}

export default async function (context: GateContext, data: unknown): Promise<GateAnswer> {
    let answer: GateAnswer;
    try {
        answer = await decide(context, data);
    } catch (e) {
        const why = e instanceof Stopped ? e.message : `Hallmark's gate failed and stays closed: ${text(fields(e).message)}`;
        answer = { status: STOP, message: cut(why, longestMessage) };
    }
    if (answer.status !== PROCEED) {
        console.log(answer.message);
    }
    return answer;
}

async function decide(context: GateContext, data: unknown): Promise<GateAnswer> {
    checkSettings();
    const request = fields(data);
    const target = place("targetRepoPath", request.targetRepoPath);
    if (!guarded(target.repository)) {
        return { status: PROCEED, message: `Hallmark's gate does not guard ${target.repository}` };
    }
    const source = place("metadata.repoPath", fields(request.metadata).repoPath);
    const user = fields(request.userContext).id;
    if (typeof user !== "string" || user === "") {
        throw new Stopped("Hallmark's gate: the request does not say who moves or copies; userContext.id is missing");
    }
    if (settings.promoters.includes(user)) {
        return { status: PROCEED, message: `Hallmark's gate lets ${text(user)} pass, who promotes what Hallmark has judged` };
    }
    if (source.folder) {
        return folder(source, target, user);
    }
    if (source.path === "") {
        throw new Stopped(`Hallmark's gate: the request names no file in ${source.repository}`);
    }
    const question = questionOf(source, target);
    return judge(question, user, await ask(context, question));
}

/** The settings are part of the code, so a mistake in them closes the gate for everything, guarded or not. */
function checkSettings(): void {
    const wrong = (what: string) => new Stopped(`Hallmark's gate is not set up: ${what}. Whoever deploys the worker must mend its settings`);
    const names = (list: unknown) => Array.isArray(list) && list.every(s => typeof s === "string" && s.trim() !== "");
    if (typeof settings.hallmark !== "string" || !/^https?:\/\/[^/?#@\s]+\/?$/i.test(settings.hallmark)) {
        throw wrong("hallmark must be https://name or https://name:port");
    }
    if (!/^https:/i.test(settings.hallmark) && settings.plainHTTP !== true) {
        throw wrong("hallmark must begin with https://, or plainHTTP be true");
    }
    if (!names(settings.guarded) || settings.guarded.length === 0) {
        throw wrong("guarded must name at least one repository");
    }
    if (!names(settings.promoters)) {
        throw wrong("promoters must be a list of user ids");
    }
    if (settings.folders !== "stop" && settings.folders !== "each-file") {
        throw wrong('folders must be "stop" or "each-file"');
    }
    if (!Number.isInteger(settings.waitMs) || settings.waitMs < 0) {
        throw wrong("waitMs must be a number of milliseconds, or 0");
    }
    if (typeof settings.secret !== "string" || settings.secret === "" || typeof settings.instance !== "string") {
        throw wrong("secret and instance must be names");
    }
}

function place(name: string, value: unknown): GatePlace {
    const p = fields(value);
    if (typeof p.key !== "string" || p.key === "" || typeof p.path !== "string" || typeof p.isFolder !== "boolean") {
        throw new Stopped(`Hallmark's gate: the request has no usable ${name} (key, path, isFolder)`);
    }
    return { repository: p.key, path: p.path, folder: p.isFolder || p.isRoot === true };
}

/** Upper and lower case are taken for the same, so that no spelling is unguarded. */
function guarded(repository: string): boolean {
    const plain = (s: string) => s.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
    return settings.guarded.some(pattern => new RegExp(`^${pattern.trim().split("*").map(plain).join(".*")}$`, "is").test(repository.trim()));
}

function folder(source: GatePlace, target: GatePlace, user: string): GateAnswer {
    const name = text(`${source.repository}/${source.path}`);
    if (settings.folders === "each-file") {
        return { status: PROCEED, message: `Hallmark's gate judges the files in ${name} one by one` };
    }
    throw new Stopped(
        `Hallmark's gate: ${name} is a folder, and whole folders may not enter ${target.repository}, as each file must be judged. ` +
            `Fix: hallmark promote ${name}/ --target ${target.repository} --confirm, or move or copy the files one by one. ` +
            `Asked by user id ${text(user)}`,
    );
}

/** A file that is put into a folder keeps its name. */
function questionOf(source: GatePlace, target: GatePlace): GateQuestion {
    const name = source.path.slice(source.path.lastIndexOf("/") + 1);
    const path = target.folder || target.path === "" ? [target.path, name].filter(s => s !== "").join("/") : target.path;
    const question: GateQuestion = { artifact: `${source.repository}/${source.path}`, target: `${target.repository}/${path}` };
    if (settings.instance !== "") {
        question.instance = settings.instance;
    }
    return question;
}

/** Returns the body of an answer with status 200; anything else is a stop. */
async function ask(context: GateContext, question: GateQuestion): Promise<unknown> {
    const ms = timeLeft(context);
    if (ms <= 0) {
        throw new Stopped("Hallmark's gate: the platform left no time to ask Hallmark; try again");
    }
    const token = bearer(context);
    const wait = Math.min(settings.waitMs, ms - keptForJudging);
    const body: GateQuestion = wait > 0 ? { ...question, wait: `${wait}ms` } : question;
    // Plain data only, as a sandbox may not carry functions and signals over to the real client.
    const options = {
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", Accept: "application/json" },
        timeout: ms,
        maxRedirects: 0,
        maxContentLength: 1 << 20,
    };
    const late = alarm(context, ms);
    let response: Fields;
    try {
        const sent = context.clients.axios.post(`${settings.hallmark.replace(/\/$/, "")}/v1/gate/check`, body, options);
        response = fields(await Promise.race([sent, late.rings]));
    } catch (e) {
        if (e instanceof Stopped) {
            throw e;
        }
        response = fields(fields(e).response);
        if (typeof response.status !== "number") {
            const why = text(fields(e).message).split(token).join("(token)");
            throw new Stopped(`Hallmark's gate could not ask Hallmark at ${settings.hallmark}, so ${text(question.artifact)} stays out: ${why}. ` +
                "Nothing is known against it; try again, or tell who runs Hallmark");
        }
    } finally {
        late.off();
    }
    if (response.status !== 200) {
        throw new Stopped(refusedCall(question, response));
    }
    return parsed(response.data);
}

/** Milliseconds that asking may take. */
function timeLeft(context: GateContext): number {
    let left = NaN;
    try {
        left = typeof context.getRemainingExecutionTime === "function" ? Number(context.getRemainingExecutionTime()) : NaN;
    } catch {
        // Not known then.
    }
    return Math.floor(Number.isFinite(left) ? Math.min(longestAsk, left - keptForAnswer) : longestAsk);
}

function bearer(context: GateContext): string {
    let token: unknown;
    try {
        token = context.secrets.get(settings.secret);
    } catch {
        // The same as none.
    }
    if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token.trim())) {
        throw new Stopped(`Hallmark's gate is not set up: the worker has no usable secret ${settings.secret}. ` +
            `Fix: jf worker add-secret ${settings.secret}, then jf worker deploy`);
    }
    return token.trim();
}

/**
 * Rings when the time is over, by whichever clock the platform has. The client's own time-out is about a silent
 * connection; this one is about the whole.
 */
function alarm(context: GateContext, ms: number): { rings: Promise<never>; off(): void } {
    let timer: unknown;
    const rings = new Promise<never>((_, reject) => {
        const ring = () => reject(new Stopped(`Hallmark's gate: no answer from Hallmark at ${settings.hallmark} within ${ms} ms, ` +
            "so nothing passes. Nothing is known against the artifact; try again, or tell who runs Hallmark"));
        if (typeof setTimeout === "function") {
            timer = setTimeout(ring, ms);
        } else if (typeof context.wait === "function") {
            context.wait(ms).then(ring, ring);
        }
    });
    rings.catch(() => undefined); // it may ring after the race
    return {
        rings,
        off: () => {
            if (timer !== undefined && typeof clearTimeout === "function") {
                clearTimeout(timer);
            }
        },
    };
}

/** The client has parsed JSON unless it was told not to. */
function parsed(body: unknown): unknown {
    if (typeof body !== "string") {
        return body;
    }
    try {
        return JSON.parse(body);
    } catch {
        return undefined;
    }
}

/** Turns a problem detail (RFC 9457) into words; of anything else the status alone. */
function refusedCall(question: GateQuestion, response: Fields): string {
    const problem = fields(parsed(response.data));
    const detail = typeof problem.detail === "string" ? `: ${text(problem.detail)}` : "";
    const hints: Record<number, string> = {
        401: ` Fix: put a token that Hallmark knows into the worker's secret ${settings.secret}.`,
        403: " Fix: give the worker's token the role gate in Hallmark's configuration.",
    };
    return `Hallmark's gate: Hallmark answered ${text(response.status)}${detail}, so ${text(question.artifact)} stays out of ${text(question.target)}.` +
        (hints[Number(response.status)] ?? "") + reasons(problem.reasons);
}

/** The verdict, believed only if it is whole, says nothing else beside its yes, and is about what was asked. */
function judge(question: GateQuestion, user: string, body: unknown): GateAnswer {
    const v = fields(body);
    const about = `${text(question.artifact)} may not enter ${text(question.target)}`;
    if (typeof v.allow !== "boolean" || typeof v.decided !== "boolean" || !Array.isArray(v.reasons)) {
        throw new Stopped(`Hallmark's gate: what answers at ${settings.hallmark} is not a verdict, so ${about}. Is it Hallmark?`);
    }
    if (!v.allow || !v.decided || v.reasons.length > 0) {
        const head = v.decided ? `Hallmark's gate: ${about}.` : `Hallmark's gate could not decide, so ${about}.`;
        throw new Stopped(`${head} Asked by user id ${text(user)}.${reasons(v.reasons) || " No reason was given."}`);
    }
    if (v.artifact !== question.artifact || v.target !== question.target) {
        throw new Stopped(`Hallmark's gate: the answer is about ${text(v.artifact)} entering ${text(v.target)}, so ${about}`);
    }
    if (typeof v.sha256 !== "string" || !/^[0-9a-f]{64}$/.test(v.sha256)) {
        throw new Stopped(`Hallmark's gate: the answer does not say which bytes were judged, so ${about}`);
    }
    const yes = `Hallmark's gate: ${text(question.artifact)} (sha256 ${v.sha256}) may enter ${text(question.target)}`;
    if (v.warnings === undefined || v.warnings === null || (Array.isArray(v.warnings) && v.warnings.length === 0)) {
        return { status: PROCEED, message: yes };
    }
    if (!Array.isArray(v.warnings)) {
        throw new Stopped(`Hallmark's gate: the answer's warnings are not a list, so ${about}`);
    }
    return { status: WARN, message: cut(`${yes}, with warnings.${reasons(v.warnings)}`, longestMessage) };
}

/** Reasons as Hallmark words them, on one line, with nothing but a blank behind a command. Empty, or begins with a blank. */
function reasons(list: unknown): string {
    if (!Array.isArray(list)) {
        return "";
    }
    const out = list.slice(0, mostReasons).map(item => {
        const r = fields(item);
        const would = r.would === `with ${text(r.expected)}` ? undefined : r.would; // once is enough
        const parts: [string, unknown][] = [["found: ", r.found], ["expected: ", r.expected], ["would pass ", would], ["fix: ", r.fix], ["who: ", r.who], ["rule: ", r.rule]];
        const said = parts.filter(([, value]) => typeof value === "string" && value !== "").map(([name, value]) => ` | ${name}${text(value)}`);
        return ` [${text(r.code)}] ${text(r.message)}${said.join("")}`;
    });
    return out.join("") + (list.length > mostReasons ? ` And ${list.length - mostReasons} more.` : "");
}

/** An object's fields; none for anything else. */
function fields(value: unknown): Fields {
    return typeof value === "object" && value !== null ? (value as Fields) : {};
}

/** What others wrote, on one line of bounded length. */
function text(value: unknown): string {
    const s = typeof value === "string" ? value : typeof value === "number" ? String(value) : "(not given)";
    return cut(s.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim(), longestField);
}

function cut(s: string, length: number): string {
    return s.length > length ? `${s.slice(0, length - 3)}...` : s;
}
