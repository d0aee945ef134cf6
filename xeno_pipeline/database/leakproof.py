"""Comparisons that row-level security may hand to an index.

A condition is checked before a policy, as an index does, only where its operator is marked as leakproof: it tells
nothing of a value but its result. PostgreSQL marks those of equal types, but not those of a day with an instant
(`ordered_on >= now() - interval '7 days'`), nor those of amounts. Under a policy, these read all of a tenant's rows.
https://www.postgresql.org/docs/current/rules-privileges.html
"""

from __future__ import annotations

from itertools import permutations

from psycopg import sql

from xeno_pipeline.database.connection import Connection

_COMPARISONS = ("lt", "le", "eq", "ge", "gt", "ne")
_DAYS_AND_INSTANTS = ("date", "timestamp", "timestamptz")

# None of them raises an error that names a value: a day or instant out of the other's bounds compares as infinite
# since PostgreSQL 13, and numbers of any size compare.
_SIGNATURES = [
    *(f"numeric_{name}(numeric, numeric)" for name in _COMPARISONS),
    *(
        f"{left}_{name}_{right}({left}, {right})"
        for left, right in permutations(_DAYS_AND_INSTANTS, 2)
        for name in _COMPARISONS
    ),
]


def mark_leakproof(connection: Connection) -> None:
    """Mark the comparisons in this database, where its server lets the role: only a superuser may.

    A dump does not carry the marks, so whatever prepares logins for readers calls this.
    """
    missing = connection.execute(
        """
        select signature::text
        from unnest(%s::regprocedure[]) signature
        join pg_proc on pg_proc.oid = signature
        where not proleakproof and (select rolsuper from pg_roles where rolname = current_user)
        """,
        [_SIGNATURES],
    ).fetchall()
    for (signature,) in missing:
        connection.execute(sql.SQL("alter function {} leakproof").format(sql.SQL(signature)))
