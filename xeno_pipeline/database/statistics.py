"""The planner's statistics, refreshed when they matter instead of whenever autovacuum runs."""

from __future__ import annotations

from psycopg import sql

from xeno_pipeline.database.connection import Database

_STALE = """
    select relname
    from pg_stat_user_tables
    where schemaname = %s and n_mod_since_analyze > 1000 and n_mod_since_analyze > 0.1 * n_live_tup
    """


def refresh_statistics(database: Database, schema: str) -> None:
    """Analyse the tables of a schema of which much has changed since they were last analysed.

    A store's first load is followed by its first transform within the second. With the statistics of an empty
    table, that would join everything with everything row by row.
    """
    with database.connect(autocommit=True) as connection:
        for (table,) in connection.execute(_STALE, [schema]).fetchall():
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier(schema, table)))
