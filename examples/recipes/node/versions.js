// SPDX-License-Identifier: Apache-2.0
"use strict";
const { AsyncLocalStorage } = require("node:async_hooks");
const { randomUUID } = require("node:crypto");

const current = new AsyncLocalStorage();      // what the transaction around this call has changed

/** `redis` is a connected client of the package `redis`. */
module.exports = redis => {
    async function bump(models) {
        const tokens = [...models].map(model => [`model_version:${model}`, randomUUID()]);
        if (tokens.length)
            await redis.mSet(tokens);
    }

    /** To be called beside each change; without a transaction it bumps at once. */
    async function changed(...models) {
        const pending = current.getStore();
        if (pending)
            models.forEach(model => pending.add(model));
        else
            await bump(models);
    }

    /** work(query) between BEGIN and COMMIT; one bump of everything, after the outermost COMMIT. */
    async function transaction(query, work) {
        const outer = current.getStore();
        const own = new Set();
        const point = outer && `p${randomUUID().replaceAll("-", "")}`;
        await query(outer ? `SAVEPOINT ${point}` : "START TRANSACTION");
        let result;
        try {
            result = await current.run(own, () => work(query));
            await query(outer ? `RELEASE SAVEPOINT ${point}` : "COMMIT");
        } catch (error) {
            await query(outer ? `ROLLBACK TO SAVEPOINT ${point}` : "ROLLBACK");
            throw error;
        }
        if (outer)
            own.forEach(model => outer.add(model));
        else
            await bump(own);
        return result;
    }

    return { changed, transaction };
};
