"""Secrets have a form that typos do not have."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from xeno_pipeline.access.secret import is_secret, make_secret

SECRET = make_secret()


def test_secrets_differ_and_have_the_form() -> None:
    made = {make_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(map(is_secret, made))
    assert {len(secret) for secret in made} == {54}


@given(st.integers(0, len(SECRET) - 1), st.sampled_from(string.ascii_letters + string.digits + "_- \n\x00é"))
def test_a_secret_with_one_wrong_character_is_none(at: int, character: str) -> None:
    changed = SECRET[:at] + character + SECRET[at + 1 :]
    assert is_secret(changed) == (changed == SECRET)


@given(st.text())
def test_no_text_is_taken_for_a_secret(text: str) -> None:
    assert not is_secret(text)
    assert not is_secret("xeno_" + text)
