/*
 * Hallmark's property shield as a JFrog Worker, for BEFORE_PROPERTY_CREATE and BEFORE_PROPERTY_DELETE (README.md says how
 * to deploy it).
 *
 * Nobody but Hallmark writes or deletes properties called hallmark.*, in whatever spelling. No gate believes these
 * properties; the shield keeps them true for the people who search with them. It asks nobody, so it is as fast as the
 * platform. The file stands alone: it imports nothing, and every name in it is its own, because the platform puts its
 * definitions around what is deployed.
 */

interface ShieldSettings {
    writers: string[];
}

const settings: ShieldSettings = {
    // The ids of the users with which Hallmark works (artifactory[].token and .promotionToken), exactly as the platform
    // reports them (a stop says which id it saw). While it is empty, Hallmark is stopped, too.
    writers: [],
};

interface ShieldAnswer {
    status: 1 | 2;
    message: string;
}

const PROCEED = 1;
const STOP = 2;

declare const console: { log(line: string): void };

export default async function (_context: unknown, data: unknown): Promise<ShieldAnswer> {
    const answer = decide(data);
    if (answer.status === STOP) {
        console.log(answer.message);
    }
    return answer;
}

function decide(data: unknown): ShieldAnswer {
    const request = fields(data);
    const name = request.name;
    if (typeof name !== "string" || name.trim() === "") {
        return { status: STOP, message: "Hallmark's property shield: the request does not name a property, so nothing is written or deleted" };
    }
    if (!reserved(name)) {
        return { status: PROCEED, message: "Hallmark's property shield: not one of Hallmark's properties" };
    }
    const user = fields(request.userContext).id;
    if (typeof user !== "string" || user === "") {
        return { status: STOP, message: `Hallmark's property shield: ${text(name)} is Hallmark's, and the request does not say who asks` };
    }
    if (!Array.isArray(settings.writers) || !settings.writers.includes(user)) {
        return {
            status: STOP,
            message: `Hallmark's property shield: only Hallmark writes and deletes hallmark.* properties, and user id ${text(user)} asked for ${text(name)}. ` +
                "Fix: none is needed to promote, as no gate reads properties; if this user is Hallmark, whoever deploys the worker must name it in writers",
        };
    }
    return { status: PROCEED, message: `Hallmark's property shield: ${text(user)} is Hallmark` };
}

/**
 * Whether a property's name is hallmark, or begins with hallmark., when read with good will: whatever the case, accents,
 * width or invisible characters, as databases take such names for equal; and behind a blank or a separator, in case
 * somebody takes the name apart later.
 */
function reserved(name: string): boolean {
    const plain = name.normalize("NFKD").replace(/[\p{M}\p{Cf}]/gu, "").toLowerCase();
    return plain.split(/[^\p{L}\p{N}._-]+/u).some(part => part === "hallmark" || part.startsWith("hallmark."));
}

function fields(value: unknown): Record<string, unknown> {
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** What others wrote, on one line of bounded length. */
function text(value: string): string {
    const s = value.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
    return s.length > 300 ? `${s.slice(0, 297)}...` : s;
}
