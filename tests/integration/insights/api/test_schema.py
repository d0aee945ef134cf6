"""Requests made from the API's own description, by Schemathesis: every answer is one that it documents."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support.insights import STORES, Api

_QUICK, _THOROUGH = 60, 10_000


def run(api: Api, key: str, requests: int) -> None:
    """Make requests to all operations and check each answer: status, media type, schema and headers as documented."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", api.client.app, config=SchemathesisConfig())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    share = max(1, requests // len(operations))
    statuses: set[int] = set()

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
        @given(cases, st.sampled_from([*STORES, None]))
        def check(case: schemathesis.Case[Any], store: str | None) -> None:
            if store is not None and "store" in (case.path_parameters or {}):
                case.path_parameters["store"] = store
            answer = case.call(headers={"Authorization": f"Bearer {key}"})
            statuses.add(answer.status_code)
            case.validate_response(answer, excluded_checks=EXCLUDED)
            assert answer.status_code < 500
            assert b"Traceback" not in answer.content

        check()
    assert {200, 404, 422} <= statuses


# A description cannot say that a period begins before it ends, nor which cursors there are.
EXCLUDED: list[Any] = [positive_data_acceptance]


def test_a_share(api: Api, key: str) -> None:
    run(api, key, _QUICK)


@pytest.mark.slow
def test_ten_thousand_requests(api: Api, key: str) -> None:
    run(api, key, _THOROUGH)
