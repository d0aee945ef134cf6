"""What is told of an exception quotes nothing personal; what it is about stays."""

from __future__ import annotations

import traceback

import psycopg
import pytest

from xeno_pipeline.database.connection import Database
from xeno_pipeline.database.safe_messages import safe_message, safe_traceback, strip_row_values
from xeno_pipeline.errors import XenoError

TABLE = """
    create table public.people (name text primary key, age integer, constraint grown check (age > 17));
    insert into public.people values ('Zebulonia', 20)
    """


def failure_of(database: Database, statement: str) -> psycopg.Error:
    """How a statement fails."""
    with pytest.raises(psycopg.Error) as failure, database.connect() as connection:
        connection.execute(statement)
    return failure.value


@pytest.fixture
def people(database: Database) -> Database:
    """A database in which somebody may not be told of."""
    with database.connect() as connection:
        connection.execute(TABLE)
    return database


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "insert into public.people values ('Zebulonia', 30)",
            "UniqueViolation (23505): duplicate key value violates unique constraint people_pkey",
        ),
        (
            "insert into public.people values ('Zebulonia Q', 3)",
            "CheckViolation (23514): new row for relation people violates check constraint grown",
        ),
        ("select 'Zebulonia'::integer", "InvalidTextRepresentation (22P02)"),
        ("select timestamp 'Zebulonia'", "InvalidDatetimeFormat (22007)"),
        ("select Zebulonia", "UndefinedColumn (42703): column zebulonia does not exist"),
    ],
)
def test_an_error_of_the_database_is_told_by_its_kind_and_what_it_concerns(
    people: Database, statement: str, expected: str
) -> None:
    assert safe_message(failure_of(people, statement)) == expected


def test_an_error_that_left_a_connection_quotes_no_row_whoever_prints_it(people: Database) -> None:
    error = failure_of(people, "insert into public.people values ('Zebulonia', 30)")
    assert "Zebulonia" not in "".join(traceback.format_exception(error)[-1:])
    assert error.diag.constraint_name == "people_pkey"


def test_what_an_error_came_from_quotes_no_row_either(people: Database) -> None:
    def note() -> None:
        with people.connect() as connection:
            try:
                connection.execute("insert into public.people values ('Zebulonia', 30)")
            except psycopg.Error as error:
                raise XenoError("It could not be noted.") from error

    with pytest.raises(XenoError) as failure:
        note()
    assert "Zebulonia" not in str(failure.value.__cause__)
    assert "people_pkey" in str(failure.value.__cause__)


def test_of_errors_that_are_not_ours_only_the_kind_is_told() -> None:
    assert safe_message(ValueError("invalid literal for int() with base 10: 'Zebulonia'")) == "ValueError"
    assert safe_message(psycopg.ProgrammingError("missing = after postgresql://u:secret@h")) == "ProgrammingError"
    assert safe_message(XenoError("acme: it is so. Do that.")) == "acme: it is so. Do that."


def test_where_an_error_came_from_is_told_without_its_text() -> None:
    def choke(value: str) -> None:
        int(value)

    with pytest.raises(ValueError, match="Zebulonia") as failure:
        choke("Zebulonia")
    assert "in choke" in safe_traceback(failure.value)
    assert "invalid literal" not in safe_traceback(failure.value)


def test_that_the_server_went_away_is_told_as_libpq_says_it() -> None:
    lost = psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly")
    assert safe_message(lost) == f"OperationalError: {lost}"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Database Error in model int_customers (models/intermediate/int_customers.sql)\n"
            '  new row for relation "customers" violates check constraint "grown"\n'
            "  DETAIL:  Failing row contains (acme, Zebulonia).\n  compiled code at x.sql",
            "Database Error in model int_customers (models/intermediate/int_customers.sql)\n"
            "new row for relation customers violates check constraint grown",
        ),
        (
            'Database Error in model a (a.sql)\n  invalid input syntax for type integer: "no\nZebulonia"\n  LINE 3: x',
            "Database Error in model a (a.sql)\ninvalid input syntax for type integer",
        ),
        ("INSERT 0 5", "INSERT 0 5"),
    ],
)
def test_what_dbt_says_of_the_database_keeps_the_model_and_the_problem(message: str, expected: str) -> None:
    assert strip_row_values(message) == expected
