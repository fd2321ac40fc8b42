# SPDX-License-Identifier: Apache-2.0
"""Bumps what the sessions of SQLAlchemy change, once for each transaction, after its commit."""
import uuid

from sqlalchemy import event
from sqlalchemy.orm import Session

KEY = "etag_version.changed"


def names(thing):
    """The models of an object: its kind, for lists, and itself."""
    kind = f"shop.{type(thing).__name__}"
    return kind, f"{kind}:{thing.id}"


def changed(session, *models):
    """For what no event tells of: text(), statements of the Core, bulk_*_mappings()."""
    session.info.setdefault(KEY, set()).update(models)


def install(redis, sessions=Session):
    """`sessions`: a class of sessions or a sessionmaker."""

    @event.listens_for(sessions, "after_flush")
    def _after_flush(session, _context):
        for thing in [*session.new, *session.deleted, *filter(session.is_modified, session.dirty)]:
            changed(session, *names(thing))

    @event.listens_for(sessions, "do_orm_execute")
    def _bulk(state):
        if not state.is_select and state.bind_mapper is not None:      # update(Item), delete(Item)
            changed(state.session, f"shop.{state.bind_mapper.class_.__name__}")

    @event.listens_for(sessions, "after_commit")
    def _after_commit(session):
        models = session.info.get(KEY)
        if models and not session.in_nested_transaction():      # the end of a savepoint is no commit
            redis.mset({f"model_version:{model}": uuid.uuid4().hex for model in models})
            models.clear()

    @event.listens_for(sessions, "after_transaction_end")
    def _after_end(session, transaction):
        if transaction.parent is None:      # after a rollback; a savepoint's keeps what is outside of it
            session.info.pop(KEY, None)
