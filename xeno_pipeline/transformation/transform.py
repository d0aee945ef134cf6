"""Making the marts of tenants: one dbt run for all of them, and where it fails, without the guilty ones."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from xeno_pipeline.errors import XenoError
from xeno_pipeline.transformation.dbt import NO_TENANTS, DbtError, DbtProject, NodeResult, NodeSink
from xeno_pipeline.transformation.scope import due_tenants, marts_are_made, open_scope
from xeno_pipeline.transformation.test_results import keep_test_results
from xeno_pipeline.warehouse.connection import Database
from xeno_pipeline.warehouse.statistics import refresh_statistics

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TransformRequest:
    """What to transform.

    Args:
        tenant_ids: whose marts.
        as_of: what "today" is; None for today in each shop's time zone.
        models: names of models; all where empty.
        test: run the tests too.
        only_due: leave out tenants whose marts are up to date.
        rebuild: make all of their marts anew, whatever changed.
        with_views: list the views in the report too; nothing is to be done to them.
    """

    tenant_ids: Sequence[str]
    as_of: date | None = None
    models: Sequence[str] = ()
    test: bool = False
    only_due: bool = True
    rebuild: bool = False
    with_views: bool = False


@dataclass
class TransformReport:
    """What a transform did.

    Args:
        tenant_ids: whose marts were made.
        failures: for each tenant whose marts could not be, why.
        new_tenant_ids: those of them that had none before.
        nodes: what dbt did, node by node, for the tenants whose marts were made.
    """

    tenant_ids: list[str] = field(default_factory=list)
    new_tenant_ids: set[str] = field(default_factory=set)
    failures: dict[str, XenoError] = field(default_factory=dict)
    nodes: list[tuple[tuple[str, ...], NodeResult]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed_tests(self) -> list[NodeResult]:
        """The tests that did not pass."""
        return [node for _, node in self.nodes if node.failed]


class ModelFailedError(XenoError):
    """A model could not be built for a tenant."""


def transform(
    database: Database, project: DbtProject, request: TransformRequest, on_node: NodeSink | None = None
) -> TransformReport:
    """Bring the marts of tenants up to date, in one dbt run.

    A run that fails is repeated with each half of its tenants, down to the guilty ones; the others' marts land.

    Args:
        database: where they lie; its relations were made by `make_relations`.
        project: the models.
        request: what to transform.
        on_node: told of each model that is done.
    """
    started = time.monotonic()
    tenant_ids = list(request.tenant_ids)
    if request.only_due and not request.rebuild:
        with database.connect() as connection:
            tenant_ids = due_tenants(connection, tenant_ids, as_of=request.as_of, project_version=project.version)
    report = TransformReport()
    if tenant_ids:
        refresh_statistics(database, "raw")
        _Transformer(database, project, request, on_node, report).run(tuple(tenant_ids))
        with database.connect() as connection:
            keep_test_results(connection, [node for _, node in report.nodes if node.is_test])
    report.seconds = time.monotonic() - started
    return report


def make_relations(database: Database, project: DbtProject) -> bool:
    """Make or mend the relations of staging, intermediate and marts, without any tenant's rows.

    Returns:
        Whether there was anything to do: they are made anew when the models are others.

    Raises:
        DbtError: a relation could not be made.
    """
    with database.connect() as connection:
        lock = "select pg_advisory_xact_lock(hashtextextended('xeno make relations', 0))"
        connection.execute(lock)
        made = connection.execute("select version from ops.marts_version").fetchone()
        if made == (project.version,):
            return False
        for command in (["seed"], ["run"]):
            for node in project.invoke(command, transform_id=NO_TENANTS):
                if node.failed:
                    raise DbtError(f"{node.name} could not be made in the database: {_first_lines(node.message)}")
        connection.execute("delete from ops.marts_version")
        connection.execute("insert into ops.marts_version values (%s)", [project.version])
    return True


@dataclass(frozen=True)
class _Transformer:
    database: Database
    project: DbtProject
    request: TransformRequest
    on_node: NodeSink | None
    report: TransformReport

    def run(self, tenant_ids: tuple[str, ...]) -> None:
        """Transform the tenants; where that fails, each half of them."""
        version = self.project.version
        with open_scope(
            self.database,
            tenant_ids,
            as_of=self.request.as_of,
            project_version=version,
            rebuild=self.request.rebuild,
        ) as scope:
            nodes = self.project.invoke(self._command(), transform_id=scope.transform_id, on_node=self.on_node)
            broken = [node for node in nodes if node.failed and not node.is_test]
            if not broken:
                if not self.request.models:
                    new = marts_are_made(self.database, scope, version)
                    self.report.new_tenant_ids.update(new)
                self.report.tenant_ids.extend(tenant_ids)
                self.report.nodes.extend((tenant_ids, node) for node in nodes)
                return
        if len(tenant_ids) > 1:
            log.warning("%s failed for %d tenants; trying each half.", broken[0].name, len(tenant_ids))
            middle = len(tenant_ids) // 2
            self.run(tenant_ids[:middle])
            self.run(tenant_ids[middle:])
            return
        (tenant_id,) = tenant_ids
        self.report.failures[tenant_id] = ModelFailedError(
            f"{tenant_id}: {broken[0].name} could not be built: {_first_lines(broken[0].message)}"
        )

    def _command(self) -> list[str]:
        request = self.request
        command = ["run"]
        if request.test:
            command = ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "seed"]
        if request.models:
            return [*command, "--select", *request.models]
        # Views were made with the relations. Tests of them would be left out with them.
        return command if request.test or request.with_views else [*command, "--exclude", "config.materialized:view"]


def _first_lines(message: str) -> str:
    return " ".join(message.split("\n")[:3]).strip()
