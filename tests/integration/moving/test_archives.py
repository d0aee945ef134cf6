"""What is in an archive arrives whole, once, and where it belongs; or not at all."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psycopg
import pytest

from tests.support import moving as move
from tests.support.database_roles import PLAIN, create_role
from tests.support.events import tell
from tests.support.installation import Installation, Shop, changed
from tests.support.serving import key_for, serving_login
from xeno_pipeline.access.grants import invite, make_key
from xeno_pipeline.access.scopes import Role, Scope
from xeno_pipeline.access.secret import secret_hash
from xeno_pipeline.database.roles import grant_bi_role, list_bi_roles, revoke_bi_roles
from xeno_pipeline.database.tenant_lock import lock_for_removal
from xeno_pipeline.errors import UsageError
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.monitoring.doctor.stores import diagnose_stores
from xeno_pipeline.moving import described
from xeno_pipeline.moving.archive import DamagedArchiveError, OtherKeyError
from xeno_pipeline.moving.arrival import OtherTenantError, OtherVersionError
from xeno_pipeline.moving.departure import NotHeldStillError, count_unexported, hold_still
from xeno_pipeline.moving.inventory import MOVED
from xeno_pipeline.moving.key import make_key as make_archive_key
from xeno_pipeline.moving.key import ring_of
from xeno_pipeline.moving.manifest import Manifest
from xeno_pipeline.privacy import requests
from xeno_pipeline.privacy.processing import Processor
from xeno_pipeline.segments import registry as segments
from xeno_pipeline.settings import Settings
from xeno_pipeline.shopify.oauth import IssuedToken
from xeno_pipeline.shopify.privacy import privacy_delivery_of
from xeno_pipeline.shopify.webhooks import Delivery
from xeno_pipeline.tenants import registry, syncs
from xeno_pipeline.tenants.apps import load_app, store_app
from xeno_pipeline.tenants.credentials import CredentialError, Purpose
from xeno_pipeline.tenants.grants import Grant, RenewingToken, load_grant, store_grant
from xeno_pipeline.tenants.offboarding import remove_tenant
from xeno_pipeline.tenants.registry import Tenant, TenantExistsError, UnknownTenantError


def rows_of(installation: Installation, handle: str) -> dict[str, int]:
    """How many rows a tenant has in each table that is moved."""
    query = "select count(*) from {} where tenant_id = %s"
    return {table.name: installation.value(query.format(table.name), handle) for table in MOVED}


def test_raw_state_and_history_arrive_as_they_were(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    there.execute(
        "insert into marts.rfm_history (tenant_id, customer_id, valid_from) values ('shelf', 1, '2026-01-01')"
    )
    move.export(there, moving.tenant_id, tmp_path / "archive")
    move.import_(here, tmp_path / "archive")

    assert changed(there.raw(), here.raw()) == {}
    for state in ("ops.sync_state", "ops.last_changes", "ops.api_usage", "marts.rfm_history"):
        columns = f"select to_jsonb(t)::text from {state} t order by 1"
        assert here.query(columns) == there.query(columns), state
    facts = "select to_jsonb(t) - '{status, exported_at, updated_at}'::text[] from ops.tenants t"
    assert here.query(facts) == there.query(facts)
    assert [tenant.status for tenant in here.tenants()] == ["active"]
    with here.database.connect() as connection:
        assert [sync.tenant_id for sync in syncs.due(connection)] == [moving.tenant_id]


@pytest.mark.thorough
def test_secrets_are_opened_by_the_archives_key_and_sealed_again_and_nothing_of_them_is_in_the_file(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    grant = Grant.authorized(IssuedToken("shpat_moved", frozenset(), expires, "shprt_moved"))
    with there.database.connect() as connection:
        store_grant(connection, there.ring, moving.tenant_id, grant)
        store_app(connection, there.ring, moving.tenant_id, "app", "shpss_moved")
    move.export(there, moving.tenant_id, tmp_path / "archive")
    move.import_(here, tmp_path / "archive")

    with here.database.connect() as connection:
        assert load_grant(connection, here.ring, moving.tenant_id) == grant
        assert load_app(connection, here.ring, moving.tenant_id).secret == "shpss_moved"
    with zipfile.ZipFile(tmp_path / "archive") as members:
        content = b"".join(members.read(name) for name in members.namelist())
    assert not re.search(rb"sh(pat|prt|pss)_", content)
    assert (tmp_path / "archive").read_bytes().count(move.KEY.encode()) == 0


@pytest.mark.thorough
def test_a_bi_role_has_its_name_and_password_where_the_server_has_none_of_that_name(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    handle = moving.tenant_id
    role = grant_bi_role(there.database, handle, "the merchant's own", tool="metabase")
    there.execute(
        "insert into marts.rfm_history (tenant_id, customer_id, valid_from) values ('shelf', 1, '2026-01-01')"
    )
    verifier = there.value("select rolpassword from pg_authid where rolname = %s", role.name)
    move.export(there, handle, tmp_path / "archive")
    with there.database.connect() as connection:
        remove_tenant(connection, handle)
    assert move.import_(here, tmp_path / "archive").notes == ()

    with here.database.connect() as connection:
        assert [(each.name, each.tool) for each in list_bi_roles(connection, [handle])] == [(role.name, "metabase")]
    assert here.value("select rolpassword from pg_authid where rolname = %s", role.name) == verifier
    with psycopg.connect(here.database.url, user=role.name) as connection:  # the socket trusts whoever comes by it
        assert connection.execute("select tenant_id from marts.rfm_history").fetchall() == [(handle,)]


@pytest.mark.thorough
def test_a_role_of_the_server_is_never_touched_and_another_name_is_told(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    role = grant_bi_role(there.database, moving.tenant_id)
    move.export(there, moving.tenant_id, tmp_path / "archive")
    (note,) = move.import_(here, tmp_path / "archive").notes

    with here.database.connect() as connection:
        (found,) = list_bi_roles(connection, [moving.tenant_id])
        assert found.name != role.name
        assert found.name in note
        assert role.name in note
        revoke_bi_roles(connection, moving.tenant_id)
    with there.database.connect() as connection:
        assert [(each.name, each.may_log_in) for each in list_bi_roles(connection)] == [(role.name, True)]


@pytest.mark.thorough
def test_a_role_whose_password_the_database_does_not_show_keeps_its_name_and_how_to_set_it_is_told(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    role = grant_bi_role(there.database, moving.tenant_id, tool="metabase")
    with there.database.connect() as connection:
        create_role(there.database, PLAIN)
        connection.execute(f"grant usage on schema ops to {PLAIN}; grant select on ops.bi_roles to {PLAIN}")
        connection.execute(f"set role {PLAIN}")
        (found,) = described.bi_roles(connection, ring_of(move.KEY), moving.tenant_id)
        assert (found.name, found.tool, found.verifier) == (role.name, "metabase", None)
    there.execute(f"alter role {role.name} password null")
    move.export(there, moving.tenant_id, tmp_path / "archive")
    with there.database.connect() as connection:
        remove_tenant(connection, moving.tenant_id)
    (note,) = move.import_(here, tmp_path / "archive").notes
    assert f"metabase ({role.name}) has no password yet" in note
    assert f"`xeno tenant bi-role {moving.tenant_id} --name metabase --password -`" in note


@pytest.mark.thorough
def test_people_and_keys_may_see_the_store_as_before_and_a_name_that_is_taken_is_told(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    handle = moving.tenant_id
    with there.database.connect() as connection:
        invite(connection, "ada@example.com", [handle], Role.ANALYST)
        invite(connection, "all@example.com", None, Role.OPERATOR)
        secret = make_key(connection, "nightly", [handle], [Scope.READ, Scope.SYNC])
        make_key(connection, "expired", [handle], lifetime=timedelta(seconds=-1))
    with here.database.connect() as connection:
        other = make_key(connection, "nightly", None)
    move.export(there, handle, tmp_path / "archive")
    (note,) = move.import_(here, tmp_path / "archive").notes

    assert note == "The key nightly is called nightly-2 here, where another key has its name."
    assert here.query(
        """
        select coalesce(email, name), tenant_id, role, scopes from ops.access_grants grants
        left join ops.people using (person_id) left join ops.access_keys keys on keys.key_id = grants.key_id
        order by 1
        """
    ) == [
        ("ada@example.com", handle, "analyst", ["read", "people", "segments"]),
        ("nightly", None, None, ["read"]),
        ("nightly-2", handle, None, ["read", "sync"]),
    ]
    hashes = dict(here.query("select name, secret_hash from ops.access_keys where name is not null"))
    assert hashes == {"nightly": secret_hash(other), "nightly-2": secret_hash(secret)}


@pytest.mark.thorough
def test_segments_keep_their_numbers_and_what_was_personal_stays_so(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    handle = moving.tenant_id
    with there.database.connect() as connection:
        for number in range(101):  # as many as there may be, and a removed one
            segments.save_segment(connection, handle, f"Segment {number}", "number_of_orders > 1")
            if number == 0:
                removed = segments.list_segments(connection, handle)[0].segment_id
                segments.remove_segment(connection, handle, removed)
        connection.execute(
            "update ops.segments set is_personal = true, may_be_personal = false where name = 'Segment 7'"
        )
        connection.execute("update ops.segments set condition = 'true', bound = '{}'")
    move.export(there, handle, tmp_path / "archive")
    move.import_(here, tmp_path / "archive")

    kept = """
        select segment_id, name, query, created_at, changed_at, removed_at, is_personal, may_be_personal
        from ops.segments order by 1
        """
    assert here.query(kept) == there.query(kept)
    assert here.value("select count(*) from ops.segments where condition is not null") == 0, "it is compiled again"
    with here.database.connect() as connection:
        segments.remove_segment(connection, handle, segments.list_segments(connection, handle)[0].segment_id)
        added = segments.save_segment(connection, handle, "A new one", "number_of_orders > 2")
    assert added.segment_id > there.value("select max(segment_id) from ops.segments")


# -- while it moves


@pytest.mark.thorough
def test_a_moving_tenant_is_read_by_bi_tools_and_by_nobody_written(
    there: Installation, moving: Tenant, tmp_path: Path
) -> None:
    handle = moving.tenant_id
    there.execute(
        "insert into marts.rfm_history (tenant_id, customer_id, valid_from) values ('shelf', 1, '2026-01-01')"
    )
    move.export(there, handle, tmp_path / "archive")
    with there.database.connect() as connection:
        assert registry.active(connection) == []
        assert registry.select(connection, [handle]).skipped == {handle: "moving"}
        with pytest.raises(registry.TenantNotActiveError, match="is moving: `xeno tenant resume"):
            registry.active(connection, [handle])
    role = grant_bi_role(there.database, handle)
    with psycopg.connect(there.database.url, user=role.name) as connection:
        assert connection.execute("select tenant_id from marts.rfm_history").fetchall() == [(handle,)]
    with there.database.connect() as connection:
        secret = make_key(connection, "curious", [handle], list(Scope))
        connection.execute("select set_config('xeno.credential', %s, true)", [secret])
        assert connection.execute("select scopes from ops.unlocked_grants").fetchone() == (["read", "people"],)


@pytest.mark.thorough
def test_the_token_of_a_moving_tenant_is_not_renewed_which_would_invalidate_the_exported_one(
    there: Installation, moving: Tenant, tmp_path: Path
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    with there.database.connect() as connection:
        grant = Grant.authorized(IssuedToken("shpat_old", frozenset(), past, "shprt_old"))
        store_grant(connection, there.ring, moving.tenant_id, grant)
    move.export(there, moving.tenant_id, tmp_path / "archive")

    token = RenewingToken(there.database, there.ring, moving, app=None)
    with pytest.raises(CredentialError, match=r"was exported with it.*`xeno tenant resume shelf"):
        token.current()


@pytest.mark.thorough
def test_a_tenant_whose_export_fails_is_active_again(there: Installation, moving: Tenant, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        assert [tenant.status for tenant in there.tenants()] == ["moving"]
        raise KeyboardInterrupt

    with pytest.raises(OSError, match="No space left on device"):
        move.export(there, moving.tenant_id, Path("/dev/full"))
    with pytest.raises(KeyboardInterrupt):
        move.export(there, moving.tenant_id, tmp_path / "archive", on_rows=interrupt)
    assert [tenant.status for tenant in there.tenants()] == ["active"]
    assert there.value("select exported_at from ops.tenants") is None


@pytest.mark.thorough
def test_an_export_during_which_the_tenant_is_resumed_or_removed_says_so(there: Installation, moving: Tenant) -> None:
    handle = moving.tenant_id
    with (
        pytest.raises(NotHeldStillError, match=rf"^{handle} was resumed while it was exported"),
        hold_still(there.database, handle),
        there.database.connect() as connection,
    ):
        registry.set_status(connection, handle, "active")
    with (
        pytest.raises(UnknownTenantError),
        hold_still(there.database, handle),
        there.database.connect() as connection,
    ):
        remove_tenant(connection, handle)


@pytest.mark.thorough
def test_the_doctor_knows_who_is_moving(there: Installation, moving: Tenant, tmp_path: Path) -> None:
    def found() -> list[str]:
        diagnoses = diagnose_stores(Settings(home=tmp_path), there.database, None)
        return [f"{each.subject}: {each.message}" for each in diagnoses if each.subject == f"store {moving.tenant_id}"]

    assert found() == []
    with hold_still(there.database, moving.tenant_id):
        (sentence,) = found()
        assert "the export has not ended, or its process died" in sentence
    (sentence,) = found()
    assert "It was exported at 20" in sentence


@pytest.mark.thorough
def test_a_suspended_tenant_stays_suspended_and_arrives_so(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    grant_bi_role(there.database, moving.tenant_id)
    with there.database.connect() as connection:
        registry.set_status(connection, moving.tenant_id, "suspended")
    move.export(there, moving.tenant_id, tmp_path / "archive")
    move.import_(here, tmp_path / "archive")

    assert [tenant.status for tenant in (*there.tenants(), *here.tenants())] == ["suspended"] * 2
    assert here.value("select count(*) from ops.syncs") == 0
    with here.database.connect() as connection:
        assert [role.may_log_in for role in list_bi_roles(connection)] == [False]


# -- the rest


@pytest.mark.thorough
def test_the_rest_brings_what_came_after_the_export_once_and_redactions_are_done_again(
    there: Installation, here: Installation, shelf: Shop, moving: Tenant, tmp_path: Path
) -> None:
    handle = moving.tenant_id
    tell(there.database, shelf, ("orders/create", {"id": 1}))
    move.export(there, handle, tmp_path / "archive")
    tell(there.database, shelf, ("orders/create", {"id": 2}))
    there.execute(
        """
        insert into ops.privacy_requests
            (tenant_id, shop_domain, kind, webhook_id, customer_id, done_at, outcome, export_file)
        values (%s, 'x', 'customers/redact', 'one', 7, now(), 'redacted: 3 rows', 'x')
        """,
        handle,
    )
    with there.database.connect() as connection:
        assert count_unexported(connection, handle) == 2
    move.import_(here, tmp_path / "archive")
    move.export(there, handle, tmp_path / "rest", rest=True)

    assert move.import_(here, tmp_path / "rest").rows > 0
    assert move.import_(here, tmp_path / "rest").rows == 0, "what is known is skipped"
    gids = "select read_gid from ops.webhook_inbox where tenant_id = %s order by id"
    assert here.query(gids, handle) == there.query(gids, handle)
    assert here.query("select customer_id, outcome, done_at, export_file from ops.privacy_requests") == [
        (7, None, None, None)
    ]
    with there.database.connect() as connection:
        assert count_unexported(connection, handle) == 0


@pytest.mark.thorough
def test_a_redaction_that_came_while_it_moved_is_done_in_both(
    there: Installation, here: Installation, shelf: Shop, moving: Tenant, tmp_path: Path
) -> None:
    """Where it was by the old installation, and where it is by the new one, whose rows were exported before."""
    ((customer,),) = there.query("select id from raw.customers where email is not null order by id limit 1")
    move.export(there, moving.tenant_id, tmp_path / "archive")
    delivery = Delivery("customers/redact", moving.shop_domain, "one", None, None)
    body = orjson.dumps({"shop_id": 1, "shop_domain": moving.shop_domain, "customer": {"id": customer}})
    with there.database.connect() as connection:
        requests.store(connection, privacy_delivery_of(delivery, body))
    _redact(there, tmp_path)
    move.import_(here, tmp_path / "archive")
    email = "select email from raw.customers where id = %s"
    assert (there.value(email, customer), here.value(email, customer) is None) == (None, False)

    move.export(there, moving.tenant_id, tmp_path / "rest", rest=True)
    move.import_(here, tmp_path / "rest")
    _redact(here, tmp_path)
    assert here.value(email, customer) is None
    suppressed = "select object, object_id from ops.suppressed order by 1, 2"
    assert here.query(suppressed) == there.query(suppressed) != []


def _redact(installation: Installation, folder: Path) -> None:
    """Process the requests that are due."""
    syncer = Syncer(installation.database, installation.ring, installation.spool)
    with installation.database.connect() as connection:
        due = requests.due(connection)
    assert [request.customer_id for request in due] != []
    for request in due:
        Processor(installation.database, folder, syncer.client_of).process(request)
        with installation.database.connect() as connection:
            requests.mark_done(connection, [request.id])


@pytest.mark.thorough
def test_there_is_no_rest_of_what_was_not_exported_nor_of_a_tenant_that_is_not_here(
    there: Installation, here: Installation, moving: Tenant, tmp_path: Path
) -> None:
    handle, rest = moving.tenant_id, tmp_path / "rest"
    with pytest.raises(UsageError, match=rf"^{handle} was not exported"):
        move.export(there, handle, rest, rest=True)
    assert [tenant.status for tenant in there.tenants()] == ["active"]
    move.export(there, handle, tmp_path / "archive")
    move.export(there, handle, rest, rest=True)
    with pytest.raises(UnknownTenantError):
        move.import_(here, rest)
    move.import_(here, tmp_path / "archive")
    here.execute("update ops.tenants set shop_gid = 'gid://shopify/Shop/0'")
    with pytest.raises(OtherTenantError, match=rf"^{handle}: the archive is of another shop"):
        move.import_(here, rest)


# -- what goes wrong


@pytest.mark.thorough
def test_an_archive_is_imported_once(here: Installation, archive: Path) -> None:
    move.import_(here, archive)
    before = rows_of(here, "shelf")
    with pytest.raises(TenantExistsError, match=r"^shelf: this store is already registered"):
        move.import_(here, archive)
    assert rows_of(here, "shelf") == before


@pytest.mark.thorough
@pytest.mark.parametrize("taken", ["handle", "shop"])
def test_a_handle_or_a_shop_that_is_taken_is_refused(
    here: Installation, moving: Tenant, archive: Path, taken: str
) -> None:
    other = {"shop_gid": "gid://shopify/Shop/0"} if taken == "handle" else {"tenant_id": "renamed"}
    with here.database.connect() as connection:
        registry.add(connection, replace(moving, **other))
    with pytest.raises(TenantExistsError, match=r"is already registered"):
        move.import_(here, archive)
    assert set(rows_of(here, "shelf").values()) == {0}


@pytest.mark.thorough
def test_a_segment_is_not_hidden_because_one_of_its_number_is_personal_elsewhere(
    there: Installation, moving: Tenant
) -> None:
    """Segments keep their numbers in a move, so two tenants may have the same ones."""
    with there.database.connect() as connection:
        registry.add(connection, replace(moving, tenant_id="another", shop_gid="gid://shopify/Shop/0"))
        for handle, is_personal in ((moving.tenant_id, False), ("another", True)):
            connection.execute(
                "insert into ops.segments (tenant_id, segment_id, name, query) overriding system value "
                "values (%s, 7, 'Seven', 'number_of_orders > 1')",
                [handle],
            )
            connection.execute("update ops.segments set is_personal = %s where tenant_id = %s", [is_personal, handle])
            connection.execute(
                "insert into marts.segment_history (tenant_id, segment_id, customer_id, valid_from) "
                "values (%s, 7, 1, '2026-01-01')",
                [handle],
            )
    secret = key_for(there.database, None)
    with serving_login(there.database).connect() as connection:
        connection.execute("select from ops.unlock(%s)", [secret])
        assert connection.execute("select tenant_id from marts.segment_history").fetchall() == [(moving.tenant_id,)]


@pytest.mark.thorough
def test_a_tenant_comes_back_to_where_it_was_removed(
    there: Installation, here: Installation, shelf: Shop, moving: Tenant, tmp_path: Path
) -> None:
    handle = moving.tenant_id
    tell(there.database, shelf, ("orders/create", {"id": 1}))
    there.execute(
        "insert into ops.privacy_requests (tenant_id, shop_domain, kind, webhook_id, customer_id) "
        "values (%s, 'x', 'customers/redact', 'one', 7)",
        handle,
    )
    move.export(there, handle, tmp_path / "to")
    move.import_(here, tmp_path / "to")
    with there.database.connect() as connection:
        remove_tenant(connection, handle)
        connection.execute("update ops.privacy_requests set customer_id = null, done_at = now(), outcome = 'removed'")
    here_rows = rows_of(here, handle)
    move.export(here, handle, tmp_path / "back")
    move.import_(there, tmp_path / "back")

    counts = rows_of(there, handle)
    assert counts.pop("ops.audit_log") > here_rows.pop("ops.audit_log")
    assert counts == here_rows
    assert there.query("select customer_id, outcome, done_at from ops.privacy_requests") == [(7, None, None)]


@pytest.mark.parametrize("damage", ["truncated", "bit", "empty", "text", "member", "swapped"])
def test_a_damaged_file_is_refused_before_anything_is_written(
    bare: Installation, archive: Path, tmp_path: Path, damage: str
) -> None:
    content = archive.read_bytes()
    damaged = tmp_path / "damaged"
    match damage:
        case "truncated":
            damaged.write_bytes(content[: len(content) // 2])
        case "bit":
            place = content.index(b"raw.orders.copy") + 2_000
            damaged.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        case "empty":
            damaged.write_bytes(b"")
        case "text":
            damaged.write_text("no archive")
        case "member":
            _rewrite(archive, damaged, {"raw.orders.copy": None})
        case "swapped":  # whole by its own checksums, and not what was sealed
            _rewrite(archive, damaged, {"raw.orders.copy": b"1\\tEvil\\n"})
    with pytest.raises(DamagedArchiveError, match="copy it again, or export the tenant again"):
        move.import_(bare, damaged)
    assert set(rows_of(bare, "shelf").values()) == {0}


def test_a_file_whose_manifest_was_changed_and_another_key_are_refused(
    bare: Installation, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(OtherKeyError, match="The key is not that of"):
        move.import_(bare, archive, make_archive_key())
    with zipfile.ZipFile(archive) as members:
        manifest = members.read("manifest.json")
    _rewrite(archive, tmp_path / "changed", {"manifest.json": manifest.replace(b'"EUR"', b'"USD"')})
    with pytest.raises(OtherKeyError, match="or the file was changed"):
        move.import_(bare, tmp_path / "changed")
    for text in ("", "xeno_move_", move.KEY[:-1], move.KEY + "A", "shpat_1"):
        with pytest.raises(UsageError, match="no key of an archive"):
            move.import_(bare, archive, text)


@pytest.mark.thorough
def test_an_archive_of_another_version_is_refused(here: Installation, archive: Path, tmp_path: Path) -> None:
    here.execute("alter table raw.orders add column of_tomorrow text")
    with pytest.raises(OtherVersionError, match=r"other columns than this installation in raw\.orders: bring both"):
        move.import_(here, archive)
    with zipfile.ZipFile(archive) as members:
        manifest = Manifest.model_validate_json(members.read("manifest.json"))
    content = manifest.model_copy(update={"schema_version": "9999"}).model_dump_json().encode()
    seal = ring_of(move.KEY).seal(manifest.tenant_id, hashlib.sha256(content).hexdigest(), Purpose.ARCHIVE)[1]
    _rewrite(archive, tmp_path / "newer", {"manifest.json": content, "manifest.seal": seal})
    with pytest.raises(OtherVersionError, match=r"is of schema version 9999 .* bring both"):
        move.import_(here, tmp_path / "newer")


@pytest.mark.thorough
@pytest.mark.parametrize("way", ["full disk", "interrupted", "connection lost"])
def test_an_import_that_breaks_off_leaves_nothing(here: Installation, archive: Path, way: str) -> None:
    def break_off(table: str, rows: int, _: int | None) -> None:
        if table == "raw.order_sales" and way == "interrupted":
            raise KeyboardInterrupt
        if table == "raw.order_sales" and way == "connection lost":
            here.query(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )

    if way == "full disk":  # at the end, when all tables are loaded
        here.execute(
            """
            create function full_disk() returns trigger language plpgsql
            as $$ begin raise exception using errcode = '53100'; end $$;
            create trigger full_disk before insert on ops.tenant_credentials execute function full_disk()
            """
        )
    with pytest.raises((psycopg.OperationalError, KeyboardInterrupt)):
        move.import_(here, archive, on_rows=break_off)
    assert set(rows_of(here, "shelf").values()) == {0}
    assert here.tenants() == []
    here.execute("drop function if exists full_disk() cascade")
    move.import_(here, archive)


@pytest.mark.thorough
def test_a_second_import_of_the_same_waits_for_the_first(here: Installation, archive: Path) -> None:
    with here.database.connect() as first:
        lock_for_removal(first, "shelf")
        here.execute(f"alter database {first.info.dbname} set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            move.import_(here, archive)


@pytest.mark.thorough
def test_what_another_tenant_has_is_left_alone(
    there: Installation, here: Installation, moving: Tenant, other_shop: Shop, tmp_path: Path
) -> None:
    """Its rows, and a domain that it got after the other shop had given it up."""
    other = here.connect(other_shop)
    here.sync(other, "products")
    with there.database.connect() as connection:
        registry.add_domain(connection, moving.tenant_id, "contested.example")
    with here.database.connect() as connection:
        registry.add_domain(connection, other.tenant_id, "contested.example")
    before = rows_of(here, other.tenant_id)
    move.export(there, moving.tenant_id, tmp_path / "archive")
    move.import_(here, tmp_path / "archive")

    assert rows_of(here, other.tenant_id) == before
    assert here.query("select tenant_id from ops.tenant_domains where domain = 'contested.example'") == [
        (other.tenant_id,)
    ]


def _rewrite(archive: Path, target: Path, members: dict[str, bytes | None]) -> None:
    """A copy in which some members are others, or missing."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = members.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
