# SPDX-License-Identifier: Apache-2.0
"""A small shop with FastAPI and SQLAlchemy: shows when versions.py bumps. SHOP_REDIS and SHOP_DB are files."""
import os

import redis
import versions
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import Column, Integer, String, create_engine, event, select, update
from sqlalchemy.orm import declarative_base, sessionmaker

store = redis.Redis(unix_socket_path=os.environ["SHOP_REDIS"], socket_timeout=1)
engine = create_engine(f"sqlite:///{os.environ['SHOP_DB']}", connect_args={"check_same_thread": False})
Sessions = sessionmaker(engine)
versions.install(store, Sessions)
Base = declarative_base()


@event.listens_for(engine, "connect")
def _leave_transactions_to_sqlalchemy(connection, _record):
    connection.isolation_level = None       # or else Python's sqlite3 has no savepoints


@event.listens_for(engine, "begin")
def _begin(connection):
    connection.exec_driver_sql("BEGIN")


class Item(Base):
    __tablename__ = "item"
    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False)


Base.metadata.create_all(engine)
app = FastAPI()


def shown(item):
    return {"id": item.id, "name": item.name}


@app.get("/items")
def items():
    with Sessions() as session:
        return [shown(item) for item in session.scalars(select(Item).order_by(Item.id))]


@app.get("/items/{number}")
def one(number: int):
    with Sessions() as session:
        item = session.get(Item, number)
        return shown(item) if item else JSONResponse(None, 404)


@app.post("/items", status_code=201)
def create(name: str):
    with Sessions.begin() as session:
        item = Item(name=name)
        session.add(item)
        session.flush()
        number = item.id
    return {"id": number}       # the commit, and with it the bump, came before the answer


@app.put("/items/{number}")
def save(number: int, name: str):
    with Sessions.begin() as session:
        session.get(Item, number).name = name


@app.delete("/items/{number}")
def delete(number: int):
    with Sessions.begin() as session:
        session.delete(session.get(Item, number))


@app.post("/items/bulk")
def bulk(name: str):
    with Sessions.begin() as session:
        numbers = session.scalars(select(Item.id)).all()
        session.execute(update(Item).values(name=name))     # bumps shop.Item by itself
        versions.changed(session, *(f"shop.Item:{number}" for number in numbers))


@app.post("/items/rollback")
def rollback(name: str):
    with Sessions() as session:
        session.get(Item, 1).name = name
        session.flush()
        session.rollback()


@app.post("/items/savepoint")
def savepoint(name: str):
    with Sessions.begin() as session:
        session.get(Item, 1).name = name
        session.flush()
        inner = session.begin_nested()
        session.get(Item, 2).name = "lost"
        session.flush()
        inner.rollback()


@app.post("/items/order")
def order(name: str):
    def token():
        return (store.get("model_version:shop.Item") or b"").decode()
    seen = {"before": token()}
    with Sessions.begin() as session:
        with session.begin_nested():
            session.get(Item, 1).name = name
        seen["inside"] = token()
    return {**seen, "after": token()}
