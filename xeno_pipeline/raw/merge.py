"""The SQL that merges staged rows into the raw tables, generated from the tables' declarations.

Its temporary tables: `staged_<table>` holds the staged rows, `changed_roots` the ids of root rows that the merge
changed, `seen` those in a complete read, `refused` those to be set aside. The caller binds `%(tenant)s` and
`%(read_at)s`.
"""

from __future__ import annotations

from collections.abc import Iterable

from xeno_pipeline.raw.tables import SHOPS, RawTable

CREATE_CHANGED_ROOTS = "create temporary table changed_roots (id bigint not null) on commit drop"


def create_seen(root: RawTable) -> str:
    """Keep the ids of the staged roots before any of them is deleted: all that a read has seen exists, however old."""
    return f"create temporary table seen on commit drop as select distinct id from staged_{root.name}"


CREATE_REFUSED = """
    create temporary table refused on commit drop as
    select * from unnest(
        %(ids)s::bigint[], %(gids)s::text[], %(reasons)s::text[], %(updated_at)s::timestamptz[],
        %(created_at)s::timestamptz[], %(customer_ids)s::bigint[]
    ) as refused (id, gid, reason, updated_at, created_at, customer_id)
    """


def describe_refused(root: RawTable, rows: str) -> str:
    """Complete refused roots by what their copied rows say.

    Args:
        root: their table.
        rows: the table that they were copied into.
    """
    customer = "rows.customer_id" if "customer_id" in root.columns else "null"
    return f"""
        update refused
        set updated_at = coalesce(refused.updated_at, rows.updated_at),
            created_at = coalesce(refused.created_at, rows.created_at),
            customer_id = coalesce(refused.customer_id, {customer})
        from {rows} rows
        where rows.tenant_id = %(tenant)s and rows.id = refused.id
        """


def add_refused_to_seen() -> str:
    """Count refused roots as seen."""
    return "insert into seen select id from refused except select id from seen"


def delete_refused(rows: str) -> str:
    """Delete copied roots that are refused."""
    return f"delete from {rows} rows using refused where rows.tenant_id = %(tenant)s and rows.id = refused.id"


def insert_set_aside(root: RawTable) -> str:
    """Record refused roots as set aside, except those that raw holds in a newer version by now."""
    return f"""
        insert into ops.set_aside as known
            (tenant_id, object, object_id, gid, reason, first_seen_at, last_seen_at,
            updated_at, created_at, customer_id)
        select %(tenant)s, '{root.name}', id, gid, reason, %(read_at)s, %(read_at)s, updated_at, created_at, customer_id
        from refused
        where not exists (
            select from raw.{root.name} held
            where held.tenant_id = %(tenant)s and held.id = refused.id and held.updated_at > refused.updated_at
        )
        on conflict (tenant_id, object, object_id) do update
        set reason = excluded.reason, last_seen_at = excluded.last_seen_at, updated_at = excluded.updated_at,
            created_at = excluded.created_at, customer_id = excluded.customer_id
        where known.last_seen_at <= excluded.last_seen_at
        """


INSERT_UNIDENTIFIED = """
    insert into ops.set_aside as known
        (tenant_id, object, object_id, gid, reason, records, first_seen_at, last_seen_at)
    values (%(tenant)s, %(object)s, 0, '', %(reason)s, %(records)s, %(read_at)s, %(read_at)s)
    on conflict (tenant_id, object, object_id) do update
    set reason = excluded.reason, records = excluded.records, last_seen_at = excluded.last_seen_at
    where known.last_seen_at <= excluded.last_seen_at
    """


def clear_read(root: RawTable, rows: str) -> str:
    """Clear from the list of objects set aside what was copied and so fits, unless a later read refused it."""
    return f"""
        delete from ops.set_aside aside
        where tenant_id = %(tenant)s and object = '{root.name}' and last_seen_at <= %(read_at)s
        and exists (select from {rows} rows where rows.tenant_id = %(tenant)s and rows.id = aside.object_id)
        """


def clear_missing(root: RawTable) -> str:
    """Clear from the list of objects set aside what a complete read has not seen (see `count_missing`)."""
    return f"""
        delete from ops.set_aside old
        where tenant_id = %(tenant)s and object = '{root.name}' and last_seen_at <= %(read_at)s and object_id <> 0
        and (
            (created_at is null and %(visible_until)s::timestamptz is null)
            or (
                (%(visible_since)s::timestamptz is null or created_at >= %(visible_since)s)
                and (%(visible_until)s::timestamptz is null or created_at < %(visible_until)s)
            )
        )
        and not exists (select from seen where seen.id = object_id)
        """


