"""Segments: a list, a builder whose rows and text follow each other, and one segment with its members and history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import RedirectResponse, Response

from xeno_pipeline.dashboard.definitions import DEFINITIONS
from xeno_pipeline.dashboard.downloads import csv_of
from xeno_pipeline.dashboard.listings import download_all
from xeno_pipeline.dashboard.rules import TEXT_ROW, Join, RuleRow, new_row, read_rows, rows_to_text, text_to_rows
from xeno_pipeline.dashboard.visits import NotFoundError, StoreVisit
from xeno_pipeline.insights.customers import Customer, list_customers
from xeno_pipeline.insights.paging import Page
from xeno_pipeline.insights.segment_figures import SegmentFigures, SegmentMonth, segment_figures, segment_months
from xeno_pipeline.segments.attributes import ATTRIBUTES
from xeno_pipeline.segments.compile import compile_query
from xeno_pipeline.segments.errors import SegmentError, SegmentQueryError
from xeno_pipeline.segments.members import Members, count_members
from xeno_pipeline.segments.parse import MOST_CLAUSES
from xeno_pipeline.segments.registry import (
    Segment,
    get_segment,
    list_segments,
    remove_segment,
    save_segment,
    update_segment,
)
from xeno_pipeline.segments.starters import STARTERS

_BIGINT = 2**63


@dataclass(frozen=True)
class Outcome:
    """What a query comes to.

    Args:
        members: who fits it; None where it is wrong, or empty.
        error: what is wrong; None where nothing is.
        place: the line of the query that is wrong, with a caret below it.
    """

    members: Members | None = None
    error: str | None = None
    place: str | None = None


def show(visit: StoreVisit) -> Response:
    """The list."""
    figures = {each.segment_id: each for each in segment_figures(visit.connection, visit.tenant_id)}
    if visit.table_to_download() is not None:
        return csv_of(f"{visit.tenant_id}-segments", SegmentFigures, figures.values())
    segments = list_segments(visit.connection, visit.tenant_id)
    taken = {segment.name.lower() for segment in segments}
    return visit.respond(
        "segments.html",
        segments=segments,
        figures=figures,
        starters=[starter for starter in STARTERS if starter.name.lower() not in taken],
        define=lambda column: DEFINITIONS.of(visit.connection, "segments", column),
    )


def detail(visit: StoreVisit) -> Response:
    """One segment."""
    segment = _segment(visit)
    months = segment_months(visit.connection, visit.tenant_id, segment.segment_id)
    if visit.table_to_download() is not None:
        return csv_of(f"{visit.tenant_id}-segment-{segment.segment_id}-months", SegmentMonth, months)
    found = segment_figures(visit.connection, visit.tenant_id)
    return visit.respond(
        "segment.html",
        segment=segment,
        figures=next((each for each in found if each.segment_id == segment.segment_id), None),
        months=months,
        define=lambda column: DEFINITIONS.of(visit.connection, "segments", column),
    )


def members(visit: StoreVisit) -> Response:
    """The members with the highest net sales."""
    number = _segment(visit).segment_id

    def read(visit: StoreVisit, cursor: str | None, limit: int) -> Page[Customer]:
        return list_customers(visit.connection, visit.tenant_id, segment=number, cursor=cursor, limit=limit)

    if visit.table_to_download() is not None:
        return download_all(visit, f"segment-{number}-members", Customer, read)
    return visit.respond("segment_members.html", page=read(visit, None, 15))


def new(visit: StoreVisit) -> Response:
    """The builder of a new segment; the address may hold a query to begin with."""
    return _builder(visit, None, visit.query.get("name", ""), "", visit.query.get("query", ""))


def edit(visit: StoreVisit) -> Response:
    """The builder of a saved segment."""
    segment = _segment(visit)
    return _builder(visit, segment, segment.name, segment.description, segment.query)


def follow(visit: StoreVisit) -> Response:
    """The builder's rows after the text changed, or the text after the rows did, and who fits."""
    asked = visit.query
    if asked.get("from") == "text":
        text = asked.get("query", "")
        rows, join, outcome = _from_text(visit, text)
        return visit.respond("segment_rules.html", **_editor(rows, join), outcome=outcome, text=None)
    rows, join = read_rows(asked)
    if "add" in asked:
        rows.append(new_row())
    if (removed := asked.get("remove", "")).isdecimal():
        rows = [row for number, row in enumerate(rows) if str(number) != removed]
    try:
        text = rows_to_text(rows, join)
    except SegmentQueryError as error:
        return visit.respond("segment_rules.html", **_editor(rows, join), outcome=Outcome(error=str(error)), text=None)
    return visit.respond("segment_rules.html", **_editor(rows, join), outcome=_outcome(visit, text), text=text)


def create(visit: StoreVisit) -> Response:
    """Save a new segment."""
    form = visit.form
    name, description, query = (form.get(field, "") for field in ("name", "description", "query"))
    try:
        saved = save_segment(visit.connection, visit.tenant_id, name, query, description)
    except (SegmentError, SegmentQueryError) as error:
        return _builder(visit, None, name, description, query, error)
    return RedirectResponse(visit.path("segments", saved.segment_id), 303)


def change(visit: StoreVisit) -> Response:
    """Save a changed one."""
    segment, form = _segment(visit), visit.form
    name, description, query = (form.get(field, "") for field in ("name", "description", "query"))
    try:
        update_segment(
            visit.connection, visit.tenant_id, segment.segment_id, name=name, query=query, description=description
        )
    except (SegmentError, SegmentQueryError) as error:
        return _builder(visit, segment, name, description, query, error)
    return RedirectResponse(visit.path("segments", segment.segment_id), 303)


def remove(visit: StoreVisit) -> Response:
    """Remove one."""
    remove_segment(visit.connection, visit.tenant_id, _segment(visit).segment_id)
    return RedirectResponse(visit.path("segments"), 303)


def _builder(
    visit: StoreVisit, segment: Segment | None, name: str, description: str, query: str, error: Exception | None = None
) -> Response:
    rows, join, outcome = _from_text(visit, query)
    return visit.respond(
        "segment_builder.html",
        400 if error else 200,
        segment=segment,
        name=name,
        description=description,
        query=query,
        error=None if error is None else str(error),
        outcome=outcome,
        text=None,
        **_editor(rows, join),
    )


def _editor(rows: list[RuleRow], join: Join) -> dict[str, Any]:
    return {"rows": rows, "join": join, "attributes": ATTRIBUTES, "text_row": TEXT_ROW, "most_rows": MOST_CLAUSES}


def _from_text(visit: StoreVisit, text: str) -> tuple[list[RuleRow], Join, Outcome]:
    if not text.strip():
        return [new_row()], "and", Outcome()
    outcome = _outcome(visit, text)
    if outcome.error is not None:
        return [], "and", outcome
    rows, join = text_to_rows(text)
    return rows, join, outcome


def _outcome(visit: StoreVisit, text: str) -> Outcome:
    if not text.strip():
        return Outcome()
    try:
        return Outcome(count_members(visit.connection, visit.tenant_id, compile_query(text)))
    except SegmentQueryError as error:
        hint = f" {error.suggestion}" if error.suggestion and error.suggestion not in str(error) else ""
        return Outcome(error=f"{error}{hint}", place=error.pointed_at(text))


def _segment(visit: StoreVisit) -> Segment:
    number = visit.request.path_params["segment_id"]
    try:
        return get_segment(visit.connection, visit.tenant_id, number if number < _BIGINT else 0)
    except SegmentError:
        raise NotFoundError(visit.text("There is no such page.")) from None
