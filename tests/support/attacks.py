"""What somebody with a session of their own may try against others' rows, and an ear for what the session is told."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors

from tests.support.isolated_marts import TENANTS_READ, Marts
from tests.support.marked_rows import ATTACKER, VICTIM
from xeno_pipeline.database.connection import Connection

MINE = ATTACKER.tenant_id

READING = {
    "all of it": ["select * from {r}"],
    "all of it as text": ["select r::text, to_jsonb(r) from {r} r"],
    "all but one's own": [f"select * from {{r}} where tenant_id <> '{MINE}'"],
    "its rows' places and versions": ["select r.ctid, r.xmin, r.tableoid::regclass, r.* from {r} r"],
    "a sample of it": ["select * from {r} tablesample bernoulli (100)"],
    "its extremes": ["select min(r::text), max(r::text) from {r} r"],
    "an error that tells a value": [f"select (r::text)::integer from {{r}} r where tenant_id <> '{MINE}'"],
    "an error in the condition": [f"select from {{r}} r where tenant_id <> '{MINE}' and (r::text)::integer > 0"],
    "an error in a condition beside another": [
        f"select from {{r}} r where tenant_id = '{MINE}' or (r::text)::integer > 0"
    ],
    "a function with a side effect in the condition": [
        f"select from {{r}} r where tenant_id <> '{MINE}' and set_config('leak.found', r::text, false) = ''",
        "select current_setting('leak.found')",
    ],
    "a notification in the condition": [
        "listen leak",
        f"select from {{r}} r where tenant_id <> '{MINE}' and pg_notify('leak', left(r::text, 7000)) is null",
        "select 1",
    ],
    "a block that raises what it finds": [
        "do $$ declare f record; begin for f in select * from {r} loop raise notice '%', f; end loop; end $$"
    ],
    "a cursor": ["begin", "declare c scroll cursor for select * from {r}", "fetch all from c", "commit"],
    "a prepared statement": ["prepare p as select * from {r}", "execute p", "explain (analyze, verbose) execute p"],
    "a copy of the relation": ["copy {r} to stdout"],
    "a copy of a query": ["copy (select * from {r}) to stdout"],
    "a query run by a function": ["select * from ts_stat('select to_tsvector(''simple'', r::text) from {r} r')"],
    "other plans": [
        *(f"set enable_{way} = off" for way in ("seqscan", "indexscan", "indexonlyscan", "bitmapscan", "sort")),
        "set plan_cache_mode = force_generic_plan",
        "set debug_parallel_query = on",
        "select * from {r}",
    ],
    "a join": [
        "select a::text, b.* from {r} a join {r} b on a.tenant_id <> b.tenant_id limit 100",
        f"select b.* from (values ('{MINE}')) v (t), lateral (select * from {{r}} where tenant_id <> t) b",
    ],
    "rows to be locked": ["select * from {r} for update", "select * from {r} for key share", "table {r}"],
}
"""Statements to run one after the other on `{r}`, whatever comes of each. The owner finds what it looks for by them."""

OTHERWISE = {
    "row security switched off": ["set row_security = off", "select * from {r}"],
    "an error that depends on a value": [
        f"select from {{r}} r where tenant_id <> '{MINE}' and 1 / (length(r::text) - length(r::text)) > 0"
    ],
    "a plan with everything in it": ["explain (analyze, verbose, buffers, settings, wal) select * from {r}"],
    "a plan of a search": [
        "explain (analyze, verbose) select from {r} r where tenant_id > 'n' and length(r::text) > 9"
    ],
    "what the planner and the rewriter log": [
        "set client_min_messages = debug5",
        *(f"set debug_print_{tree} = on" for tree in ("parse", "rewritten", "plan")),
        "select from {r}",
    ],
    "a copy in a file or a program": ["copy {r} to '/tmp/leak'", "copy {r} to program 'cat >&2'"],
    "XML": ["select table_to_xml('{r}', true, false, '')", "select query_to_xml('table {r}', true, false, '')"],
    "changes": [
        "set default_transaction_read_only = off",
        "update {r} set tenant_id = tenant_id returning *",
        "delete from {r} returning *",
        "insert into {r} select * from {r} returning *",
        "merge into {r} t using {r} s on true when matched then delete",
        "truncate {r}",
        "select * from {r}",
    ],
    "changes of its definition": [
        "set default_transaction_read_only = off",
        "alter table {r} disable row level security",
        "alter table {r} no force row level security",
        "drop policy tenant on {r}",
        "create policy mine on {r} using (true)",
        "alter table {r} owner to current_user",
        "grant all on {r} to current_user",
        "create rule r as on select to {r} do instead select 1",
        "select * from {r}",
    ],
}
"""The same by what tells the owner nothing of the sort, or would do harm in its hands."""

ON_THE_DATABASE = {
    "the planner's statistics": [
        "select * from pg_stats",
        "select * from pg_stats_ext",
        "select * from pg_stats_ext_exprs",
        "select stavalues1::text from pg_statistic",
        "select * from pg_statistic_ext_data",
    ],
    "what others are doing": [
        "select * from pg_stat_activity",
        "select * from pg_locks",
        "select * from pg_prepared_statements",
        "select * from pg_cursors",
        "select * from pg_stat_statements",
        "select * from pg_stat_progress_copy",
        "select * from pg_stat_user_tables",
    ],
    "the catalogue": [
        "select * from pg_class",
        "select * from pg_attribute",
        "select attmissingval::text from pg_attribute",
        "select pg_get_viewdef(oid) from pg_class where relkind = 'v'",
        "select * from pg_policies",
        "select prosrc from pg_proc",
        "select * from pg_description",
        "select * from pg_shdescription",
        "select pg_get_constraintdef(oid) from pg_constraint",
        "select * from pg_sequences",
        "select * from pg_settings",
        "select * from pg_db_role_setting",
        "select * from pg_roles",
        "select * from pg_auth_members",
        "select * from pg_authid",
        "select * from pg_shadow",
        "select * from pg_user_mapping",
        "select * from pg_seclabels",
        "select * from information_schema.columns",
        "select * from information_schema.role_table_grants",
        "select * from information_schema.view_table_usage",
        "select * from information_schema.routines",
    ],
    "large objects": ["select * from pg_largeobject", "select lo_get(oid) from pg_largeobject_metadata"],
    "all of it as XML": [
        "select database_to_xml(true, false, '')",
        "select schema_to_xml('marts', true, false, '')",
        "select schema_to_xml('raw', true, false, '')",
        "select schema_to_xml('ops', true, false, '')",
    ],
    "the server's files": [
        "select pg_read_file('postgresql.conf')",
        "select pg_read_binary_file('PG_VERSION')",
        "select pg_ls_dir('.')",
        "select pg_ls_logdir()",
        "select lo_import('/etc/passwd')",
        "create table loot (line text)",
        "copy loot from '/etc/passwd'",
        "copy loot from program 'id'",
        "load 'auto_explain'",
    ],
    "the scope of a transform": [
        "set xeno.transform_id = '00000000-0000-0000-0000-000000000000'",
        "select * from ops.transform_scope",
    ],
    "notifications of others": ["listen run_events", "listen leak", "select pg_sleep(0)"],
    "the function that tells the tenant": [
        "select ops.bound_tenant()",
        "select ops.tenant_of_login()",
        "select ops.secure('marts.fct_orders')",
        "select ops.bi_group('tenants')",
    ],
}
"""The same without a relation."""

ESCAPES = {
    "another search path": ["set search_path = ops, raw, pg_temp"],
    "another role": ["set role {owner}", "set local role {owner}", "set role pg_read_all_data"],
    "the group's role": ["set role {tenants}"],
    "the operators' role": ["set role {operators}"],
    "another login": ["set session authorization {owner}", "set session authorization {victim}"],
    "more rights": [
        *(f"alter role current_user {right}" for right in ("superuser", "bypassrls", "createrole", "replication")),
        "grant {owner} to current_user",
        "grant {operators} to current_user",
        "grant {victim} to current_user",
        "grant pg_read_all_data to current_user",
        "alter role {victim} password 'mine'",
    ],
    "the victim's name": ["alter role current_user rename to {victim}", "create role {owner}_2 superuser"],
    "other settings": [
        "set row_security = off",
        "set default_transaction_read_only = off",
        "set session_replication_role = replica",
        "set allow_system_table_mods = on",
        "set xeno.tenant_id = 'velvet-victim'",
        "alter role current_user set row_security = off",
        "alter system set row_security = off",
        "select set_config('session_authorization', '{owner}', false)",
        "select set_config('role', '{operators}', false)",
        "update pg_settings set setting = '{owner}' where name = 'role'",
    ],
    "objects of one's own": [
        "set default_transaction_read_only = off",
        "create temp table t as select 1 as one",
        "create temp view v as select * from marts.fct_orders",
        "create function pg_temp.f() returns text language sql as 'select current_user::text'",
        "create schema mine",
        "create table public.t (a integer)",
        "create view marts.v as select * from raw.orders",
        "create function marts.now() returns timestamptz language sql as 'select null::timestamptz'",
        "create function public.texteq(text, text) returns boolean language sql as 'select true'",
        "create operator public.= (leftarg = text, rightarg = text, function = texteq)",
        "create extension vector",
        "create language plpgsql",
        "create cast (text as integer) with inout",
        "create event trigger t on ddl_command_start execute function f()",
        "create publication p for all tables",
        "create database mine template test_00001",
        "create or replace function ops.bound_tenant() returns text language sql as 'select null'",
        "alter function ops.bound_tenant() security invoker",
        "create or replace function ops.tenant_of_login() returns text language sql immutable return 'velvet-victim'",
        "alter default privileges grant all on tables to public",
        "update ops.bi_roles set tenant_id = 'velvet-victim'",
        "insert into ops.bi_roles select current_user, 0, 'velvet-victim'",
    ],
}
"""What might lift the session above its tenant; after it, all that a tenant may name is read again."""


class Listener:
    """Hears everything that a session is told: rows, notices, errors, copies and notifications."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heard: list[str] = []
        connection.add_notice_handler(self._diagnose)
        connection.add_notify_handler(lambda notify: self._heard.append(str(notify)))

    def run(self, statements: Sequence[str]) -> str:
        """Run statements, whatever comes of each, and tell all that was heard since the last time."""
        self._heard.clear()
        for statement in statements:
            try:
                self._run(statement)
            except psycopg.Error as error:
                self._heard.append(str(error))
                self._diagnose(error.diag)
        return "\n".join(self._heard)

    def _run(self, statement: str) -> None:
        if statement.startswith("copy") and "stdout" in statement:
            with self._connection.cursor().copy(statement) as copy:
                self._heard.extend(bytes(data).decode() for data in copy)
            return
        cursor = self._connection.execute(statement)
        if cursor.description is not None:
            self._heard.extend(map(str, cursor.fetchall()))

    def _diagnose(self, diagnostic: errors.Diagnostic) -> None:
        parts = ("message_primary", "message_detail", "message_hint", "context", "internal_query", "column_name")
        self._heard.extend(text for part in parts if (text := getattr(diagnostic, part)))


def everything(marts: Marts) -> list[str]:
    """Statements that read all that a tenant may name."""
    return [f"select * from {relation}" for relation in marts.relations(*TENANTS_READ, "intermediate", "serving")]


def assert_silent(heard: str) -> None:
    """What was heard holds nothing of the victim."""
    found = VICTIM.marks().search(heard)
    assert found is None, heard[max(0, found.start() - 200) : found.end() + 200]
