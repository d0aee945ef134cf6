"""Requests made from the API's own description, by Schemathesis.

Every answer is one that it documents, and none shows anything of a store, or of a person, that the key may not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.support.insights import STORES, Api, api_over
from tests.support.serving import key_for
from xeno_pipeline.access.scopes import Scope

if TYPE_CHECKING:
    from tests.support.marts.warehouse import Warehouse

_QUICK, _THOROUGH = 60, 10_000

MARKER = "PLANTED"
"""In every text of the store that no key here sees, and in what says who a customer is."""

_PLANT = (
    f"update marts.fct_orders set order_name = '{MARKER}' || order_id where tenant_id = 'shelf'",
    f"update marts.fct_order_lines set title = '{MARKER}' || order_line_id where tenant_id = 'shelf'",
    f"update marts.dim_products set title = '{MARKER}' || product_id where tenant_id = 'shelf'",
    f"update marts.dim_tenants set shop_name = '{MARKER}' where tenant_id = 'shelf'",
    f"update intermediate.int_customers set country_code = '{MARKER}' where tenant_id = 'shelf'",
    f"""
    update intermediate.int_customers
    set email = '{MARKER}' || customer_id, phone = '{MARKER}', first_name = '{MARKER}', last_name = '{MARKER}'
    """,
)

# A description cannot say that a period begins before it ends, nor which cursors there are. And what makes a request
# invalid may not be sent: a parameter that is an empty list, a header or a path that are set here.
_EXCLUDED: list[Any] = [positive_data_acceptance, negative_data_rejection]


@pytest.fixture(scope="module")
def planted(template: Warehouse, make_warehouse: Callable[..., Warehouse]) -> Iterator[tuple[Warehouse, Api]]:
    """A copy of the stores, one of them marked, and an API over it."""
    copy = make_warehouse(template)
    for statement in _PLANT:
        copy.execute(statement)
    with api_over(copy.database) as api:
        yield copy, api


@pytest.fixture(scope="module")
def borrowed(planted: tuple[Warehouse, Api]) -> dict[str, list[str]]:
    """Ids and cursors of the marked store."""
    warehouse, api = planted
    key = key_for(warehouse.database, None, *Scope)
    ids, cursors = [], []
    for path, name in (("orders", "order_id"), ("customers", "customer_id"), ("products", "product_id")):
        page = api.get(f"/stores/shelf/{path}", key, limit=3).json()
        ids += [str(row[name]) for row in page["data"]]
        cursors.append(page["next"])
    assert MARKER in api.get("/stores/shelf/customers", key).text
    return {"id": ids, "cursor": cursors}


def run(api: Api, key: str, requests: int, borrowed: dict[str, list[str]]) -> None:
    """Make requests to all operations and check each answer: status, media type, schema and headers as documented."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", api.client.app, config=SchemathesisConfig())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    share = max(1, requests // len(operations))
    statuses: set[int] = set()
    ids, cursors = (st.sampled_from([None, *borrowed[kind]]) for kind in ("id", "cursor"))

    for operation in operations:
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode))

        @settings(
            max_examples=share,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, st.sampled_from([*STORES, None]), ids, cursors)
        def check(case: schemathesis.Case[Any], store: str | None, number: str | None, cursor: str | None) -> None:
            given_parameters = case.path_parameters or {}
            if store is not None and "store" in given_parameters:
                given_parameters["store"] = store
            for name in given_parameters:
                if number is not None and name.endswith("_id"):
                    given_parameters[name] = number
            if cursor is not None and case.query and "cursor" in case.query:
                case.query["cursor"] = cursor
            answer = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=120)
            statuses.add(answer.status_code)
            case.validate_response(answer, excluded_checks=_EXCLUDED)
            assert answer.status_code < 500
            assert b"Traceback" not in answer.content
            assert MARKER.encode() not in answer.content

        check()
    assert {200, 404, 422} <= statuses


@pytest.mark.thorough
def test_a_share(planted: tuple[Warehouse, Api], borrowed: dict[str, list[str]]) -> None:
    warehouse, api = planted
    run(api, key_for(warehouse.database, ["depot"], Scope.SEGMENTS, Scope.SYNC), _QUICK, borrowed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_requests(planted: tuple[Warehouse, Api], borrowed: dict[str, list[str]]) -> None:
    warehouse, api = planted
    run(api, key_for(warehouse.database, ["depot"], Scope.SEGMENTS, Scope.SYNC), _THOROUGH // 2, borrowed)
    run(api, key_for(warehouse.database, ["depot"]), _THOROUGH // 2, borrowed)
