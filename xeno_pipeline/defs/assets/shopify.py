"""Shopify's objects as external assets, one for each stream: where the lineage of every mart starts."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from xeno_pipeline.defs.assets.columns import describe_source
from xeno_pipeline.defs.code_references import references, to_file
from xeno_pipeline.defs.partitions import TENANTS
from xeno_pipeline.extraction.streams import CARTS, SHOP, STREAM_NAMES, STREAMS
from xeno_pipeline.raw import tables as raw
from xeno_pipeline.raw.tables import tree
from xeno_pipeline.settings import PROJECT_DIR

_SHOPIFY = PROJECT_DIR / "xeno_pipeline" / "shopify"
_ROOTS = {SHOP: raw.SHOPS, CARTS: raw.CARTS, **{stream.name: stream.root for stream in STREAMS}}


def shopify_key(stream: str) -> dg.AssetKey:
    """The asset of a stream."""
    return dg.AssetKey(["shopify", stream])


def _spec(stream: str, origin: str) -> dg.AssetSpec:
    spec = dg.AssetSpec(
        shopify_key(stream),
        group_name="shopify",
        kinds={"shopify"},
        tags={"xeno/stream": stream},
        partitions_def=TENANTS,
        description=f"{stream.replace('_', ' ').capitalize()} of each store, {origin}.",
        metadata={**references(to_file(_query(stream)))},
    )
    return describe_source(spec, tree(_ROOTS[stream]))


def _query(stream: str) -> Path:
    query = _SHOPIFY / "queries" / f"{stream}.graphql"
    return query if query.exists() else _SHOPIFY / "webhooks.py"


SHOPIFY_ASSETS = [
    *(_spec(stream, "from Shopify's Admin API") for stream in STREAM_NAMES),
    _spec(CARTS, "from Shopify's webhooks only: its Admin API does not have them"),
]
