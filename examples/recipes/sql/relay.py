# SPDX-License-Identifier: Apache-2.0
"""Bumps what outbox.sql wrote down. Ends on any error: let it be started again; nothing is lost meanwhile."""
import os
import select
import uuid

import psycopg2
import redis

store = redis.Redis.from_url(os.environ["SHOP_REDIS"], socket_timeout=5)
db = psycopg2.connect(os.environ["SHOP_DB"], keepalives_idle=10)
with db, db.cursor() as cursor:
    cursor.execute("LISTEN etag_outbox")
while True:
    with db, db.cursor() as cursor:             # a transaction
        cursor.execute("DELETE FROM etag_outbox RETURNING model")
        models = {model for model, in cursor}
        if models:                              # before the rows are gone for good
            store.mset({f"model_version:{model}": uuid.uuid4().hex for model in models})
    if not db.notifies:
        select.select([db], [], [], 5)          # NOTIFY only wakes it: without one it looks every 5 seconds
        db.poll()
    db.notifies.clear()
