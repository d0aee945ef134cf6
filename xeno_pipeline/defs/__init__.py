"""Everything that knows Dagster: assets, jobs, schedules, the instance. Thin: the work is done elsewhere."""
