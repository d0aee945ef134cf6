"""Checks are named as their users would name them, and open alerts with them.

Revision: 0018
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

RENAMED = {
    "counts_agree_with_shopify": "counts_match_shopify",
    "events_are_taken_in": "webhooks_processed_on_time",
    "no_event_is_dead": "no_dead_letters",
    "records_fit": "records_fit_schema",
    "scopes_are_granted": "scopes_granted",
    "tokens_last": "tokens_not_expiring",
    "marts_are_of_today": "marts_up_to_date",
    "ledger_agrees_with_orders": "ledger_matches_orders",
    "sales_are_known": "sales_classified",
    "dates_are_plausible": "dates_plausible",
    "all_money_is_in_the_shops_currency": "money_in_shop_currency",
    "volume_is_as_usual": "order_volume_as_expected",
    "stores_tell_of_changes": "webhooks_subscribed",
    "privacy_requests_are_in_time": "privacy_deadlines_met",
    "what_is_tried_again_lands": "retried_runs_succeed",
}

STATEMENTS = """
alter table ops.alerts rename told to message;
update ops.alerts set message = substr(message, length(tenant_id) + 3)
where tenant_id <> '' and starts_with(message, tenant_id || ': ');
comment on table ops.alerts is 'Problems that were found: one row for each, from its first finding to its recovery.';
comment on column ops.alerts.kind is 'The check that failed, `run`, or `alerting`.';
comment on column ops.alerts.subject is 'The asset or job that the problem is with.';
comment on column ops.alerts.tenant_id is 'Empty where it is not one tenant''s problem.';
comment on column ops.alerts.last_at is 'When it was last found; until it has recovered it is the same alert.';
comment on column ops.alerts.times is 'How often it was found.';
comment on column ops.alerts.quiet_at is 'When it was first not found any more; it recovers ten minutes later.';
comment on column ops.alerts.raised_at is 'When the message about it was queued.';
comment on column ops.alerts.recovered_at is 'When the message about its recovery was queued.';
comment on table ops.alert_messages is
    'Messages about alerts, each for one channel; queued with the alerts, and retried until they are delivered.';
comment on column ops.alert_messages.due_at is 'When the next attempt is due.'
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
    for old, new in RENAMED.items():
        op.execute(f"update ops.alerts set kind = '{new}' where kind = '{old}'")
