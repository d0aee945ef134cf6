"""Tables and lines about tenants, roles and findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from xeno_pipeline.cli.terminal import echo, make_table, out, warn

if TYPE_CHECKING:
    from xeno_pipeline.access.grants import Grant, OpenSession, Subject
    from xeno_pipeline.database.roles import Address, BiRole, KnownBiRole
    from xeno_pipeline.extraction.reconciliation_results import Reconciliation
    from xeno_pipeline.extraction.state import SyncState
    from xeno_pipeline.monitoring.doctor.diagnosis import Diagnosis
    from xeno_pipeline.raw.set_aside import SetAside
    from xeno_pipeline.tenants.registry import Tenant
    from xeno_pipeline.tenants.subscriptions import Registration
    from xeno_pipeline.tenants.usage import TenantUsage

_MOST_SET_ASIDE = 20


def show_tenants(tenants: Iterable[Tenant], used: Mapping[str, TenantUsage] | None = None) -> None:
    """Print the tenants as a table, with the API points that they used where these are given."""
    facts = ("tenant", "shop", "currency", "time zone", "plan", "status", "sees all orders")
    table = make_table(*facts, *(("points today", "this month", "limit") if used else ()))
    for tenant in tenants:
        sees = "yes" if tenant.sees_all_orders else "only 60 days"
        shown = [tenant.tenant_id, tenant.name, tenant.currency, tenant.iana_timezone, tenant.plan, tenant.status, sees]
        table.add_row(*shown, *(_points(used[tenant.tenant_id]) if used else ()))
    out.print(table)


def _points(usage: TenantUsage) -> tuple[str, str, str]:
    limit = "none" if usage.monthly_limit is None else f"{usage.monthly_limit:,}"
    return f"{usage.today:,.0f}", f"{usage.month:,.0f}", limit


def show_reconciliations(found: Sequence[Reconciliation]) -> None:
    """Print what the last reconciliations found, as far as there were any."""
    if not found:
        return
    table = make_table("tenant", "stream", "reconciled", "at Shopify", "in raw", "read again", "deleted", "refreshed")
    for last in found:
        counts = [last.at_shopify, last.in_raw, last.read_again, last.deleted, last.refreshed]
        shown = ["?" if count is None else f"{count:,}" for count in counts]
        table.add_row(last.tenant_id, last.stream, f"{last.started_at:%Y-%m-%d %H:%M %Z}", *shown)
    out.print(table)


def show_tenant(tenant: Tenant, states: Mapping[str, SyncState], used: Mapping[str, TenantUsage]) -> None:
    """Print one tenant, and how far each of its streams was read."""
    show_tenants([tenant], used)
    echo(f"domain {tenant.shop_domain}, API {tenant.api_url}, {tenant.shop_gid}")
    echo(f"access scopes: {', '.join(tenant.access_scopes)}")
    table = make_table("stream", "history read", "changes read up to", "last sync")
    for name, state in states.items():
        instants = (state.history_loaded_at, state.cursor_at, state.synced_at)
        table.add_row(name, *(f"{i:%Y-%m-%d %H:%M:%S %Z}" if i else "never" for i in instants))
    out.print(table)


def show_absent(tenant_id: str, counts: Mapping[tuple[str, str], int]) -> None:
    """Print how many of a tenant's webhooks were about what Shopify does not show, and what can be done."""
    for (stream, absence), count in counts.items():
        what = f"{count:,} webhook{'s' * (count != 1)} of {stream}"
        if absence == "not visible":
            echo(
                f"{what} named what the token cannot see, being older than 60 days. Once it has the access scope "
                f"read_all_orders, `xeno sync {tenant_id} --stream {stream} --full` reads it."
            )
        else:
            echo(f"{what} named what Shopify did not show for hours, so it was deleted.")


def show_set_aside(found: Sequence[SetAside]) -> None:
    """Print what of a tenant does not fit, the longest first, as far as there is any."""
    if not found:
        return
    shown = found[:_MOST_SET_ASIDE]
    of = f"the first {len(shown)} of {len(found):,}" if len(shown) < len(found) else f"{len(found)}"
    warn(f"Set aside, since they do not fit ({of}); each is read again when it changes at Shopify:")
    table = make_table("set aside", "of", "since", "reason")
    for aside in shown:
        since = f"{aside.first_seen_at:%Y-%m-%d %H:%M %Z}"
        table.add_row(Text(aside.name), aside.object, since, Text(aside.reason))
    out.print(table)


