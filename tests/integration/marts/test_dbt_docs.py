"""`make dbt-docs` builds the documentation, and serves it on loopback."""

from __future__ import annotations

import threading
import urllib.request

import pytest

from scripts.dbt_docs import build, serve
from tests.support.marts.warehouse import Warehouse

pytestmark = pytest.mark.thorough


def test_the_documentation_is_built_and_served(warehouse: Warehouse) -> None:
    server = serve(build(warehouse.project._settings), port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as answer:
            page = answer.read().decode()
    finally:
        server.shutdown()
        server.server_close()
    assert "gross_sales + discounts + returns" in page
    assert "stg_shopify__orders" in page