CLEAR_UNIDENTIFIED = """
    delete from ops.set_aside
    where tenant_id = %(tenant)s and object = %(object)s and object_id = 0 and last_seen_at <= %(read_at)s
    """


def delete_parentless(table: RawTable) -> str:
    """Delete the rows in raw without a parent."""
    assert table.parent is not None
    return f"""
        delete from raw.{table.name} child
        where tenant_id = %(tenant)s and not exists (
            select from raw.{table.parent.name} parent
            where parent.tenant_id = %(tenant)s and parent.id = child.{table.parent_column}
        )
        """


def owners(table: RawTable, rows: str) -> str:
    """The roots of copied rows that have children and are children of roots: id and root's id of each of `%(ids)s`."""
    assert table.parent is not None
    return f"select id, {table.parent_column} from {rows} where tenant_id = %(tenant)s and id = any(%(ids)s)"


def create_staged(table: RawTable) -> str:
    """The temporary table for the staged rows of a table."""
    return f"create temporary table staged_{table.name} (like raw.{table.name} including defaults) on commit drop"


def drop_temporary(tables: Iterable[RawTable]) -> str:
    """Drop the temporary tables of a merge."""
    return "drop table changed_roots, " + ", ".join(f"staged_{table.name}" for table in tables)


def delete_repeated(table: RawTable) -> str:
    """Delete all but one staged row of each id: the newest, and of equally new ones the last that came."""
    newness = "updated_at, ctid" if table.parent is None else "ctid"
    return f"""
        delete from staged_{table.name} earlier
        using staged_{table.name} later
        where earlier.id = later.id and ({_of("earlier", newness.split(", "))}) < ({_of("later", newness.split(", "))})
        """


def delete_stale(root: RawTable) -> str:
    """Delete staged roots that are older than those in raw."""
    return f"""
        delete from staged_{root.name} staged
        using raw.{root.name} old
        where old.tenant_id = %(tenant)s and old.id = staged.id and old.updated_at > staged.updated_at
        """


def delete_staged_parentless(table: RawTable) -> str:
    """Delete staged children whose parent is not staged."""
    assert table.parent is not None
    return f"""
        delete from staged_{table.name} staged
        where not exists (
            select from staged_{table.parent.name} parent where parent.id = staged.{table.parent_column}
        )
        """


def upsert(table: RawTable) -> str:
    """Insert staged rows that are new, and update those whose content differs.

    Returns one row: how many were inserted, how many updated. A tombstone is lifted where the object was read
    after it was set.
    """
    columns = table.copied_columns
    names = ", ".join(columns)
    assignments = [f"{name} = excluded.{name}" for name in columns if name not in ("tenant_id", "id")]
    # Of a shop, Shopify does not say when it changed: its row has the time at which it was read.
    ignored = ("tenant_id", "id", *(("updated_at",) if table is SHOPS else ()))
    compared = [name for name in columns if name not in ignored]
    differs = f"({_of('old', compared)}) is distinct from ({_of('excluded', compared)})"
    if table.parent is None:
        assignments.append("deleted_at = case when old.deleted_at < %(read_at)s then null else old.deleted_at end")
        differs += " or old.deleted_at < %(read_at)s"
    return f"""
        with loaded as (
            insert into raw.{table.name} as old ({names})
            select {names} from staged_{table.name}
            on conflict (tenant_id, id) do update set {", ".join(assignments)}, loaded_at = now()
            where {differs}
            returning (xmax = 0) as is_new, {_root_id(table, "old")} as root_id
        ),
        noted as (insert into changed_roots select distinct root_id from loaded where root_id is not null)
        select count(*) filter (where is_new), count(*) filter (where not is_new) from loaded
        """


def delete_missing(table: RawTable) -> str:
    """Delete children that a staged root no longer has. Returns one row: how many were deleted."""
    assert table.parent is not None
    sources: list[str] = []
    conditions: list[str] = []
    child, ancestor = "old", table
    while ancestor.parent is not None:
        parent = "root" if ancestor.parent.parent is None else f"parent_{len(sources)}"
        if ancestor.parent.parent is None:
            sources.append(f"staged_{ancestor.parent.name} {parent}")
        else:
            sources.append(f"raw.{ancestor.parent.name} {parent}")
            conditions.append(f"{parent}.tenant_id = %(tenant)s")
        conditions.append(f"{parent}.id = {child}.{ancestor.parent_column}")
        child, ancestor = parent, ancestor.parent
    return f"""
        with deleted as (
            delete from raw.{table.name} old
            using {", ".join(sources)}
            where old.tenant_id = %(tenant)s and {" and ".join(conditions)}
            and not exists (select from staged_{table.name} staged where staged.id = old.id)
            returning root.id as root_id
        ),
        noted as (insert into changed_roots select distinct root_id from deleted)
        select count(*) from deleted
        """


