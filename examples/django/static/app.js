// SPDX-License-Identifier: Apache-2.0
// Loads what pages name in data-url. The browser revalidates by itself: a 304 looks like a 200 here.
"use strict";

async function load(element) {
    const answer = await fetch(element.dataset.url, {headers: {Accept: "application/json"}});
    if (!answer.ok) throw new Error(`${element.dataset.url}: ${answer.status}`);
    return answer.json();
}

async function showSpectra(table) {
    const status = document.getElementById("status");
    const rows = await load(table);
    const body = table.tBodies[0];
    for (const row of rows.slice(0, 40)) {
        const line = body.insertRow();
        for (const text of [row.name, row.subtype, row.peak]) line.insertCell().textContent = text;
    }
    status.textContent = `${rows.length} spectra`;
    status.dataset.state = "ready";
}

async function showLineage(place) {
    const {ancestors, lineage} = await load(place);
    const children = lineage.children.map(child => child.name).join(", ") || "none";
    place.textContent = `Ancestors: ${ancestors.join(", ") || "none"}. Children: ${children}.`;
    place.dataset.state = "ready";
}

const table = document.getElementById("spectra");
const lineage = document.getElementById("lineage");
if (table) showSpectra(table);
if (lineage) showLineage(lineage);
