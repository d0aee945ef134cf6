"""Who gets in, who does not, and how one leaves."""

from __future__ import annotations

import pytest

from tests.support.dashboard import Dashboard, Visitor
from xeno_pipeline.access.grants import end_sessions, revoke
from xeno_pipeline.access.scopes import Role


def thief_of(dashboard: Dashboard, visitor: Visitor) -> Visitor:
    """Somebody with the same cookies in another browser."""
    return dashboard.somebody(cookie="; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items()))


def test_a_link_signs_in_once(dashboard: Dashboard) -> None:
    link = dashboard.link_for(Role.VIEWER, "shelf", email="once@example.com")
    first, second = dashboard.somebody(), dashboard.somebody()
    assert first.get(link).status_code == second.get(link).status_code == 200  # opening it uses nothing up
    signed_in = first.post(link, link)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    assert first.get("/").headers["location"] == "/stores/shelf"
    refused = second.post(link, link)
    assert refused.status_code == 403
    assert "does not work any more" in refused.text
    assert second.get("/stores/shelf").status_code == 303


def test_the_sessions_cookie_is_out_of_reach_of_scripts_and_other_sites(dashboard: Dashboard) -> None:
    visitor = dashboard.somebody()
    link = dashboard.link_for(Role.VIEWER, "shelf", email="cookie@example.com")
    cookie = visitor.post(link, link).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age" in cookie


def test_somebody_who_is_not_signed_in_is_asked_to_and_gets_where_they_wanted(dashboard: Dashboard) -> None:
    visitor = dashboard.somebody()
    sent = visitor.get("/stores/shelf/ledger?from=2026-01-01")
    assert sent.headers["location"] == "/sign-in?next=%2Fstores%2Fshelf%2Fledger%3Ffrom%3D2026-01-01"
    link = dashboard.link_for(Role.VIEWER, "shelf", email="next@example.com")
    signed_in = visitor.post(link, link, next="/stores/shelf/ledger?from=2026-01-01")
    assert signed_in.headers["location"] == "/stores/shelf/ledger?from=2026-01-01"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://example.com", "//example.com", "/\\example.com", "javascript:alert(1)", "/ok\r\nX: 1", "\\\\x", "é"],
)
def test_one_is_not_sent_elsewhere_after_signing_in(dashboard: Dashboard, elsewhere: str) -> None:
    visitor = dashboard.somebody()
    link = dashboard.link_for(Role.VIEWER, "shelf", email="open@example.com")
    assert visitor.post(link, link, next=elsewhere).headers["location"] == "/"


def test_a_fragment_sends_the_whole_page_to_sign_in(dashboard: Dashboard) -> None:
    answer = dashboard.somebody().get("/stores/shelf/parts/today", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in")


def test_signing_out_ends_the_session_everywhere_that_its_cookie_went(dashboard: Dashboard) -> None:
    visitor = dashboard.sign_in(Role.VIEWER, "shelf", email="out@example.com")
    thief = thief_of(dashboard, visitor)
    assert thief.get("/stores/shelf").status_code == 200
    assert visitor.post("/sign-out", "/stores/shelf").headers["location"] == "/sign-in"
    assert visitor.get("/stores/shelf").status_code == 303
    assert thief.get("/stores/shelf").status_code == 303


def test_a_session_that_was_revoked_opens_nothing_for_whoever_has_its_cookie(dashboard: Dashboard) -> None:
    visitor = dashboard.sign_in(Role.VIEWER, "shelf", email="revoked@example.com")
    thief = thief_of(dashboard, visitor)
    assert visitor.get("/stores/shelf").status_code == thief.get("/stores/shelf").status_code == 200
    with dashboard.database.connect() as connection:
        end_sessions(connection, "revoked@example.com")
    for somebody in (visitor, thief):
        for path in ("/stores/shelf", "/stores/shelf/parts/best", "/stores/shelf/customers?format=csv"):
            assert somebody.get(path).status_code == 303
    again = dashboard.sign_in(Role.VIEWER, "shelf", email="revoked@example.com")
    with dashboard.database.connect() as connection:
        revoke(connection, "revoked@example.com")
    assert again.get("/stores/shelf").status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        *("/stores/void", "/stores/void/ledger", "/stores/void/parts/best", "/stores/nowhere"),
        *("/stores/void/data", "/stores/void/customers?format=csv", "/stores/void/data?format=csv&table=problems"),
    ],
)
def test_another_store_is_not_there(viewer: Visitor, path: str) -> None:
    assert viewer.get(path).status_code == 404


def test_a_form_without_its_token_or_from_another_site_is_refused(dashboard: Dashboard, viewer: Visitor) -> None:
    forged = viewer.client.post("/sign-out", data={"token": "00" * 64}, follow_redirects=False)
    assert forged.status_code == 403
    assert viewer.client.post("/sign-out", follow_redirects=False).status_code == 403
    for headers in ({"Origin": "https://example.com"}, {"Sec-Fetch-Site": "cross-site"}):
        assert viewer.post("/sign-out", "/stores/shelf", headers=headers).status_code == 403
    link = dashboard.link_for(Role.VIEWER, "shelf", email="forged@example.com")
    assert dashboard.somebody().client.post(link, data={"token": "zz"}).status_code == 403
    assert viewer.get("/stores/shelf").status_code == 200


def test_a_form_that_is_huge_or_no_text_is_refused(viewer: Visitor) -> None:
    assert viewer.client.post("/sign-out", content=b"token=" + b"0" * 100_000).status_code == 400
    assert viewer.client.post("/sign-out", content=b"token=\xff").status_code in (400, 403)


def test_a_key_of_a_program_is_no_session_to_sign_in_with(dashboard: Dashboard) -> None:
    visitor = dashboard.somebody()
    assert visitor.post("/sign-in/xeno_nonsense", "/sign-in/xeno_nonsense").status_code == 403


def test_every_answer_has_the_policy(dashboard: Dashboard, viewer: Visitor) -> None:
    for response in (viewer.get("/stores/shelf"), viewer.get("/nowhere"), dashboard.somebody().get("/sign-in")):
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert response.headers["x-frame-options"] == "DENY"
        assert "style=" not in response.text
        assert "<script>" not in response.text
        assert "http://" not in response.text.replace("http://www.w3.org/2000/svg", "")


def test_a_language_is_chosen_by_the_browser_or_by_hand(dashboard: Dashboard, viewer: Visitor) -> None:
    german = dashboard.somebody(**{"accept-language": "de-AT,de;q=0.9,en;q=0.5"})
    assert '<html lang="de">' in german.read("/sign-in")
    assert '<html lang="en">' in dashboard.somebody(**{"accept-language": "fr"}).read("/sign-in")
    assert viewer.post("/language", "/stores/shelf", language="de", next="/stores/shelf").status_code == 303
    assert "Nettoumsatz" in viewer.read("/stores/shelf")
    viewer.post("/language", "/stores/shelf", language="en", next="/")
    assert viewer.post("/language", "/stores/shelf", language="xx", next="/").status_code == 303
    assert "Net sales" in viewer.read("/stores/shelf")
