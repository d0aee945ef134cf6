"""Making the marts of tenants: one dbt run for all of them; where it fails, without the tenants that it fails for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID, uuid4

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.database.safe_messages import safe_message
from xeno_pipeline.database.statistics import refresh_statistics
from xeno_pipeline.errors import XenoError
from xeno_pipeline.marts.dbt import NO_TENANTS, DbtError, DbtProject, NodeResult, NodeSink
from xeno_pipeline.marts.scope import Scope, complete_transform, due_tenants, open_scope
from xeno_pipeline.marts.test_results import NO_TENANT, FailedTest, judge_tests
from xeno_pipeline.predictions.refit import refit
from xeno_pipeline.segments.compilation import compile_segments
from xeno_pipeline.tenants.bisection import Failures, SharedFailureError, bisect


@dataclass(frozen=True)
class TransformRequest:
    """What to transform.

    Args:
        tenant_ids: the tenants whose marts are made.
        as_of: what "today" is; None for today in each shop's time zone.
        test: run the tests afterwards, on the marts that were made.
        only_due: leave out tenants whose marts are up to date.
        rebuild: compare all rows of their marts, whatever changed.
        with_views: list the views in the report too; nothing is to be done to them.
        refit: fit the models of predictions, for the tenants whose fit is due.
    """

    tenant_ids: Sequence[str]
    as_of: date | None = None
    test: bool = False
    only_due: bool = True
    rebuild: bool = False
    with_views: bool = False
    refit: bool = False


@dataclass
class TransformReport:
    """What a transform did.

    Args:
        tenant_ids: the tenants whose marts were made.
        failures: for each tenant whose marts could not be made, why.
        new_tenant_ids: those of them that had none before.
        retried_tenant_ids: those of them whose marts were made in a further attempt, after one of more tenants had
            failed: what that one had written by then does not show in `nodes`.
        nodes: what dbt did, node by node, for the tenants whose marts were made.
        failed_tests: the tests that did not pass, with the tenants that they fail for.
        afterwards: what else failed for which tenant, before or after the marts were made.
        requested_tenant_ids: the tenants of the request, those that were up to date included.
        refitted_tenant_ids: those of them whose models of predictions are other ones now.
    """

    tenant_ids: list[str] = field(default_factory=list)
    new_tenant_ids: set[str] = field(default_factory=set)
    retried_tenant_ids: set[str] = field(default_factory=set)
    failures: dict[str, XenoError] = field(default_factory=dict)
    nodes: list[tuple[tuple[str, ...], NodeResult]] = field(default_factory=list)
    failed_tests: list[FailedTest] = field(default_factory=list)
    afterwards: Failures = field(default_factory=Failures)
    requested_tenant_ids: list[str] = field(default_factory=list)
    refitted_tenant_ids: list[str] = field(default_factory=list)
    seconds: float = 0.0


class ModelFailedError(XenoError):
    """A model could not be built for a tenant."""


def transform(
    database: Database, project: DbtProject, request: TransformRequest, on_node: NodeSink | None = None
) -> TransformReport:
    """Bring the marts of tenants up to date, in one dbt run.

    A run that fails is repeated with each half of its tenants, down to single ones. The marts of the others are made.

    Args:
        database: where they lie; its relations were made by `make_relations`.
        project: the models.
        request: what to transform.
        on_node: called for each model that is done.

    Raises:
        DatabaseUnavailableError, SharedFailureError: nothing could be made, for whatever tenant.
    """
    started = time.monotonic()
    tenant_ids = list(request.tenant_ids)
    if request.only_due and not request.rebuild:
        with database.connect() as connection:
            tenant_ids = due_tenants(connection, tenant_ids, as_of=request.as_of, project_version=project.version)
    report = TransformReport(requested_tenant_ids=list(request.tenant_ids))
    transformer = _Transformer(database, project, request, on_node, report)
    if tenant_ids:
        refresh_statistics(database, "raw")
        transformer.run(tenant_ids)
    if request.refit:
        transformer.refit()
    if request.test and report.tenant_ids:
        transformer.test()
    report.seconds = time.monotonic() - started
    return report


def make_relations(database: Database, project: DbtProject) -> bool:
    """Make or mend the relations of staging, intermediate and marts, without any tenant's rows.

    Returns:
        Whether there was anything to do: they are made again when the models changed.

    Raises:
        DbtError: a relation could not be made.
    """
    with database.connect() as connection:
        lock = "select pg_advisory_xact_lock(hashtextextended('xeno make relations', 0))"
        connection.execute(lock)
        if _made_version(connection) == project.version:
            return False
        for command in (["seed"], ["run"]):
            for node in project.invoke(command, transform_id=NO_TENANTS):
                if node.failed:
                    raise DbtError(f"{node.name} could not be made in the database: {_first_lines(node.message)}")
        connection.execute("delete from ops.marts_version")
        connection.execute("insert into ops.marts_version values (%s)", [project.version])
    return True


def has_relations(database: Database, project: DbtProject) -> bool:
    """Whether the relations are those of this very project."""
    with database.connect() as connection:
        return _made_version(connection) == project.version


def _made_version(connection: Connection) -> str | None:
    row = connection.execute("select version from ops.marts_version").fetchone()
    return row[0] if row else None


@dataclass(frozen=True)
class _Transformer:
    database: Database
    project: DbtProject
    request: TransformRequest
    on_node: NodeSink | None
    report: TransformReport

    def run(self, tenant_ids: Sequence[str]) -> None:
        """Transform the tenants; where that fails, each half of them."""
        parts, failures = bisect(tenant_ids, self._make)
        if len(parts) != 1 or failures:
            self.report.retried_tenant_ids.update(self.report.tenant_ids)
        for tenant_id, error in failures.items():
            reason = safe_message(error).removeprefix(f"{tenant_id}: ")
            self.report.failures[tenant_id] = ModelFailedError(f"{tenant_id}: {reason}")

    def refit(self) -> None:
        """Fit the models that are due, and evaluate again which customers are in segments that ask for predictions."""
        refitted = refit(
            self.database, [each for each in self.report.requested_tenant_ids if each not in self.report.failures]
        )
        self.report.refitted_tenant_ids.extend(refitted.fitted)
        self.report.afterwards.merge(refitted.failures)
        if not refitted.fitted:
            return
        again = transform(
            self.database,
            self.project,
            replace(
                self.request, tenant_ids=list(refitted.fitted), only_due=True, rebuild=False, test=False, refit=False
            ),
            self.on_node,
        )
        self.report.nodes.extend(again.nodes)
        self.report.failures.update(again.failures)
        made = {*self.report.tenant_ids, *again.tenant_ids} - again.failures.keys()
        self.report.tenant_ids[:] = sorted(made)

    def _make(self, tenant_ids: Sequence[str]) -> None:
        """Make the marts of some tenants.

        Raises:
            ModelFailedError: not all of them could be made. Whatever changed stays known until they are.
        """
        version = self.project.version
        with open_scope(
            self.database,
            tenant_ids,
            as_of=self.request.as_of,
            project_version=version,
            rebuild=self.request.rebuild,
        ) as scope:
            if not scope.tenant_ids:
                return  # they have been removed
            with self.database.connect() as connection:
                compile_segments(connection, scope.tenant_ids)
            nodes = self._invoke(scope)
            self._check_made(nodes)
            self.report.new_tenant_ids.update(complete_transform(self.database, scope, version))
            self.report.tenant_ids.extend(scope.tenant_ids)
            self.report.nodes.extend((scope.tenant_ids, node) for node in nodes)

    def _invoke(self, scope: Scope) -> list[NodeResult]:
        """Run the models for a scope.

        Raises:
            SharedFailureError: dbt cannot begin even without tenants.
        """
        try:
            return self._run_dbt(scope.transform_id)
        except DbtError as error:
            if len(scope.tenant_ids) > 1:  # before each half is tried
                self._begin_without_tenants(error)
            raise

    def _begin_without_tenants(self, error: DbtError) -> None:
        try:
            self._run_dbt(uuid4())
        except DbtError:
            raise SharedFailureError(f"{str(error).rstrip('.')}. The marts stay as they were.") from error

    def _run_dbt(self, transform_id: UUID) -> list[NodeResult]:
        """Run the models for a transform.

        Raises:
            DbtError: it could not begin: dbt itself, or the hook that marks what is stale.
        """
        if self.request.test or self.request.with_views:
            nodes = self.project.invoke(["run"], transform_id=transform_id, on_node=self.on_node)
        else:  # views were made with the relations
            nodes = self.project.make_tables(transform_id, self.on_node)
        for node in nodes:
            if node.failed and node.unique_id.startswith("operation."):
                raise DbtError(f"its transform could not begin: {_first_lines(node.message)}")
        return nodes

    def _check_made(self, nodes: Sequence[NodeResult]) -> None:
        """Check that each table that was to be made was.

        Raises:
            ModelFailedError: one failed; or dbt skipped it, so what is made from it is missing too.
        """
        broken = [node for node in nodes if node.failed]
        if broken:
            raise ModelFailedError(f"{broken[0].name} could not be built: {_first_lines(broken[0].message)}")
        made = {node.unique_id for node in nodes if node.status == "success"}
        missing = sorted(unique_id.split(".")[2] for unique_id in self.project.tables - made)
        if missing:
            raise ModelFailedError(f"{', '.join(missing)} could not be built: dbt left it out")

    def test(self) -> None:
        """Run the tests on what was made; the marts stay, whether they pass or not."""
        with open_scope(
            self.database, self.report.tenant_ids, as_of=self.request.as_of, project_version=self.project.version
        ) as scope:
            command = ["test", "--exclude-resource-type", "unit_test"]
            try:
                tests = self.project.invoke(command, transform_id=scope.transform_id, on_node=self.on_node)
            except DbtError as error:  # the marts are made nevertheless
                self.report.failed_tests = [FailedTest("dbt test", str(error), {NO_TENANT: str(error)})]
                return
            self.report.nodes.extend((scope.tenant_ids, node) for node in tests)
            self.report.failed_tests = judge_tests(self.database, tests, scope.tenant_ids)


def _first_lines(message: str) -> str:
    return " ".join(message.split("\n")[:3]).strip()
