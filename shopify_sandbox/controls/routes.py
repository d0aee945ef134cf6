"""The control endpoints: what a test or the demo does to a store, and what it may ask. JSON in, JSON out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from shopify_sandbox.api import AdminApi, Stats
from shopify_sandbox.controls.changes import CHANGES
from shopify_sandbox.controls.changes.shop import update_shop
from shopify_sandbox.controls.changes.subject import Touched
from shopify_sandbox.controls.report import sales_report
from shopify_sandbox.controls.silent import SILENT
from shopify_sandbox.model.times import instant
from shopify_sandbox.spec import PLANS
from shopify_sandbox.stores import Stores
from shopify_sandbox.webhooks.payloads import of_shop, webhooks_of
from shopify_sandbox.webhooks.sender import subscription_of
from shopify_sandbox.webhooks.subscriptions import Subscriptions


class ControlRoutes:
    """`POST /{handle}/sandbox/{action}` and `GET /{handle}/sandbox/{name}`."""

    def __init__(self, apis: Stores) -> None:
        self._apis = apis

    async def post(self, request: Request) -> Response:
        """Do something to a store."""
        api, action = self._apis.get(request.path_params["handle"]), _ACTIONS.get(request.path_params["action"])
        if api is None or action is None:
            return _json({"error": f"There is no {request.url.path}."}, 404)
        try:
            body = orjson.loads(await request.body() or b"{}")
            return _json(await run_in_threadpool(_locked, action, api, body))
        except (orjson.JSONDecodeError, ValueError, KeyError, TypeError) as problem:
            return _json({"error": str(problem)}, 422)

    async def stats(self, request: Request) -> Response:
        """What happened at a store's API since the last reset."""
        api = self._apis.get(request.path_params["handle"])
        return _json({"error": "There is no such store."}, 404) if api is None else _json(api.stats)

    async def report(self, request: Request) -> Response:
        """A store's own sales report: `from` and `to` (days, both included) and `by` (`day` or `month`)."""
        api = self._apis.get(request.path_params["handle"])
        if api is None:
            return _json({"error": "There is no such store."}, 404)
        try:
            first, last = (date.fromisoformat(request.query_params[name]) for name in ("from", "to"))
        except (KeyError, ValueError):
            return _json({"error": "The report needs from= and to=, days such as 2026-06-30."}, 422)
        by = request.query_params.get("by", "day")
        if by not in ("day", "month"):
            return _json({"error": f"The report is by day or by month, not by {by}."}, 422)
        return _json(await run_in_threadpool(sales_report, api.store, first, last, by))


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")


def _locked(action: Callable[[AdminApi, dict[str, Any]], Any], api: AdminApi, body: dict[str, Any]) -> Any:
    with api.store.changing():
        return action(api, body)


def _faults(api: AdminApi, body: dict[str, Any]) -> Any:
    if body.get("clear"):
        api.faults.clear()
    api.faults.order(body.get("faults", []))
    return {"waiting": api.faults.waiting()}


def _tokens(api: AdminApi, body: dict[str, Any]) -> Any:
    api.store.overlay.set("tokens", [str(token) for token in body["tokens"]])
    return {"tokens": body["tokens"]}


def _scopes(api: AdminApi, body: dict[str, Any]) -> Any:
    api.store.overlay.set("scopes", [str(scope) for scope in body["scopes"]])
    return {"scopes": api.store.scopes}


def _withhold_orders(api: AdminApi, body: dict[str, Any]) -> Any:
    """Show the orders of 60 days only, whatever scopes the token is granted; `withhold: false` ends it."""
    api.store.overlay.set("withholds_orders", bool(body.get("withhold", True)))
    return {"sees_all_orders": api.store.sees_all_orders}


def _oauth(api: AdminApi, body: dict[str, Any]) -> Any:
    """Any of `app` (client_id, client_secret), `refuse` (whether the merchant declines), `expire` and `revoke`."""
    if "app" in body:
        api.oauth.set_app(str(body["app"]["client_id"]), str(body["app"]["client_secret"]))
    if "refuse" in body:
        api.oauth.refuse(refuses=bool(body["refuse"]))
    if body.get("expire"):
        api.oauth.expire()
    if body.get("revoke"):
        api.oauth.revoke()
    return {}


