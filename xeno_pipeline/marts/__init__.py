"""Transform: from raw rows to marts, with dbt, for any set of tenants at once. Knows no Dagster."""