def missing(root: RawTable) -> str:
    """The ids of live roots that a complete read has not `seen`."""
    return f"""
        select id from raw.{root.name} old
        where old.tenant_id = %(tenant)s and old.deleted_at is null and {_MISSING}
        """


def count_missing(root: RawTable) -> str:
    """How many live roots a complete read has not `seen`, and how many live ones there are.

    Not in one pass with `filter`: there, what is not seen is no join, but looked for in all of `seen` for each root.
    """
    return f"""
        select
            (select count(*) from ({missing(root)}) missing),
            (select count(*) from raw.{root.name} where tenant_id = %(tenant)s and deleted_at is null)
        """


def tombstone_missing(root: RawTable) -> str:
    """Mark live roots that a complete read has not `seen` as deleted. Returns one row: how many."""
    return f"""
        with deleted as (
            update raw.{root.name} old set deleted_at = %(read_at)s{_redaction_on_delete(root)}
            where old.tenant_id = %(tenant)s and old.deleted_at is null and {_MISSING}
            returning old.id
        ),
        noted as (insert into changed_roots select id from deleted)
        select count(*) from deleted
        """


def tombstone(root: RawTable) -> str:
    """Mark the live roots of `%(ids)s` as deleted at `%(now)s`. Returns a row for each: its id."""
    return f"""
        update raw.{root.name} old set deleted_at = %(now)s{_redaction_on_delete(root)}
        where tenant_id = %(tenant)s and id = any(%(ids)s) and deleted_at is null
        returning id
        """


def redact(root: RawTable) -> str:
    """Empty the personal data of the roots that belong to `%(customer)s` or are among `%(ids)s`.

    A suppressed object is loaded with the same columns empty. Returns a row for each that held personal data: its id.
    """
    return f"""
        update raw.{root.name} old set {_redacted_columns(root)}, loaded_at = now()
        where tenant_id = %(tenant)s and ({root.pii.owner} = %(customer)s or id = any(%(ids)s))
        and exists (select from {_pii_fields(root)} where payload -> field <> 'null')
        returning id
        """


def _redaction_on_delete(root: RawTable) -> str:
    """Further assignments for a deleted object: of a deleted customer, no personal data is kept.

    A customer may have been merged into another before a redaction, which would not reach the deleted one.
    """
    return f", {_redacted_columns(root)}" if root.pii.owner == "id" else ""


def _redacted_columns(root: RawTable) -> str:
    columns = [f"{column} = null" for column in root.pii.columns]
    fields = f"select jsonb_object_agg(field, null) from {_pii_fields(root)} where old.payload ? field"
    return ", ".join([*columns, f"payload = payload || coalesce(({fields}), '{{}}')"])


def _pii_fields(root: RawTable) -> str:
    return "unnest(array[" + ", ".join(f"'{field}'" for field in root.pii.fields) + "]) field"


_MISSING = """
    (%(visible_since)s::timestamptz is null or old.created_at >= %(visible_since)s)
    and (%(visible_until)s::timestamptz is null or old.created_at < %(visible_until)s)
    and old.created_at < %(read_at)s - interval '5 minutes'
    and old.updated_at < %(read_at)s
    and not exists (select from seen where seen.id = old.id)
    """
"""What is missing from a complete read. Shopify's index lags: a read may lack objects created shortly before it. And an
object that changed after the read began existed then, whatever the read says."""


def _of(alias: str, columns: list[str]) -> str:
    return ", ".join(f"{alias}.{column}" for column in columns)


def _root_id(table: RawTable, alias: str) -> str:
    """The expression of the root's id for a row of the table."""
    if table.parent is None:
        return f"{alias}.id"
    if table.parent.parent is None:
        return f"{alias}.{table.parent_column}"
    return (
        f"(select {_root_id(table.parent, 'parent')} from raw.{table.parent.name} parent"
        f" where parent.tenant_id = %(tenant)s and parent.id = {alias}.{table.parent_column})"
    )
