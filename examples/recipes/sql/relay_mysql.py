# SPDX-License-Identifier: Apache-2.0
"""Bumps what outbox_mysql.sql wrote down. Ends on any error: let it be started again; nothing is lost meanwhile."""
import os
import time
import uuid

import pymysql
import redis

store = redis.Redis.from_url(os.environ["SHOP_REDIS"], socket_timeout=5)
db = pymysql.connect(unix_socket=os.environ["SHOP_DB"], user="root", database="shop", autocommit=True)
while True:
    with db.cursor() as cursor:
        cursor.execute("SELECT id, model FROM etag_outbox LIMIT 1000")
        rows = cursor.fetchall()
        if rows:                                # bump first: whoever dies in between does it twice
            store.mset({f"model_version:{model}": uuid.uuid4().hex for _, model in rows})
            cursor.execute("DELETE FROM etag_outbox WHERE id IN %s", [[number for number, _ in rows]])
    if not rows:
        time.sleep(0.2)
