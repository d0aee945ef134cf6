"""Everything that knows Dagster: assets, checks, jobs, schedules, sensors, resources, partitions, and the instance.

These modules are thin: each op, asset or check calls the packages beside this one, which a script can use without
Dagster. `build` assembles the code location; `dagster_internals` is the only module that uses Dagster's private API.
"""
