"""Marts as files. Columns that the key may not see are empty in them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as InPath
from pydantic import WithJsonSchema
from starlette.responses import Response

from xeno_pipeline.api.downloads import one_download
from xeno_pipeline.api.etags import address_of, is_known, state_of
from xeno_pipeline.api.parameters import MAX_ID, From, To
from xeno_pipeline.api.problems import Kind, ProblemError, documented
from xeno_pipeline.api.store_request import KEPT_BY_CALLER, StoreRequest, StoreRequestOf
from xeno_pipeline.database.connection import Connection
from xeno_pipeline.exports.contract import UnknownMartError, find_mart, read_marts
from xeno_pipeline.exports.copying import OutdatedMartsError
from xeno_pipeline.exports.csv import stream_csv
from xeno_pipeline.exports.parquet import ParquetUnavailableError, write_parquet
from xeno_pipeline.exports.selection import Selection
from xeno_pipeline.segments.members import check_members_shown
from xeno_pipeline.web.downloads import Download

router = APIRouter(tags=["exports"])

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
_CHUNK_BYTES = 256 * 1024

MartName = Annotated[
    str, InPath(description="The mart."), WithJsonSchema({"type": "string", "enum": sorted(read_marts())})
]


SegmentId = Annotated[
    int | None, Query(ge=1, le=MAX_ID, description="Only of customers in this saved segment now: its id.")
]


def _documented(media_type: str, *kinds: Kind) -> dict[int | str, dict[str, Any]]:
    file: dict[int | str, dict[str, Any]] = {
        200: {"description": "The file.", "content": {media_type: {"schema": {"type": "string"}}}}
    }
    return {**file, **documented(Kind.NOT_FOUND, Kind.NOT_READY, *kinds)}


@router.get("/stores/{store}/exports/{mart}.csv", response_class=Response, responses=_documented(CSV))
def get_csv(
    request: StoreRequestOf, mart: MartName, first: From = None, last: To = None, segment: SegmentId = None
) -> Response:
    """A mart as CSV: UTF-8 with a header, its rows in the order of its key. Null is empty, empty text is `""`."""
    selection = _select(request, mart, first, last, segment)
    with ExitStack() as held:
        held.enter_context(one_download())
        connection, scopes = held.enter_context(request.unlocked())
        _check_segment(connection, selection)
        headers = _headers(request, connection, scopes)
        if _is_known(request, headers):
            return Response(status_code=304, headers=headers)
        chunks = held.enter_context(closing(stream_csv(connection, selection)))
        try:
            beginning = next(chunks)  # so that what goes wrong at once is a problem, and not a file cut short
        except OutdatedMartsError as error:
            raise _outdated(error) from error
        rest = chain([beginning], chunks)
        return Download(rest, held.pop_all(), name=_file_name(request, mart, "csv"), media_type=CSV, headers=headers)


@router.get(
    "/stores/{store}/exports/{mart}.parquet",
    response_class=Response,
    responses=_documented(PARQUET, Kind.NOT_INSTALLED),
)
def get_parquet(
    request: StoreRequestOf, mart: MartName, first: From = None, last: To = None, segment: SegmentId = None
) -> Response:
    """A mart as Parquet, with the types of the contract: money is decimal(20,4), instants are in UTC."""
    selection = _select(request, mart, first, last, segment)
    with ExitStack() as held:
        held.enter_context(one_download())
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="xeno-export-"))
        path = Path(folder) / "export"
        with request.unlocked() as (connection, scopes):
            _check_segment(connection, selection)
            headers = _headers(request, connection, scopes)
            if _is_known(request, headers):
                return Response(status_code=304, headers=headers)
            _write_parquet(connection, selection, path)
        file = held.enter_context(path.open("rb"))
        headers["Content-Length"] = str(path.stat().st_size)
        chunks = iter(lambda: file.read(_CHUNK_BYTES), b"")
        name = _file_name(request, mart, "parquet")
        return Download(chunks, held.pop_all(), name=name, media_type=PARQUET, headers=headers)


def _select(request: StoreRequest, mart: str, first: date | None, last: date | None, segment: int | None) -> Selection:
    try:
        return Selection(request.store, find_mart(mart), first, last, segment)
    except UnknownMartError as error:
        raise ProblemError(Kind.NOT_FOUND, str(error)) from error


def _check_segment(connection: Connection, selection: Selection) -> None:
    if selection.segment_id is None:
        return
    check_members_shown(connection, selection.tenant_id, selection.segment_id)
    bound = [selection.tenant_id, selection.segment_id]
    if connection.execute("select from segments where tenant_id = %s and segment_id = %s", bound).fetchone() is None:
        raise ProblemError(Kind.NOT_FOUND, f"{selection.tenant_id} has no segment of this id.")


def _write_parquet(connection: Connection, selection: Selection, path: Path) -> None:
    try:
        write_parquet(connection, selection, path)
    except ParquetUnavailableError as error:
        raise ProblemError(Kind.NOT_INSTALLED, str(error)) from error
    except OutdatedMartsError as error:
        raise _outdated(error) from error


def _outdated(error: OutdatedMartsError) -> ProblemError:
    return ProblemError(Kind.NOT_READY, str(error), "Ask whoever operates this server to run `xeno db migrate`.")


def _headers(request: StoreRequest, connection: Connection, scopes: frozenset[str]) -> dict[str, str]:
    address = address_of(request.caller.request.scope)
    etag = state_of(connection, request.store).etag(request.store, scopes, address)
    return {**KEPT_BY_CALLER, **request.caller.headers, "ETag": etag}


def _is_known(request: StoreRequest, headers: dict[str, str]) -> bool:
    return is_known(headers["ETag"], request.caller.request.headers.get("if-none-match"))


def _file_name(request: StoreRequest, mart: str, suffix: str) -> str:
    return f"{request.store}-{mart}.{suffix}"
