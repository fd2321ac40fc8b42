// SPDX-License-Identifier: Apache-2.0
// A small shop with Express: shows when versions.js bumps. PORT, SHOP_REDIS (socket), SHOP_DB (socket of MariaDB).
"use strict";
const { promisify } = require("node:util");
const express = require("express");
const mysql = require("mysql");
const { createClient } = require("redis");

const redis = createClient({
    socket: { path: process.env.SHOP_REDIS, connectTimeout: 1000 }, disableOfflineQueue: true });
redis.on("error", error => console.error(`redis: ${error.message}`));
const { changed, transaction } = require("./versions.js")(redis);

const pool = mysql.createPool({ socketPath: process.env.SHOP_DB, user: "root", database: "shop", connectionLimit: 4 });

/** work(query) on one connection. */
async function connected(work) {
    const connection = await promisify(pool.getConnection).call(pool);
    try {
        return await work(promisify(connection.query).bind(connection));
    } finally {
        connection.release();
    }
}

const within = work => connected(query => transaction(query, work));
const safely = handler => (request, response, next) => handler(request, response).catch(next);

const app = express();
app.disable("etag");

app.get("/items", safely(async (request, response) => {
    response.json(await connected(query => query("SELECT id, name FROM item ORDER BY id")));
}));

app.get("/items/:id(\\d+)", safely(async (request, response) => {
    const [item] = await connected(query => query("SELECT id, name FROM item WHERE id = ?", [request.params.id]));
    response.status(item ? 200 : 404).json(item || null);
}));

app.post("/items", safely(async (request, response) => {
    const id = await within(async query => {
        const { insertId } = await query("INSERT INTO item (name) VALUES (?)", [request.query.name]);
        await changed("shop.Item", `shop.Item:${insertId}`);
        return insertId;
    });
    response.status(201).json({ id });           // after the bump: the next GET of this client sees it
}));

app.put("/items/:id(\\d+)", safely(async (request, response) => {
    const { id } = request.params;
    await connected(query => query("UPDATE item SET name = ? WHERE id = ?", [request.query.name, id]));
    await changed("shop.Item", `shop.Item:${id}`);
    response.json(null);
}));

app.delete("/items/:id(\\d+)", safely(async (request, response) => {
    const { id } = request.params;
    await connected(query => query("DELETE FROM item WHERE id = ?", [id]));
    await changed("shop.Item", `shop.Item:${id}`);
    response.json(null);
}));

app.post("/items/bulk", safely(async (request, response) => {
    await within(async query => {
        const rows = await query("SELECT id FROM item FOR UPDATE");
        await query("UPDATE item SET name = ?", [request.query.name]);
        await changed("shop.Item", ...rows.map(row => `shop.Item:${row.id}`));
    });
    response.json(null);
}));

const ignored = () => null;

app.post(["/items/rollback", "/items/savepoint"], safely(async (request, response) => {
    await within(async query => {
        await query("UPDATE item SET name = ? WHERE id = 1", [request.query.name]);
        await changed("shop.Item", "shop.Item:1");
        if (request.path.endsWith("rollback"))
            throw new Error("changed my mind");
        await transaction(query, async () => {
            await query("UPDATE item SET name = 'lost' WHERE id = 2");
            await changed("shop.Item:2");
            throw new Error("only the inner one");
        }).catch(ignored);
    }).catch(ignored);
    response.json(null);
}));

app.post("/items/order", safely(async (request, response) => {
    const token = () => redis.get("model_version:shop.Item");
    const seen = { before: await token() };
    await within(async query => {
        await query("UPDATE item SET name = ? WHERE id = 1", [request.query.name]);
        await changed("shop.Item", "shop.Item:1");
        seen.inside = await token();
    });
    response.json({ ...seen, after: await token() });
}));

(async () => {
    await redis.connect();
    await connected(query => query(
        "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY AUTO_INCREMENT, name TEXT NOT NULL) ENGINE=InnoDB"));
    app.listen(Number(process.env.PORT), "127.0.0.1");
})();
