"""Loading the objects of one stream of one tenant: what every way of reading them shares."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from xeno_pipeline.database.connection import Connection, Database
from xeno_pipeline.errors import XenoError
from xeno_pipeline.extraction.report import Progress, ProgressSink, StreamReport, empty_report
from xeno_pipeline.extraction.spans import Span
from xeno_pipeline.extraction.state import SyncState, advance_cursor
from xeno_pipeline.extraction.streams import Stream
from xeno_pipeline.raw.load import Load
from xeno_pipeline.raw.mapping import Refuse, RowMapping
from xeno_pipeline.raw.refused import Refused
from xeno_pipeline.raw.rows import Batch
from xeno_pipeline.raw.set_aside import TOO_SLOW, only_set_aside, slow_gids
from xeno_pipeline.raw.suppression import Suppressed
from xeno_pipeline.shopify.client import ShopifyClient
from xeno_pipeline.shopify.errors import AccessDeniedError, BulkDeniedError, SlowObjectError
from xeno_pipeline.shopify.ids import number
from xeno_pipeline.shopify.pagination import Node, Page, Pager
from xeno_pipeline.shopify.queries import operation
from xeno_pipeline.tenants.registry import Tenant
from xeno_pipeline.tenants.scopes import missing_scopes

_NODES_A_LOAD = 500


class UnloadableError(XenoError):
    """What Shopify sent does not fit the tables."""


def node_key(node: Node) -> object:
    """What identifies an object: its gid. An object without one equals no other."""
    gid = node.get("id")
    return gid if isinstance(gid, str) else object()


@dataclass(frozen=True)
class StreamLoader:
    """Loads objects of one stream of one tenant.

    Args:
        client: used for this stream alone.
        database: where raw is.
        spool: a folder for the result of a bulk operation while it is loaded.
        span: when the history is read again, only objects created in these days; None: all.
    """

    stream: Stream
    tenant: Tenant
    client: ShopifyClient
    database: Database
    spool: Path
    on_progress: ProgressSink
    span: Span | None = None

    def load(self, batches: Iterable[list[Node]], report: StreamReport) -> None:
        """Load objects that were requested by id or by a search. The stream's cursor does not move.

        Args:
            batches: read one by one.
            report: updated with what they changed.
        """
        self.load_pages((Page(nodes, None) for nodes in batches), report)

    def load_pages(self, pages: Iterable[Page], report: StreamReport) -> datetime | None:
        """Load pages in batches, each together with its cursor.

        Returns:
            The instant up to which all changes are read; None where nothing came.

        Raises:
            Exception: a page could not be read. The pages before it are loaded, so that the next sync resumes there.
        """
        batch: dict[object, Node] = {}
        read_up_to: datetime | None = None
        read_at = datetime.now(UTC)  # before the first page is requested: later deletions win
        failures: list[Exception] = []
        for page in _until_failure(pages, failures):
            batch |= {node_key(node): node for node in page.nodes}  # the later one of an object that came twice
            read_up_to = page.read_up_to or read_up_to
            if len(batch) >= _NODES_A_LOAD:
                self._load_batch(batch, read_at, read_up_to, report)
                batch, read_at = {}, datetime.now(UTC)
        if batch or read_up_to:
            self._load_batch(batch, read_at, read_up_to, report)
        for failure in failures:
            if isinstance(failure, SlowObjectError):
                self._set_aside(failure, report)
            raise failure
        return read_up_to

    def _set_aside(self, slow: SlowObjectError, report: StreamReport) -> None:
        """Set aside an object that takes Shopify too long: if it still does, the next sync leaves it out."""
        refused = Refused(TOO_SLOW, number(slow.gid), gid=slow.gid, is_root=True, updated_at=slow.changed_at)

        def no_rows(_suppressed: Suppressed, refuse: Refuse) -> Generator[Batch, None, None]:
            refuse(refused)
            yield from ()

        with self.transaction() as connection:
            load = Load(self.tenant.tenant_id, self.stream.root, datetime.now(UTC))
            report.add(load.run(connection, no_rows))

    def _load_batch(
        self, batch: dict[object, Node], read_at: datetime, read_up_to: datetime | None, report: StreamReport
    ) -> None:
        load = Load(self.tenant.tenant_id, self.stream.root, read_at)
        with self.transaction() as connection:
            if batch:
                report.add(load.run(connection, self.mapping().of_objects(list(batch.values()))))
            if read_up_to is not None:
                advance_cursor(connection, self.tenant.tenant_id, self.stream.name, read_up_to)

    def count_at_shopify(self, *, is_optional: bool = False) -> int:
        """How many objects to read Shopify has.

        Args:
            is_optional: fail at once where the store takes too long, instead of retrying.
        """
        variables = {"query": self.filter("created_at"), "limit": None}
        answer = self.client.execute(operation(self.stream.count), variables, can_shrink=is_optional)
        (count,) = answer.data.values()
        return int(count["count"])

    def count_in_raw(self, connection: Connection) -> int:
        """How many objects raw holds, together with those that are set aside."""
        query = f"""
            select
                (select count(*) from raw.{self.stream.root.name} where tenant_id = %(tenant)s and deleted_at is null)
                + (select count(*) from ({only_set_aside(self.stream.root)}) as aside)
            """
        row = connection.execute(query, {"tenant": self.tenant.tenant_id}).fetchone()
        return row[0] if row else 0

    def explain_denial(self, denial: BulkDeniedError) -> AccessDeniedError:
        """The reason for which a bulk operation was denied: Shopify does not state it."""
        needed = " and ".join((", ".join(self.stream.scopes[:-1]), self.stream.scopes[-1])).removeprefix(" and ")
        missing = missing_scopes(self.stream.scopes, self.tenant.access_scopes)
        if missing:
            remedy = f"and lacks {', '.join(missing)}: grant the app what is missing, and approve it in the store."
        elif self.stream.has_protected_data:
            remedy = (
                "and has them, so the app lacks its approval for protected customer data: request it in the Partner "
                "Dashboard (API access)."
            )
        else:
            remedy = "and has them: install the app in the store again."
        problem = f"was denied (ACCESS_DENIED): to read {self.stream.name} the token needs {needed}, {remedy}"
        return AccessDeniedError(self.tenant.tenant_id, denial.operation, problem)

    def filter(self, field: str) -> str | None:
        """The search filter for the span of creation; None for everything.

        Args:
            field: what the filter by creation is called there.
        """
        return self.span.filter(field) if self.span else None

    def new_report(self, mode: str, state: SyncState) -> StreamReport:
        """A report of the stream before anything is read."""
        return empty_report(self.tenant.tenant_id, self.stream, mode, state.cursor_at)

    def pager(self) -> Pager:
        """Reads the stream in pages, without objects that are known to take Shopify too long."""
        with self.database.connect() as connection:
            slow = slow_gids(connection, self.tenant.tenant_id, self.stream.root)
        return Pager(self.client, self.stream.pages, slow)

    def mapping(self) -> RowMapping:
        """Makes the stream's rows."""
        return RowMapping(self.stream.root, self.tenant.tenant_id, self.stream.query_version)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction. Errors about values that do not fit do not quote them: they may be personal."""
        try:
            with self.database.connect() as connection:
                yield connection
        except psycopg.DataError as error:
            raise UnloadableError(
                f"{self.tenant.tenant_id}: {self.stream.name} from Shopify hold a value that its column does not "
                f"accept ({type(error).__name__}); nothing was loaded. Run the sync again; if it stays so, report it."
            ) from None

    def report_progress(self, phase: str, done: int, total: int | None = None) -> None:
        """Report how far the stream is."""
        self.on_progress(Progress(self.tenant.tenant_id, self.stream.name, phase, done, total))

    def track_pages(self, pages: Iterable[Page], total: int | None) -> Iterator[Page]:
        """Pass pages on, and report the progress."""
        done = 0
        for page in pages:
            done += len(page.nodes)
            self.report_progress("reading", done, total)
            yield page


def _until_failure(pages: Iterable[Page], failures: list[Exception]) -> Iterator[Page]:
    """The pages up to the first that could not be read; its exception is appended to `failures`."""
    try:
        yield from pages
    except Exception as error:  # noqa: BLE001 - raised after the pages before it are loaded
        failures.append(error)
