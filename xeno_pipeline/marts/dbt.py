"""Running dbt, in this process: it then starts in a fraction of a second instead of seconds.

dbt finds the database by libpq's variables, and the transform it belongs to by a session setting that libpq
passes on (PGOPTIONS). It is given the project as it was parsed once: left to itself it would look at every source file
again, and parse all of them where the host, the port or the user is another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumaro_encoder
from dbt.version import __version__ as dbt_version
from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.events.base_types import EventMsg
from filelock import FileLock

from xeno_pipeline.database.connection import connection_variables, database_url
from xeno_pipeline.database.safe_messages import strip_row_values
from xeno_pipeline.errors import XenoError
from xeno_pipeline.marts.dbt_connections import kept_connections
from xeno_pipeline.marts.lineage import Lineage
from xeno_pipeline.marts.tables_manifest import keep_tables
from xeno_pipeline.settings import PROJECT_DIR, Settings

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
_BAKED = DBT_PROJECT_DIR / "target" / "baked"
"""Parsed projects by their version, in an image that is not written to afterwards."""

_PARSED = "partial_parse.msgpack"
"""The parsed project as dbt writes and reads it; `manifest.json` is the same for others."""

_TABLES = "tables.msgpack"
"""What of it a transform needs, compiled."""

NO_TENANTS = UUID(int=0)
"""The transform of no tenant: relations are made, and no rows."""

_TABLE_MODELS = ("--select", "config.materialized:incremental", "--indirect-selection", "empty")

_ANY = UUID(int=1)
"""A transform like all others, for which models are compiled: their SQL is the same for all."""

_SESSION = {
    # A model reads views upon views: with the default of 8 the planner joins some of their tables whole, before it
    # looks at the few stale keys.
    "join_collapse_limit": 11,
    "from_collapse_limit": 11,
    "jit": "off",  # it takes longer than most of the statements it would speed up
    # A crash may lose the last models made, never one before another: what is lost is made again. The commit that says
    # that all are made is a session's that waits for all of them.
    "synchronous_commit": "off",
    "work_mem": "64MB",  # what ranks a large tenant's customers sorts them in memory
}
"""Settings of a transform's database sessions."""

_NOT_PASSED = ("error", "fail", "runtime error")

_WITHOUT_CACHE = ("--no-populate-cache",)
"""Options of a command that need not know which relations there are."""

_WITHOUT_DATABASE = ("--no-introspect", *_WITHOUT_CACHE)
"""Options of a command that is to connect to nothing."""

_WITHOUT_ARTIFACTS = ("--no-write-json",)
"""Options of a command whose files nobody reads: the manifest alone takes a tenth of a small transform's time."""

_SOURCES = ("dbt_project.yml", "models", "macros", "seeds", "tests")
_ONE_AT_A_TIME = threading.Lock()  # dbt keeps its flags and adapters in globals of the process

# Each run makes the adapter anew, with a dozen flags, each of which looks through all modules for the one that declares
# it: a third of a small transform's CPU time. Only dbt's log would name it, and that is off.
BehaviorFlagRendered._default_source = staticmethod(lambda: "dbt.adapters.postgres.impl")  # type: ignore[method-assign]


class DbtError(XenoError):
    """dbt could not do what it was asked to."""


@dataclass(frozen=True)
class NodeResult:
    """What dbt did with one node of its graph.

    Args:
        unique_id: as in the manifest, `model.xeno.fct_orders`.
        status: success, pass, warn, fail, error or skipped.
        rows: rows written; None where dbt does not say.
        seconds: how long it took.
        message: what dbt says of it.
        models: names of the models that it is made from, or is a test of.
        sql: of a test, what it asks for; nothing of other nodes.
    """

    unique_id: str
    status: str
    rows: int | None
    seconds: float
    message: str
    models: Sequence[str] = ()
    sql: str = ""

    @property
    def name(self) -> str:
        """The node's own name, `fct_orders`."""
        return self.unique_id.split(".")[2]

    @property
    def is_test(self) -> bool:
        """Whether it is a test of what others made."""
        return self.unique_id.startswith(("test.", "unit_test."))

    @property
    def failed(self) -> bool:
        """Whether it is neither done nor merely skipped."""
        return self.status in _NOT_PASSED


NodeSink = Callable[[str, int, int], None]
"""Called for each node that is done, with its name, its number and the number of nodes."""


