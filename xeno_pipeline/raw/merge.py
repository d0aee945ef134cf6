"""The SQL that merges staged rows into the raw tables, made from what the tables declare.

Staged rows lie in temporary twins, `staged_<table>`; the ids of root rows that a merge changed gather in
`changed_roots`, those that a complete read has seen in `seen`, those that are to be set aside in `refused`.
`%(tenant)s` and `%(read_at)s` are bound by whoever runs the statements.
"""

from __future__ import annotations

from collections.abc import Iterable

from xeno_pipeline.raw.tables import RawTable

CREATE_CHANGED_ROOTS = "create temporary table changed_roots (id bigint not null) on commit drop"


def note_seen(root: RawTable) -> str:
    """Note the ids of the staged roots, before any of them is dropped: what a read has seen exists, however old."""
    return f"create temporary table seen on commit drop as select distinct id from staged_{root.name}"


CREATE_REFUSED = """
    create temporary table refused on commit drop as
    select * from unnest(
        %(ids)s::bigint[], %(gids)s::text[], %(reasons)s::text[], %(updated_at)s::timestamptz[],
        %(created_at)s::timestamptz[], %(customer_ids)s::bigint[]
    ) as refused (id, gid, reason, updated_at, created_at, customer_id)
    """


def describe_refused(root: RawTable, rows: str) -> str:
    """Note of refused roots what those of their records say that were copied.

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


def see_refused() -> str:
    """Note that refused roots were seen."""
    return "insert into seen select id from refused except select id from seen"


def drop_refused(rows: str) -> str:
    """Delete copied roots that are refused."""
    return f"delete from {rows} rows using refused where rows.tenant_id = %(tenant)s and rows.id = refused.id"


def list_refused(root: RawTable) -> str:
    """Put refused roots on the list, but for those that have become newer in raw meanwhile."""
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


LIST_UNIDENTIFIED = """
    insert into ops.set_aside as known
        (tenant_id, object, object_id, gid, reason, records, first_seen_at, last_seen_at)
    values (%(tenant)s, %(object)s, 0, '', %(reason)s, %(records)s, %(read_at)s, %(read_at)s)
    on conflict (tenant_id, object, object_id) do update
    set reason = excluded.reason, records = excluded.records, last_seen_at = excluded.last_seen_at
    where known.last_seen_at <= excluded.last_seen_at
    """


def unlist_read(root: RawTable, rows: str) -> str:
    """Take off the list what was copied, and so fits, unless it was refused by a later read."""
    return f"""
        delete from ops.set_aside aside
        where tenant_id = %(tenant)s and object = '{root.name}' and last_seen_at <= %(read_at)s
        and exists (select from {rows} rows where rows.tenant_id = %(tenant)s and rows.id = aside.object_id)
        """


def unlist_missing(root: RawTable) -> str:
    """Take off the list what a complete read has not seen (see `count_missing`)."""
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


UNLIST_UNIDENTIFIED = """
    delete from ops.set_aside
    where tenant_id = %(tenant)s and object = %(object)s and object_id = 0 and last_seen_at <= %(read_at)s
    """


def drop_parentless(table: RawTable) -> str:
    """Delete the rows in raw of which the parent is not there (any more)."""
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
    """The temporary twin of a table."""
    return f"create temporary table staged_{table.name} (like raw.{table.name} including defaults) on commit drop"


def drop_temporary(tables: Iterable[RawTable]) -> str:
    """Drop what a merge of the tables had made."""
    return "drop table changed_roots, " + ", ".join(f"staged_{table.name}" for table in tables)


def drop_repeated(table: RawTable) -> str:
    """Delete all but one staged row of each id: the newest, and of equally new ones the last that came."""
    newness = "updated_at, ctid" if table.parent is None else "ctid"
    return f"""
        delete from staged_{table.name} earlier
        using staged_{table.name} later
        where earlier.id = later.id and ({_of("earlier", newness.split(", "))}) < ({_of("later", newness.split(", "))})
        """


def drop_stale(root: RawTable) -> str:
    """Delete staged roots that are older than what is there."""
    return f"""
        delete from staged_{root.name} staged
        using raw.{root.name} old
        where old.tenant_id = %(tenant)s and old.id = staged.id and old.updated_at > staged.updated_at
        """


def drop_orphans(table: RawTable) -> str:
    """Delete staged children whose parent is not staged (any more)."""
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
    compared = [name for name in ("payload", "query_version", table.parent_column) if name]
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
        with gone as (
            delete from raw.{table.name} old
            using {", ".join(sources)}
            where old.tenant_id = %(tenant)s and {" and ".join(conditions)}
            and not exists (select from staged_{table.name} staged where staged.id = old.id)
            returning root.id as root_id
        ),
        noted as (insert into changed_roots select distinct root_id from gone)
        select count(*) from gone
        """


