"""`xeno insights`: who may ask the marts, as an operator says it at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.installation import Installation
from tests.support.listeners import MailServer
from tests.support.loopback import serving
from tests.support.marked_rows import ATTACKER, VICTIM, register
from tests.support.serving import serving_pool
from tests.support.xeno_command import Said
from xeno_pipeline.access.secret import is_secret
from xeno_pipeline.access.serving import NoAccessError, ServingPool

ONE, OTHER = ATTACKER.tenant_id, VICTIM.tenant_id


@pytest.fixture(autouse=True)
def _stores(machine: Installation) -> None:
    with machine.database.connect() as connection:
        for owner in (ATTACKER, VICTIM):
            register(connection, owner)


@pytest.fixture
def pool(machine: Installation) -> Iterator[ServingPool]:
    with serving_pool(machine.database, connections=1) as opened:
        yield opened


def test_a_key_is_printed_once_and_alone_listed_without_it_and_revoked(
    main: Callable[..., Said], machine: Installation, pool: ServingPool
) -> None:
    made = main("insights", "key", "nightly", ONE, OTHER, "--scope", "sync", "--expires", "30")
    assert (made.exit_code, made.err) == (0, "")
    secret = made.out.removesuffix("\n")
    assert is_secret(secret)
    with pool.unlocked(secret) as (_, access):
        assert access.stores == {ONE: {"read", "sync"}, OTHER: {"read", "sync"}}

    listed = main("insights", "list").out
    line = next(line for line in listed.splitlines() if line.startswith("nightly"))
    assert f"{ONE}: read, sync; {OTHER}: read, sync" in line
    assert secret not in listed

    assert main("insights", "revoke", "nightly").out == "nightly has no access any more.\n"
    with pytest.raises(NoAccessError), pool.unlocked(secret):
        pass
    assert "nightly" not in main("insights", "list").out
    with machine.database.connect() as connection:
        query = "select action, reason, tenant_id from ops.audit_log where reason like 'nightly%' order by id"
        assert connection.execute(query).fetchall() == [
            ("key made", "nightly with read, sync", ONE),
            ("key made", "nightly with read, sync", OTHER),
            ("access revoked", "nightly", ONE),
            ("access revoked", "nightly", OTHER),
        ]


def test_a_person_gets_a_link_that_signs_in_once_and_no_earlier_one_does(
    main: Callable[..., Said], pool: ServingPool
) -> None:
    first, second = (
        main(
            "insights", "invite", "Bob@Example.com", *stores, "--role", role, XENO_INSIGHTS_URL="https://see.example/"
        ).out
        for stores, role in ((["--all"], "viewer"), ([ONE], "operator"))
    )
    for said in (first, second):
        assert said.splitlines()[-1].startswith("https://see.example/sign-in/xeno_")
    stale, link = (said.splitlines()[-1].rpartition("/")[2] for said in (first, second))

    with pytest.raises(NoAccessError):
        pool.sign_in(stale)
    session = pool.sign_in(link)
    with pytest.raises(NoAccessError):
        pool.sign_in(link)
    with pool.unlocked(session.secret) as (_, access):
        assert (access.kind, access.name) == ("person", "bob@example.com")
        assert access.may("sync", ONE)
        assert access.stores[OTHER] == {"read"}
        assert access.subject_id not in repr(access.name)

    listed = main("insights", "list").out
    assert f"all stores: viewer; {ONE}: operator" in listed
    name = next(word for word in listed.split() if word.startswith("session-"))
    assert main("insights", "revoke", name).out == f"{name} ended.\n"
    with pytest.raises(NoAccessError), pool.unlocked(session.secret):
        pass
    assert "bob@example.com" in main("insights", "list").out, "who was signed out may sign in again"
    assert main("insights", "revoke", "bob@example.com").exit_code == 0
    assert "bob@example.com" not in main("insights", "list").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["invite", "ada@example.com"], "Name the stores, or give --all"),
        (["invite", "ada@example.com", ONE, "--all"], "Name the stores, or give --all"),
        (["invite", "ada", ONE], "'ada' is no e-mail address: write it like ada@example.com."),
        (["invite", "ada@example.com", "nowhere"], "There is no tenant 'nowhere': `xeno tenant list` shows them"),
        (
            ["invite", "ada@example.com", ONE, "--role", "king"],
            "There is no role 'king': a person is viewer, analyst, op",
        ),
        (
            ["key", "one", ONE, "--scope", "all"],
            "There is no scope 'all': a key may have read, people, segments, sync.",
        ),
        (["key", "Schlüssel", ONE], "'Schlüssel' is no name for a key"),
        (["key", "session-1", ONE], "'session-1' is no name for a key"),
        (["revoke", "nobody"], "There is nobody and no key named 'nobody': `xeno insights list` shows all of them."),
        (["revoke", "session-99"], "There is no session-99: `xeno insights list` shows the open sessions."),
        (["revoke", "session-1", ONE], "Sessions are not of stores"),
    ],
)
def test_what_it_cannot_take_is_told_in_a_sentence(
    main: Callable[..., Said], arguments: list[str], sentence: str
) -> None:
    said = main("insights", *arguments)
    assert (said.exit_code, said.out) == (2, "")
    assert said.err.startswith(sentence)


def test_a_link_is_mailed_where_there_is_a_mail_server(main: Callable[..., Said]) -> None:
    sender = {"XENO_ALERT_EMAIL_FROM": "xeno@example.com"}
    with serving(MailServer()) as server:
        said = main("insights", "invite", "mailed@example.com", "--all", XENO_SMTP_URL=server.url, **sender)
        (sent,) = server.mails
        link = next(line for line in said.out.splitlines() if "/sign-in/" in line)
        assert (sent["To"], sent["From"]) == ("mailed@example.com", "xeno@example.com")
        assert link in sent.get_content()
        server.is_refusing = True
        said = main("insights", "invite", "mailed@example.com", "--all", XENO_SMTP_URL=server.url, **sender)
        assert said.exit_code == 0
        assert "WARNING  The link was not mailed: The mail server of XENO_SMTP_URL rejected the mail" in said.err
        assert "/sign-in/" in said.out
    said = main("insights", "invite", "mailed@example.com", "--all", XENO_SMTP_URL="mail.example.com")
    assert (said.exit_code, said.out) == (2, "")
    assert "XENO_SMTP_URL is not an SMTP URL" in said.err