class DbtProject:
    """The dbt project of this repository on the database that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def version(self) -> str:
        """A digest of the project's sources: another one means other models."""
        digest = hashlib.sha256()
        for source in _SOURCES:
            path = DBT_PROJECT_DIR / source
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    digest.update(f"{file.relative_to(DBT_PROJECT_DIR)}\0".encode())
                    digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    @cached_property
    def tables(self) -> frozenset[str]:
        """The unique ids of the models that are tables: marts are made when each of them is."""
        nodes = orjson.loads(self.manifest_path.read_bytes())["nodes"]
        return frozenset(
            unique_id
            for unique_id, node in nodes.items()
            if node["resource_type"] == "model" and node["config"]["materialized"] not in ("view", "ephemeral")
        )

    @property
    def manifest_path(self) -> Path:
        """The manifest of the project as it is now."""
        return self._kept(f"{self._parse_key}/manifest.json", lambda path: self._parse(path.parent))

    @cached_property
    def column_lineage(self) -> Lineage:
        """From which columns each column is computed: read off the SQL once for a version of the project, then kept."""
        kept = self._kept(self._lineage_file, self._keep_lineage)
        found: dict[str, dict[str, list[list[str]]]] = orjson.loads(kept.read_bytes())
        return {
            relation: {column: [(table, name) for table, name in of] for column, of in columns.items()}
            for relation, columns in found.items()
        }

    def _kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """A file that is made from the project: baked into the image, else made on first use."""
        baked = _BAKED / name
        if baked.exists():
            return baked
        folder = self._settings.home / "dbt"
        kept = folder / name
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f"{name.partition('/')[0]}.lock"):
                if not kept.exists():
                    make(kept)
        return kept

    def _keep_lineage(self, path: Path) -> None:
        from xeno_pipeline.marts.sql_lineage import column_lineage  # sqlglot is needed once for a version only

        with tempfile.TemporaryDirectory(prefix="dbt-", dir=path.parent) as folder:
            target = Path(folder)
            command = ["compile", "--select", "resource_type:model", *_WITHOUT_DATABASE]
            self._run(command, target, None, None, self._manifest())
            manifest = orjson.loads(self.manifest_path.read_bytes())
            found = column_lineage(manifest, target / "compiled" / "xeno", DBT_PROJECT_DIR)
            (target / path.name).write_bytes(orjson.dumps(found))
            (target / path.name).rename(path)

    @property
    def _lineage_file(self) -> str:
        return f"{self.version}-lineage.json"

    @cached_property
    def _parse_key(self) -> str:
        """What a parse is good for: these sources, this dbt, and databases of this name: relations' names have it."""
        name = connection_variables(database_url(self._settings))["PGDATABASE"]
        return f"{self.version}-{hashlib.sha256(f'{name} {dbt_version}'.encode()).hexdigest()[:8]}"

    def make_tables(self, transform_id: UUID, on_node: NodeSink | None = None) -> list[NodeResult]:
        """Run the models that are tables, for the tenants of a transform.

        Returns, and raises: as `invoke`.
        """
        return self._invoke(["run", *_WITHOUT_CACHE], transform_id, on_node, self._tables_manifest)

    def invoke(
        self, arguments: Sequence[str], *, transform_id: UUID | None, on_node: NodeSink | None = None
    ) -> list[NodeResult]:
        """Run a dbt command that works through nodes, such as `run` or `build`.

        Args:
            arguments: the command and its options.
            transform_id: the transform that it belongs to.
            on_node: called for each node that is done.

        Returns:
            One result per node, failed ones included.

        Raises:
            DbtError: it could not begin.
        """
        return self._invoke(arguments, transform_id, on_node, self._manifest())

    def _invoke(
        self, arguments: Sequence[str], transform_id: UUID | None, on_node: NodeSink | None, manifest: Manifest
    ) -> list[NodeResult]:
        if transform_id is not None:
            arguments = [*arguments, *_of_transform(transform_id)]
        self._settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="dbt-", dir=self._settings.home) as target:
            result = self._run([*arguments, *_WITHOUT_ARTIFACTS], Path(target), transform_id, on_node, manifest)
        return [
            NodeResult(
                unique_id=node.node.unique_id,
                status=str(node.status),
                rows=node.adapter_response.get("rows_affected"),
                seconds=node.execution_time,
                message=strip_row_values(node.message or ""),
                models=[each.split(".")[2] for each in node.node.depends_on_nodes if each.startswith("model.")],
                sql=getattr(node.node, "compiled_code", None) or "" if str(node.status) in _NOT_PASSED else "",
            )
            for node in result.results
        ]

    def bake(self) -> Path:
        """Parse the project beside its sources, for all homes that there will be.

        Returns:
            The manifest.
        """
        self._parse(_BAKED / self._parse_key)
        self._keep_lineage(_BAKED / self._lineage_file)
        return self.manifest_path

    def write_docs(self, folder: Path) -> None:
        """Write dbt's documentation of the models into a folder, as a site that needs no other file.

        Raises:
            DbtError: dbt could not read the database.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="dbt-", dir=folder.parent) as target:
            shutil.copy(self.manifest_path, target)
            self._run(["docs", "generate", "--static", "--no-compile"], Path(target), None, None, self._manifest())
            (Path(target) / "static_index.html").rename(folder / "index.html")

    def _manifest(self) -> Manifest:
        """The parsed project; read each time, because dbt changes it while it runs."""
        manifest = Manifest.from_msgpack((self.manifest_path.parent / _PARSED).read_bytes())
        manifest.build_flat_graph()  # type: ignore[no-untyped-call]  # the macros' `graph`; only a parse makes it
        return manifest

    @cached_property
    def _tables_manifest(self) -> Manifest:
        """What of the parsed project a transform needs; dbt changes nothing of it that matters to the next run."""
        kept = self._kept(f"{self._parse_key}/{_TABLES}", lambda path: self._parse(path.parent))
        return Manifest.from_msgpack(kept.read_bytes())

    def _parse(self, into: Path) -> None:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="dbt-", dir=into.parent) as folder:
            target = Path(folder)
            self._run(["parse"], target, None, None, None)
            self._keep_tables(target)
            for name in (_PARSED, _TABLES, "manifest.json"):  # the manifest last: it says that all is there
                (target / name).rename(into / name)

    def _keep_tables(self, target: Path) -> None:
        """Compile the tables of the project that was parsed there, as a transform would, and keep what it needs."""
        parsed = (target / _PARSED).read_bytes()
        command = ["compile", *_TABLE_MODELS, *_of_transform(_ANY), *_WITHOUT_DATABASE]
        with tempfile.TemporaryDirectory(dir=target) as folder:
            compiled = self._run(command, Path(folder), None, None, Manifest.from_msgpack(parsed))
        manifest = Manifest.from_msgpack(parsed)
        keep_tables(manifest, {node.node.unique_id: node.node.compiled_code for node in compiled.results})
        (target / _TABLES).write_bytes(manifest.to_msgpack(extended_mashumaro_encoder))

    def _run(
        self,
        arguments: Sequence[str],
        target: Path,
        transform_id: UUID | None,
        on_node: NodeSink | None,
        manifest: Manifest | None,
    ) -> Any:
        """Invoke dbt with its artifacts in `target`; what it returns depends on the command. No manifest: it parses."""
        place = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR)]
        artifacts = ["--target-path", str(target), "--log-path", str(target), "--log-level-file", "none"]
        manners = ["--log-level", "none", "--no-use-colors", "--no-send-anonymous-usage-stats", "--no-version-check"]
        callbacks = [_listener(on_node)] if on_node else []
        with _ONE_AT_A_TIME, _environment(database_url(self._settings), transform_id), kept_connections():
            outcome = dbtRunner(manifest, callbacks).invoke([*arguments, *place, *artifacts, *manners])
        if outcome.exception is not None:
            if not isinstance(outcome.exception, Exception):
                raise outcome.exception  # the run is cancelled: dbt catches that too
            reason = strip_row_values(str(outcome.exception)).splitlines()
            raise DbtError(f"dbt {arguments[0]} could not run: {' '.join(reason[:3])}")
        return outcome.result


def _of_transform(transform_id: UUID) -> list[str]:
    """The options that tell a command's macros which transform it belongs to."""
    return ["--vars", orjson.dumps({"transform_id": str(transform_id)}).decode()]


_TOTALS = {"LogModelResult": "total", "LogSeedResult": "total", "LogTestResult": "num_models"}
"""The events that say that a node is done, each with the field that says how many there are."""


def _listener(on_node: NodeSink) -> Callable[[EventMsg], None]:
    def listen(event: EventMsg) -> None:
        if (total := _TOTALS.get(event.info.name)) is not None:
            on_node(event.data.node_info.node_name, event.data.index, getattr(event.data, total))

    return listen


@contextmanager
def _environment(url: str, transform_id: UUID | None) -> Iterator[None]:
    """The process's environment with what dbt's connections are to find in it."""
    wanted = {"PGHOST": "localhost", **connection_variables(url)}
    if transform_id is not None:
        session = {**_SESSION, "xeno.transform_id": transform_id}
        wanted["PGOPTIONS"] = " ".join(f"-c {name}={value}" for name, value in session.items())
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
