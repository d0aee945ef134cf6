"""`xeno privacy list`, `run` and `export`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.installation import Installation, Shop
from tests.support.xeno_command import Said


@pytest.fixture
def asked(machine: Installation, shop: Shop) -> Installation:
    """A tenant with two open requests: for a customer's data, and one whose deadline is near."""
    machine.sync(machine.connect(shop), "customers")
    machine.execute(
        """
        insert into ops.privacy_requests
            (tenant_id, shop_domain, kind, webhook_id, data_request_id, customer_id, deadline_at)
        select tenant_id, shop_domain, kind, kind, number, (select min(id) from raw.customers), now() + days
        from ops.tenants, (values
            ('customers/data_request', 1, interval '30 days'), ('customers/redact', null, interval '2 days 1 hour')
        ) as asked (kind, number, days)
        """
    )
    return machine


def test_the_list_begins_with_what_must_be_done_next_and_says_how_long_there_is(
    asked: Installation, main: Callable[..., Said]
) -> None:
    near, far = main("privacy", "list").out.splitlines()
    assert "privacy request 2 (customers/redact)" in near
    assert "waiting; 2 days left" in near
    assert "waiting; 30 days left" in far


def test_an_export_prints_where_the_file_is(asked: Installation, main: Callable[..., Said]) -> None:
    path = Path(main("privacy", "export", "1").out.strip())
    assert len(json.loads(path.read_text())["held"]["customers"]) == 1
    assert str(path) in main("privacy", "list").out

    path.unlink()
    printed = json.loads(main("privacy", "export", "1", "--print").out)
    assert len(printed["held"]["customers"]) == 1
    assert not path.exists()
    for wrong in ("2", "3"):
        said = main("privacy", "export", wrong)
        assert (said.exit_code, said.out) == (2, "")
        assert wrong in said.err


@pytest.mark.thorough
def test_run_does_what_is_due_and_after_a_restored_backup_every_redaction_again(
    asked: Installation, main: Callable[..., Said]
) -> None:
    unknown = main("privacy", "run", "77")
    assert (unknown.exit_code, "There is no privacy request 77" in unknown.err) == (2, True)
    assert main("privacy", "run").out.endswith("Privacy requests done: 2.\n")
    redacted, exported = sorted(main("privacy", "list").out.splitlines(), key=lambda line: "exported" in line)
    assert "redacted: 1 row; done" in redacted
    assert "exported; done" in exported
    assert "file:" not in exported, "it was of the person who is redacted by now"

    restored = '{"firstName": "Ada"}'
    asked.execute("update raw.customers set email = 'ada@example.com', payload = payload || %s::jsonb", restored)
    assert main("privacy", "run", "--again").out.endswith("Privacy requests done: 1.\n")
    emptied = asked.query("select id from raw.customers where email is null and payload ->> 'firstName' is null")
    assert emptied == asked.query("select customer_id from ops.privacy_requests where kind = 'customers/redact'")
