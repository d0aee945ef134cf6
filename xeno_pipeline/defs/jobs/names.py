"""The names of the jobs, and of the op of each that takes the tenants. It imports no ops, so it is cheap to import."""

SYNC_JOB = "sync"
RECONCILE_JOB = "reconcile"
TRANSFORM_JOB = "transform_marts"
EVENTS_JOB = "events"
PRIVACY_JOB = "privacy"
SUBSCRIPTIONS_JOB = "webhook_subscriptions"
RETENTION_JOB = "retention"
CHECKS_JOB = "checks"
DBT_TESTS_JOB = "dbt_tests"

TENANTS_OPS = {
    SYNC_JOB: "extract_tenants",
    RECONCILE_JOB: "reconcile_tenants",
    TRANSFORM_JOB: "build_marts",
    SUBSCRIPTIONS_JOB: "ensure_subscriptions",
}
"""By job, the op whose configuration is a `TenantsConfig`."""

PRIVACY_OP = "process_privacy_requests"
