"""Keys, and connections that they unlock, for tests of what asks the marts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from tests.support.isolated_marts import Marts
from xeno_pipeline.access.grants import make_key
from xeno_pipeline.access.scopes import Scope
from xeno_pipeline.access.serving import ServingPool
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.serving import SERVING, prepare_serving

_NUMBERS = count(1)


def serving_login(database: Database) -> Database:
    """A database of the tests' server as the login `xeno_serving` sees it; prepared for that."""
    prepare_serving(database)
    user = database.url.partition("//")[2].partition("@")[0]
    return Database(database.url.replace(f"//{user}@", f"//{SERVING}@"))


@contextmanager
def serving_pool(database: Database, *, connections: int = 4) -> Iterator[ServingPool]:
    """A pool of that login, for the length of a `with`."""
    pool = ServingPool(serving_login(database).url, connections=connections)
    try:
        yield pool
    finally:
        pool.close()


def key_for(database: Database, stores: Sequence[str] | None, *scopes: Scope) -> str:
    """The secret of a new key; it may read, and what the scopes say."""
    with database.connect() as connection:
        return make_key(connection, f"key-{next(_NUMBERS)}", stores, (Scope.READ, *scopes))


def key_of(marts: Marts, stores: Sequence[str] | None, *scopes: Scope) -> str:
    """The same for the marts of isolation tests."""
    return key_for(marts.owner, stores, *scopes)
