"""What an operator asks of stores: a limit of their points, a comparison with Shopify, a span of days read again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support.installation import Installation, Shop
from tests.support.xeno_command import Said


@pytest.mark.thorough
def test_a_store_is_compared_with_shopify_and_the_points_that_this_took_are_shown(
    main: Callable[..., Said], machine: Installation, shelf: Shop
) -> None:
    machine.sync(machine.connect(shelf))

    compared = main("reconcile", "shelf")
    assert compared.exit_code == 0, compared.err
    assert re.search(r"^shelf +orders .* (\d+) +\1 +0 +0 +0$", compared.out, re.MULTILINE)

    assert main("tenant", "limit", "shelf", "5000").out == "shelf is limited to 5,000 points a month.\n"
    assert re.search(r"^shelf .* ([1-9]\d*) +\1 +5,000$", main("tenant", "list").out, re.MULTILINE)
    assert re.search(r"^shelf +orders .* UTC", main("tenant", "show", "shelf").out, re.MULTILINE)
    assert main("tenant", "limit", "shelf").out == "shelf has no monthly limit.\n"


def test_a_tenant_is_shown_with_what_of_it_does_not_fit(
    main: Callable[..., Said], machine: Installation, void: Shop
) -> None:
    machine.connect(void)
    assert "Set aside" not in main("tenant", "show", "void").err

    machine.execute(
        """
        insert into ops.set_aside (tenant_id, object, object_id, gid, reason, first_seen_at, last_seen_at)
        select 'void', 'orders', id, 'gid://shopify/Order/' || id, 'name is no text', now(), now()
        from generate_series(1, 21) as id
        """
    )

    shown = main("tenant", "show", "void")
    assert "Set aside, since they do not fit (the first 20 of 21)" in shown.err
    rows = re.findall(r"^gid://shopify/Order/\d+ +orders +\d+-.* UTC +name is no text *$", shown.out, re.MULTILINE)
    assert len(rows) == 20


def test_days_that_are_none_are_refused_at_once(main: Callable[..., Said], machine: Installation) -> None:
    assert "'yesterday' is not a date" in main("sync", "--full", "--since", "yesterday").err
    assert "give --full too" in main("sync", "--since", "2026-03-01").err
    assert "no day from 2026-03-02" in main("sync", "--full", "--since", "2026-03-02", "--until", "2026-03-01").err