def show_registrations(registrations: Iterable[Registration]) -> None:
    """Print what became of tenants' webhook subscriptions as a table, and why some are missing."""
    table = make_table("tenant", "created", "updated", "deleted", "missing", "of others")
    problems: list[str] = []
    for done in registrations:
        counts = (done.created, done.updated, done.deleted)
        missing = ", ".join(done.missing) or ("unknown" if done.error else "none")
        table.add_row(done.tenant_id, *(str(len(topics)) for topics in counts), missing, ", ".join(done.foreign))
        problems += [done.error] if done.error else []
    out.print(table)
    for problem in problems:
        warn(problem)


def show_bi_role(role: BiRole, address: Address | None, wanted_port: int | None) -> None:
    """Print how a BI tool connects with its role; the password is seen this once.

    Args:
        role: its role.
        address: where roles with a password connect; None where they cannot.
        wanted_port: the TCP port that an embedded server is to have by the settings.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    if address is not None:
        table.add_row("host", address.host)
        table.add_row("port", str(address.port))
        table.add_row("database", address.database)
    table.add_row("user", role.name)
    table.add_row("password", f"{role.password}  (shown this once)")
    out.print(table)
    if address is not None:
        echo(f"psql {address.url(role.name)}")
        echo(address.url(role.name, role.password))
    if address is None and wanted_port is None:
        warn(
            "The embedded database listens on its owner's socket alone, where no other role may connect: set "
            "XENO_POSTGRES_PORT (5433, for example) and run `xeno db stop`; the next command starts it with that port."
        )
    elif wanted_port is not None and (address is None or address.port != wanted_port):
        warn(
            f"The embedded database was started before XENO_POSTGRES_PORT={wanted_port} was set, and does not listen "
            "there yet: run `xeno db stop`; the next command starts it with that port."
        )


def show_bi_roles(roles: Sequence[KnownBiRole]) -> None:
    """Print the roles of BI tools; no password."""
    table = make_table("tenant", "name", "user", "created", "logs in")
    for role in roles:
        facts = (role.tenant_id or "all", role.tool, role.name, _day(role.created_at))
        table.add_row(*facts, "yes" if role.may_log_in else "not while suspended")
    out.print(table)


def show_access(subjects: Sequence[Subject], sessions: Sequence[OpenSession]) -> None:
    """Print people and keys, what each may do, and who is signed in; no secret."""
    table = make_table("name", "may", "sessions", "last used", "expires")
    for subject in subjects:
        signed_in = f"{subject.sessions}{', link open' if subject.has_link else ''}" if subject.is_person else ""
        may = "; ".join(map(_grant, subject.grants))
        table.add_row(
            Text(subject.name),
            may,
            signed_in,
            _day(subject.last_used_on),
            "" if subject.is_person else _day(subject.expires_at),
        )
    out.print(table)
    if sessions:
        table = make_table("session", "person", "signed in", "last used", "ends")
        for session in sessions:
            days = (session.created_at, session.last_used_on, session.expires_at)
            table.add_row(session.name, Text(session.email), *map(_day, days))
        out.print(table)


def _grant(grant: Grant) -> str:
    return f"{grant.tenant_id or 'all stores'}: {grant.role or ', '.join(grant.scopes)}"


def _day(day: date | None) -> str:
    return f"{day:%Y-%m-%d}" if day else "never"


def show_diagnoses(diagnoses: Sequence[Diagnosis]) -> None:
    """Print what `xeno doctor` found, each problem with its remedy."""
    from xeno_pipeline.monitoring.doctor.diagnosis import State

    styles = {State.OK: "green", State.WARNING: "bold yellow", State.WRONG: "bold red"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for diagnosis in diagnoses:
        text = " ".join(part for part in (diagnosis.message, diagnosis.remedy) if part)
        table.add_row(Text(diagnosis.state, styles[diagnosis.state]), Text(diagnosis.subject), Text(text))
    out.print(table)
