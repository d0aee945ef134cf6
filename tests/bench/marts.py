"""What a transform costs: what changed, whatever the size of the tenant and however many tenants there are.

What is compared, in one run: transforms after ten changed orders in tenants of 200,000 and of 2,000 orders, in one and
in forty tenants, and with nothing to do; the latter with what dbt takes for one trivial model; and the first build of
the large tenant with the same SELECTs, run by hand in psql as INSERT into identical, indexed tables.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.machine import stores_in_raw
from tests.bench.trivial_dbt import trivial_run
from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.embedded import program
from xeno_pipeline.database.statistics import refresh_statistics
from xeno_pipeline.marts.dbt import DbtProject
from xeno_pipeline.marts.scope import Scope, complete_transform, open_scope
from xeno_pipeline.marts.transform import TransformRequest, transform

LARGE, SMALL = "large", "small"
ORDERS = {LARGE: 200_000, SMALL: 2_000, **{f"shop-{number:02}": 500 for number in range(40)}}
_CHANGED = 10
_ROUNDS = 5

# As a late edit does: an amount in the order's own agreement.
_CHANGE = """
    with changed as (
        select tenant_id, id from raw.orders
        where tenant_id = %(tenant)s and deleted_at is null and not is_test
        order by md5(id::text || %(salt)s) limit %(count)s
    ),
    edited as (
        update raw.order_sales sales set total_amount = total_amount + 1
        from changed
        join raw.order_agreements agreements on agreements.order_id = changed.id
        where agreements.tenant_id = %(tenant)s and sales.tenant_id = %(tenant)s
        and sales.agreement_id = agreements.id and agreements.reason = 'ORDER'
    )
    insert into ops.changes (tenant_id, object, object_id) select tenant_id, 'orders', id from changed
    """


@dataclass(frozen=True)
class _Bench:
    database: Database
    project: DbtProject

    def changed(self, tenants: Sequence[str]) -> Callable[[], float]:
        """Seconds of a transform after ten changed orders in each tenant."""
        salts = itertools.count()

        def measure() -> float:
            salt = str(next(salts))
            with self.database.connect() as connection:
                for tenant in tenants:
                    connection.execute(_CHANGE, {"tenant": tenant, "salt": salt, "count": _CHANGED})
            return self.transform(tenants)

        return measure

    def transform(self, tenants: Sequence[str]) -> float:
        """Seconds of a transform, due or not."""
        started = time.perf_counter()
        report = transform(self.database, self.project, TransformRequest(tenants, only_due=False))
        assert not report.failures
        return time.perf_counter() - started


def run(folder: Path, orders: Mapping[str, int] = ORDERS, rounds: int = _ROUNDS) -> dict[str, float]:
    """Measure.

    Args:
        folder: an empty one, for a server and stores of the benchmark's own.
        orders: of the `large` store, of the `small` one, and of each of the forty.
        rounds: of which the figures are medians.

    Returns:
        Ratios, and the seconds that they are made of: `nothing_to_do_over_trivial_model`,
        `changed_over_nothing_to_do`, `large_over_small`, `forty_over_one` and `first_build_over_by_hand`.
    """
    forty = [handle for handle in orders if handle not in (LARGE, SMALL)]
    with stores_in_raw(folder, orders) as (database, project):
        bench = _Bench(database, project)
        bench.transform([SMALL, *forty])
        first_build, by_hand = _build_first(bench)  # beside others' rows, as a large store joins
        _vacuum(database)
        seconds = _alternate(
            {
                "trivial_model": trivial_run(database, folder / "trivial"),
                "nothing_to_do": lambda: bench.transform([LARGE]),
                "large": bench.changed([LARGE]),
                "small": bench.changed([SMALL]),
                "one": bench.changed(forty[:1]),
                "forty": bench.changed(forty),
            },
            rounds,
        )
    return {
        "nothing_to_do_over_trivial_model": seconds["nothing_to_do"] / seconds["trivial_model"],
        "changed_over_nothing_to_do": seconds["large"] / seconds["nothing_to_do"],
        "large_over_small": seconds["large"] / seconds["small"],
        "forty_over_one": seconds["forty"] / seconds["one"],
        "first_build_over_by_hand": first_build / by_hand,
        **{f"{name}_seconds": value for name, value in seconds.items()},
        "first_build_seconds": first_build,
        "by_hand_seconds": by_hand,
    }


def _build_first(bench: _Bench) -> tuple[float, float]:
    """Seconds of the first build of the large tenant, and of the same by hand."""
    compiled = {node.name: node.raw_code for node in bench.project._tables_manifest.nodes.values()}
    _vacuum(bench.database)
    started = time.perf_counter()
    refresh_statistics(bench.database, "raw")
    with open_scope(bench.database, [LARGE], as_of=None, project_version=bench.project.version) as scope:
        nodes = bench.project.make_tables(scope.transform_id)
        assert not [node for node in nodes if node.failed]
        tables = [node.name for node in nodes if node.unique_id.startswith("model.")]
        seconds = time.perf_counter() - started
        by_hand = sum(_insert_by_hand(bench, scope, name, compiled[name]) for name in tables)
        started = time.perf_counter()
        complete_transform(bench.database, scope, bench.project.version)
        return seconds + time.perf_counter() - started, by_hand


def _vacuum(database: Database) -> None:
    """Do what autovacuum would soon do, in the midst of one of those that are compared."""
    with database.connect(autocommit=True) as connection:
        connection.execute("vacuum analyze")


def _insert_by_hand(bench: _Bench, scope: Scope, name: str, select: str) -> float:
    """Seconds of the SELECT of a model as INSERT into a twin of its table, in psql."""
    schema = "intermediate" if _is_in(bench, "intermediate", name) else "marts"
    twin = f"by_hand_{name}"
    with bench.database.connect() as connection:
        connection.execute(f"create table {twin} (like {schema}.{name} including all)")
    session = (
        f"-c xeno.transform_id={scope.transform_id} -c join_collapse_limit=11 -c from_collapse_limit=11 -c jit=off"
    )
    command = [
        str(program("psql")),
        bench.database.url,
        "-qXv",
        "ON_ERROR_STOP=1",
        "-c",
        f"insert into {twin} {select}",
    ]
    started = time.perf_counter()
    subprocess.run(command, env={**os.environ, "PGOPTIONS": session}, check=True, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - started
    with bench.database.connect() as connection:
        connection.execute(f"drop table {twin}")
    return seconds


def _is_in(bench: _Bench, schema: str, name: str) -> bool:
    with bench.database.connect() as connection:
        return connection.execute("select to_regclass(%s) is not null", [f"{schema}.{name}"]).fetchone() == (True,)


def _alternate(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of some rounds of each; taken in turns, so that a busy moment is nobody's alone."""
    taken = [{name: measure() for name, measure in measures.items()} for _ in range(rounds + 1)]
    return {name: median(each[name] for each in taken[1:]) for name in measures}  # the first one warms the caches
