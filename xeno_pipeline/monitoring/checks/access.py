"""Checks of the tenants' tokens and access scopes."""

from __future__ import annotations

from xeno_pipeline.monitoring.checks.check import Check

SCOPES = Check(
    "scopes_granted",
    "Every active tenant's token has the required access scopes, and those of XENO_SHOPIFY_SCOPES.",
    ["shopify.shop"],
    """
    select 'shopify.shop' as subject, tenant_id, null::timestamptz as since,
        'the token lacks ' || string_agg(scope, ', ' order by scope) as message,
        'xeno tenant set-token ' || tenant_id as command
    from ops.tenants
    cross join unnest(%(scopes)s::text[]) as scope
    where status = 'active'
    and scope <> all(access_scopes)
    and replace(scope, 'read_', 'write_') <> all(access_scopes)  -- write access includes read access
    group by tenant_id
    """,
    is_error=False,
)

TOKENS = Check(
    "tokens_not_expiring",
    "Every active tenant has a token, and no refresh token expires within two weeks.",
    ["shopify.shop"],
    """
    select 'shopify.shop' as subject, tenant_id, credentials.updated_at as since,
        case
            when credentials.tenant_id is null then 'there is no token'
            else 'the refresh token expires on ' || to_char(refresh_expires_at at time zone 'UTC', 'YYYY-MM-DD')
                || ' unless the store is synced before'
        end as message,
        case
            when credentials.tenant_id is null then 'xeno tenant set-token ' || tenant_id
            else 'xeno sync ' || tenant_id
        end as command
    from ops.tenants
    left join ops.tenant_credentials credentials using (tenant_id)
    cross join lateral (
        -- https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/offline-access-tokens
        select case when kind = 'expiring' then credentials.updated_at + interval '90 days' end as refresh_expires_at
    ) as refresh_token
    where status = 'active' and (credentials.tenant_id is null or refresh_expires_at < now() + interval '14 days')
    """,
)
