-- SPDX-License-Identifier: Apache-2.0
-- The tables that the triggers of this folder stand on.
CREATE TABLE category (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE item (
    id integer PRIMARY KEY,
    name text NOT NULL,
    category_id integer REFERENCES category (id) ON DELETE CASCADE
);
