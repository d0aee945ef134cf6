"""A result in blocks: whole lines, in their order, each in one block."""

from __future__ import annotations

import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xeno_pipeline.shopify import bulk_result
from xeno_pipeline.shopify.bulk_result import Blocks

LINES = st.lists(st.sampled_from([b"", b"a", b"bc", b"d" * 7, b"e" * 60]), max_size=8).map(b"\n".join)


@given(LINES, st.integers(1, 40))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_are_whole_lines_and_together_the_file(
    monkeypatch: pytest.MonkeyPatch, content: bytes, block_bytes: int
) -> None:
    monkeypatch.setattr(bulk_result, "_LINE_BYTES", 8)
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        blocks = Blocks(file.fileno(), len(content), block_bytes)
        read = [blocks.read(number) for number in range(blocks.count)]

        assert b"".join(lines for _, lines in read) == content
        for start, lines in read:
            assert content[start : start + len(lines)] == lines
            assert not lines or start == 0 or content[start - 1 : start] == b"\n"
            assert blocks.count_lines_before(start) == content[:start].count(b"\n")
