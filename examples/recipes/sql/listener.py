# SPDX-License-Identifier: Apache-2.0
"""Bumps what PostgreSQL notifies. Ends on any error: let it be started again (systemd: Restart=always)."""
import os
import select
import uuid

import psycopg2
import redis

PREFIX = "model_version:"
store = redis.Redis.from_url(os.environ["SHOP_REDIS"], socket_timeout=5)
db = psycopg2.connect(os.environ["SHOP_DB"], keepalives_idle=10)
db.autocommit = True
db.cursor().execute("LISTEN etag_version")

# First everything that has a version: nobody kept what was notified while this was not running.
changed = {key.decode()[len(PREFIX):] for key in store.scan_iter(f"{PREFIX}[^%]*", count=1000)}
while True:
    if changed:
        store.mset({PREFIX + model: uuid.uuid4().hex for model in changed})
        changed.clear()
    if not select.select([db], [], [], 30)[0]:
        db.cursor().execute("SELECT 1")         # a connection that died in silence shows itself
    db.poll()
    changed.update(note.payload for note in db.notifies)
    db.notifies.clear()
