"""Webhook subscriptions of sandbox stores."""

from __future__ import annotations

from shopify_sandbox.spec import DEFAULT_TOKEN
from tests.support.installation import Installation, Shop
from xeno_pipeline.extraction.sync import Syncer
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.subscriptions import Subscriptions
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.subscriptions import Registration, register


def of(shop: Shop) -> Subscriptions:
    return Subscriptions(ShopifyClient(tenant=shop.handle, api_url=shop.api_url, token=DEFAULT_TOKEN))


def register_at(installation: Installation, url: str, *tenants: Tenant) -> list[Registration]:
    syncer = Syncer(installation.database, installation.ring, installation.spool)
    return register(installation.database, syncer.client_of, tenants, url)


def topics_at(shop: Shop, url: str) -> list[str]:
    return sorted(each.topic for each in of(shop).list_all() if each.uri == url and each.is_whole)