def missing(root: RawTable) -> str:
    """The ids of live roots that a complete read has not `seen`."""
    return f"""
        select id from raw.{root.name} old
        where old.tenant_id = %(tenant)s and old.deleted_at is null and {_MISSING}
        """


def count_missing(root: RawTable) -> str:
    """How many live roots a complete read has not `seen`, and how many live ones there are."""
    return f"""
        select count(*) filter (where {_MISSING}), count(*)
        from raw.{root.name} old
        where old.tenant_id = %(tenant)s and old.deleted_at is null
        """


def tombstone_missing(root: RawTable) -> str:
    """Mark live roots that a complete read has not `seen` (see `count_missing`) as gone. Returns one row: how many."""
    return f"""
        with gone as (
            update raw.{root.name} old set deleted_at = %(read_at)s{_forgotten(root)}
            where old.tenant_id = %(tenant)s and old.deleted_at is null and {_MISSING}
            returning old.id
        ),
        noted as (insert into changed_roots select id from gone)
        select count(*) from gone
        """


def tombstone(root: RawTable) -> str:
    """Mark the live roots of `%(ids)s` as gone at `%(now)s`. Returns a row for each: its id."""
    return f"""
        update raw.{root.name} old set deleted_at = %(now)s{_forgotten(root)}
        where tenant_id = %(tenant)s and id = any(%(ids)s) and deleted_at is null
        returning id
        """


def empty(root: RawTable) -> str:
    """Empty what tells of a person in the roots that are of `%(customer)s` or among `%(ids)s`.

    What is left is what a suppressed object is loaded as. Returns a row for each that held something: its id.
    """
    return f"""
        update raw.{root.name} old set {_emptied(root)}, loaded_at = now()
        where tenant_id = %(tenant)s and ({root.pii.owner} = %(customer)s or id = any(%(ids)s))
        and exists (select from {_personal_fields(root)} where payload -> field <> 'null')
        returning id
        """


def _forgotten(root: RawTable) -> str:
    """Further assignments for an object that is gone: of a person who is, nothing is kept.

    Whoever is redacted later may have been merged into another before, and nothing would tell that they are the same.
    """
    return f", {_emptied(root)}" if root.pii.owner == "id" else ""


def _emptied(root: RawTable) -> str:
    columns = [f"{column} = null" for column in root.pii.columns]
    fields = f"select jsonb_object_agg(field, null) from {_personal_fields(root)} where old.payload ? field"
    return ", ".join([*columns, f"payload = payload || coalesce(({fields}), '{{}}')"])


def _personal_fields(root: RawTable) -> str:
    return "unnest(array[" + ", ".join(f"'{field}'" for field in root.pii.fields) + "]) field"


_MISSING = """
    (%(visible_since)s::timestamptz is null or old.created_at >= %(visible_since)s)
    and (%(visible_until)s::timestamptz is null or old.created_at < %(visible_until)s)
    and old.created_at < %(read_at)s - interval '5 minutes'
    and old.updated_at < %(read_at)s
    and not exists (select from seen where seen.id = old.id)
    """
"""What is missing from a complete read. Shopify's index lags, so that a read may lack what was created shortly before
it; and what changed after it began was there then, whatever the read says."""


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