def _plan(api: AdminApi, body: dict[str, Any]) -> Any:
    if body["plan"] not in PLANS:
        raise ValueError(f"{body['plan']!r} is no plan: {', '.join(PLANS)}.")
    api.store.overlay.set("plan", body["plan"])
    api.bucket.set_plan(body["plan"])
    return {"plan": api.store.plan}


def _latency(api: AdminApi, body: dict[str, Any]) -> Any:
    api.latency = float(body["seconds"])
    return {"seconds": api.latency}


def _clock(api: AdminApi, body: dict[str, Any]) -> Any:
    at = None if body.get("at") is None else datetime.fromisoformat(body["at"])
    if at is not None and at.tzinfo is None:
        raise ValueError("The clock needs a time with a zone, such as 2026-06-30T00:00:00Z.")
    fixed = None if at is None else instant(at)
    api.store.overlay.set("clock_fixed", fixed)
    api.store.overlay.set("clock_offset", int(body.get("offset_seconds", 0)))
    return {"now": api.store.now()}


def _reset_stats(api: AdminApi, _body: dict[str, Any]) -> Any:
    api.stats = Stats()
    return {}


def _webhooks(api: AdminApi, body: dict[str, Any]) -> Any:
    """Subscribe to a store's webhooks, where the request says how; tell what became of those that were sent."""
    if body:
        api.webhooks.subscribe(subscription_of(body))
    return api.webhooks.counts()


def _drop_subscriptions(api: AdminApi, body: dict[str, Any]) -> Any:
    """Delete the webhook subscriptions of a `topic`, or all, as Shopify does after failures."""
    return {"dropped": Subscriptions(api.store).drop(body.get("topic"))}


def _rename(api: AdminApi, body: dict[str, Any]) -> Any:
    """Give the store the `handle`: the former one sends on, and a webhook tells."""
    handle = str(body["handle"])
    api.rename(handle)
    update_shop(api.store, domain=f"{handle}.myshopify.com")
    api.webhooks.send([("shop/update", of_shop(api.store))])
    return {"handles": api.handles}


def _uninstall(api: AdminApi, _body: dict[str, Any]) -> Any:
    """Remove the app: its tokens and subscriptions are deleted, and one last webhook reports it."""
    api.webhooks.send([("app/uninstalled", of_shop(api.store))])
    api.store.overlay.set("tokens", [])
    api.oauth.revoke()
    return {"dropped": Subscriptions(api.store).drop(None)}


def _silent(happen: Callable[..., None]) -> Callable[[AdminApi, dict[str, Any]], Any]:
    def happened(api: AdminApi, body: dict[str, Any]) -> Any:
        happen(api.store, **body)
        return {}

    return happened


def _change(name: str, change: Callable[..., Touched]) -> Callable[[AdminApi, dict[str, Any]], Touched]:
    def changed(api: AdminApi, body: dict[str, Any]) -> Touched:
        touched = change(api.store, **body)
        # Whoever reads an object back on its webhook waits for the store's lock, and so for this change's commit.
        api.webhooks.send(webhooks_of(api.store, name, touched))
        return touched

    return changed


_ACTIONS: dict[str, Callable[[AdminApi, dict[str, Any]], Any]] = {
    **{name: _change(name, change) for name, change in CHANGES.items()},
    **{f"silent/{name}": _silent(happen) for name, happen in SILENT.items()},
    "faults": _faults,
    "tokens": _tokens,
    "scopes": _scopes,
    "orders/withhold": _withhold_orders,
    "oauth": _oauth,
    "plan": _plan,
    "latency": _latency,
    "clock": _clock,
    "webhooks": _webhooks,
    "webhooks/drop": _drop_subscriptions,
    "uninstall": _uninstall,
    "rename": _rename,
    "stats/reset": _reset_stats,
}
