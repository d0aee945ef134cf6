"""Segments are built by rows and by text, saved, shown and removed by who may."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.dashboard import Dashboard, Visitor
from xeno_pipeline.access.scopes import Role
from xeno_pipeline.segments.registry import remove_segment, save_segment

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

NEW = "/stores/shelf/segments/new"
FOLLOW = "/stores/shelf/segments/parts/follow"
QUERY = "number_of_orders >= 1 AND net_sales > 20"


def count(page: str) -> int:
    found = re.search(r'id="count" data-value="(\d+)"', page)
    assert found is not None, page[:2000]
    return int(found[1])


def test_rows_and_text_come_to_the_same_customers(analyst: Visitor, marts: Warehouse) -> None:
    wanted = marts.value(
        "select count(*) from marts.dim_customers where tenant_id = 'shelf' and orders_count >= 1 and net_sales > 20"
    )
    rows = {
        "field.0": "number_of_orders",
        "operator.0": ">=",
        "value.0": "1",
        "field.1": "net_sales",
        "operator.1": ">",
        "value.1": "20",
        "join": "and",
    }
    by_rows = analyst.read(FOLLOW, **{"from": "rows", **rows})
    assert count(by_rows) == wanted
    assert f">{QUERY}</textarea>" in by_rows
    by_text = analyst.read(FOLLOW, **{"from": "text", "query": QUERY})
    assert count(by_text) == wanted
    assert "</textarea>" not in by_text  # who types keeps what they typed
    assert re.findall(r'id="value-\d" value="([^"]*)"', by_text) == ["1", "20"]


def test_a_segment_about_people_shows_a_viewer_no_members(dashboard: Dashboard, marts: Warehouse) -> None:
    with marts.database.connect() as connection:
        saved = save_segment(connection, "shelf", "By domain", "customer_email_domain != 'nowhere.test'")
    marts.transform("shelf")
    page = f"/stores/shelf/segments/{saved.segment_id}"
    for role, is_shown in ((Role.ANALYST, True), (Role.VIEWER, False)):
        visitor = dashboard.sign_in(role, "shelf", email=f"{role}-people@example.com")
        assert ('id="members"' in visitor.read(page)) == is_shown
        assert ("members are shown to those who may see people" in visitor.read(page)) != is_shown
        assert ("about people" in visitor.read("/stores/shelf/segments")) != is_shown
        assert ("By domain" in visitor.read("/stores/shelf/customers")) == is_shown
        for path in (f"{page}/parts/members", f"/stores/shelf/customers?segment={saved.segment_id}"):
            assert visitor.get(path).status_code == (200 if is_shown else 403)
    with marts.database.connect() as connection:
        remove_segment(connection, "shelf", saved.segment_id)


def test_a_text_that_is_wrong_says_where(analyst: Visitor) -> None:
    page = analyst.read(FOLLOW, **{"from": "text", "query": "number_of_order > 1"})
    assert "did you mean number_of_orders" in page
    assert "^</pre>" in page


@pytest.mark.parametrize(
    "query",
    [
        {"from": "rows", "field.0": "number_of_orders", "operator.0": ">=", "value.0": "many"},
        {"from": "rows", "field.0": "number_of_orders", "operator.0": "; drop", "value.0": "1"},
        {"from": "rows", "field.0": "password", "operator.0": "=", "value.0": "1"},
        {"from": "rows", "field.0": "(query)", "value.0": ") OR (net_sales > 1"},
        {"from": "rows", "remove": "99"},
        {"from": "text", "query": "\0"},
        {"from": "text", "query": "(" * 5_000},
        {},
    ],
)
def test_a_builder_that_sends_nonsense_is_answered(analyst: Visitor, query: dict[str, str]) -> None:
    assert 'id="rules"' in analyst.read(FOLLOW, **query)


def test_a_segment_is_saved_shown_changed_and_removed(analyst: Visitor, viewer: Visitor, marts: Warehouse) -> None:
    saved = analyst.post("/stores/shelf/segments", NEW, name="Good ones", description="", query=QUERY)
    assert saved.status_code == 303
    path = saved.headers["location"]
    assert "counted with the next update" in analyst.read(path)
    marts.transform("shelf")
    page = viewer.read(path)
    members = marts.value("select customers from marts.segments where tenant_id = 'shelf' and name = 'Good ones'")
    assert f'data-value="{members}"' in page
    assert viewer.read(f"{path}/parts/members").count("<tr>") == min(members, 15) + 1
    assert "Good ones" in viewer.read("/stores/shelf/segments")
    changed = analyst.post(path, f"{path}/edit", name="Good <ones>", description="d", query=QUERY)
    assert changed.status_code == 303
    assert "Good &lt;ones&gt;" in analyst.get(path).text
    taken = analyst.post("/stores/shelf/segments", NEW, name="good <ONES>", query=QUERY)
    assert (taken.status_code, "choose another name" in taken.text) == (400, True)
    wrong = analyst.post(path, f"{path}/edit", name="Good ones", query="nonsense")
    assert wrong.status_code == 400
    assert analyst.post(f"{path}/remove", path).status_code == 303
    assert analyst.get(path).status_code == 404


def test_a_viewer_changes_nothing(dashboard: Dashboard, viewer: Visitor) -> None:
    assert "Save</button>" not in viewer.read(NEW)
    for path in ("/stores/shelf/segments", "/stores/shelf/segments/1", "/stores/shelf/data/sync"):
        assert viewer.post(path, "/stores/shelf", name="x", query=QUERY).status_code == 403
    elsewhere = dashboard.sign_in(Role.ANALYST, "void", email="elsewhere@example.com")
    assert elsewhere.post("/stores/shelf/segments", "/stores/void", name="x", query=QUERY).status_code == 404


def test_an_operator_requests_a_sync_and_sees_it_wait(dashboard: Dashboard, marts: Warehouse) -> None:
    operator = dashboard.sign_in(Role.OPERATOR)
    for _ in range(2):  # the second is the first one
        assert operator.post("/stores/shelf/data/sync", "/stores/shelf/data").status_code == 303
    asked = "select sync_id, requested_by from ops.syncs where tenant_id = 'shelf' and state = 'queued'"
    [(sync_id, by)] = marts.query(asked)
    assert by.startswith("person-")
    part = operator.read("/stores/shelf/data/parts/syncs")
    assert f'data-sync="{sync_id}" data-state="queued"' in part
    assert 'hx-trigger="load delay:2s"' in part  # it looks again
    marts.execute(
        "update ops.syncs set state = 'failed', finished_at = now(), reason = 'r' where sync_id = %s", sync_id
    )
    assert "hx-trigger" not in operator.read("/stores/shelf/data/parts/syncs")
