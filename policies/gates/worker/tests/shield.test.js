/* Whose properties hallmark.* are. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PROCEED, STOP, request, worker } from "./rig.js";

const own = { writers: ["hallmark", "jfac@01h/users/hallmark-promoter"] };
const events = ["property-create", "property-delete"];
const ask = async (event, change, settings = own) => (await worker("shield", settings))({}, request(event, change));
const call = (name, id) => d => {
    d.name = name;
    d.userContext.id = id;
};

for (const event of events) {
    describe(event, () => {
        for (const name of [
            "hallmark.state", "hallmark.sha256", "hallmark.reason", "hallmark.anything.new", "hallmark.", "hallmark",
            "Hallmark.State", "HALLMARK.STATE", "hallMark.state",
            " hallmark.state", "hallmark.state ", "\thallmark.state\n", "\u00a0hallmark.state", "\u3000hallmark.state", "\u0000hallmark.state",
            "\u200bhallmark.state", "hall\u00admark.state", "hallmark\u200d.state", "\ufeffhallmark.state", "\u202ehallmark.state",
            "hällmark.state", "ha\u0301llmark.state", "\uff28allmark.state", "hallmark\uff0estate", "hallmar\u212a.state", "𝐡𝐚𝐥𝐥𝐦𝐚𝐫𝐤.state",
            "x;hallmark.state", "x,hallmark.state", "x=1|hallmark.state", "x hallmark.state", "x/hallmark.state", "hallmark=x", "hallmark;x",
        ]) {
            it(`${JSON.stringify(name)} is Hallmark's alone`, async () => {
                const no = await ask(event, call(name, "mallory"));
                assert.equal(no.status, STOP, no.message);
                assert.match(no.message, /user id mallory/);
                assert.doesNotMatch(no.message, /\p{C}/u);
                for (const id of own.writers) {
                    assert.equal((await ask(event, call(name, id))).status, PROCEED);
                }
            });
        }

        for (const name of ["build.name", "hallmarks.state", "hallmark-state", "hallmark_state", "x.hallmark.state", "myhallmark.state", "hall.mark", "state", "h"]) {
            it(`${name} is anybody's`, async () => {
                assert.equal((await ask(event, call(name, "mallory"))).status, PROCEED);
            });
        }

        for (const id of ["Hallmark", "hallmark ", "hallmark2", "jfac@01h/users/hallmark", "hallmark-promoter", "*"]) {
            it(`${JSON.stringify(id)} is not Hallmark`, async () => {
                assert.equal((await ask(event, call("hallmark.state", id))).status, STOP);
            });
        }

        for (const [what, change] of [
            ["no user", d => delete d.userContext],
            ["user without id", d => delete d.userContext.id],
            ["user with empty id", d => (d.userContext.id = "")],
            ["user id a number", d => (d.userContext.id = 7)],
            ["user a list", d => (d.userContext = ["hallmark"])],
        ]) {
            it(`${what}: not Hallmark's properties, but others`, async () => {
                const settings = { writers: ["", undefined, null, 7, "hallmark"] };
                assert.equal((await ask(event, change, settings)).status, STOP);
                const other = d => {
                    change(d);
                    d.name = "build.name";
                };
                assert.equal((await ask(event, other, settings)).status, PROCEED);
            });
        }

        for (const [what, change] of [
            ["no name", d => delete d.name],
            ["empty name", d => (d.name = "")],
            ["blank name", d => (d.name = " \t")],
            ["name a list", d => (d.name = ["build.name"])],
            ["name null", d => (d.name = null)],
        ]) {
            it(`${what}: stopped for everybody`, async () => {
                for (const id of ["mallory", "hallmark"]) {
                    const both = d => {
                        d.userContext.id = id;
                        change(d);
                    };
                    assert.equal((await ask(event, both)).status, STOP);
                }
            });
        }
    });
}

it("a request that is none is stopped", async () => {
    const shield = await worker("shield", own);
    for (const data of [undefined, null, "hallmark.state", 7, [], {}]) {
        assert.equal((await shield(undefined, data)).status, STOP);
    }
});

it("while nobody is named, nobody writes; whatever was written instead of a list", async () => {
    for (const writers of [[], undefined, null, "hallmark", { includes: 1 }]) {
        assert.equal((await ask("property-create", call("hallmark.state", "hallmark"), { writers })).status, STOP);
        assert.equal((await ask("property-create", call("build.name", "mallory"), { writers })).status, PROCEED);
    }
});
