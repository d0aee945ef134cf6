"""Tokens of forms, and where one may be sent on to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xeno_pipeline.dashboard.security import form_token, is_form_token, safe_next


@given(st.text(st.characters(max_codepoint=255), max_size=60), st.text(st.characters(max_codepoint=255), max_size=60))
def test_a_token_is_of_one_browser_alone(one: str, other: str) -> None:
    token = form_token(one)
    assert is_form_token(token, one)
    assert is_form_token(token, other) == (one == other)
    assert token != form_token(one)


@given(st.text(max_size=200))
def test_what_is_no_token_is_none(text: str) -> None:
    assert not is_form_token(text, "a")


@given(st.text(max_size=50))
def test_one_stays_on_the_site(text: str) -> None:
    for asked in (text, f"/{text}", f"//{text}", f"/\\{text}"):
        path = safe_next(asked)
        assert path.startswith("/")
        assert not path.startswith(("//", "/\\"))
        assert path.isprintable()
