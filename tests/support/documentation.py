"""The pages of the documentation, and the commands in them.

A fenced block of `sh` is run by a test. Words after `sh` say otherwise: `background` is started and left running,
`elsewhere=FILE` is run by that test, and `needs=THING` cannot be run here.

A block of any language with `file=PATH` is written to that file; of `diff`, its changes are made there. Their hunks are
separated by lines of `@@` and carry no numbers: the lines before a change must occur once in the file.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from xeno_pipeline.settings import PROJECT_DIR

READING_ORDER = (
    "use/start",
    "use/connect-a-store",
    "use/connect-a-bi-tool",
    "use/insights",
    "use/dashboard",
    "use/exports",
    "operate/running",
    "operate/alerts",
    "operate/backups",
    "operate/upgrades",
    "operate/deployment",
    "operate/past-one-machine",
    "operate/settings",
    "use/model",
    "use/segments",
    "use/predictions",
    "use/privacy",
    "use/limits",
)
"""The pages for users and operators, in the order in which a test follows them."""

_BLOCK = re.compile(
    r"^```(?P<language>\w+) *(?P<info>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: of shell commands, or of a file's content or changes."""

    page: Path
    language: str
    info: str
    code: str

    @property
    def is_run(self) -> bool:
        return self.info in ("", "background")

    @property
    def elsewhere(self) -> str | None:
        """The test that runs it instead."""
        return self._of("elsewhere")

    @property
    def needs(self) -> str | None:
        """What it needs that is not here."""
        return self._of("needs")

    @property
    def file(self) -> str | None:
        """The file that it is, or changes."""
        return self._of("file")

    def write(self, folder: Path, substitutes: Mapping[str, str]) -> None:
        """Create the block's file in a folder, or change it.

        Args:
            folder: the copy of the repository.
            substitutes: the page's placeholders, and what a reader writes in their place.
        """
        assert self.file is not None
        file, code = self.file, self.code
        for placeholder, text in substitutes.items():
            file, code = file.replace(placeholder, text), code.replace(placeholder, text)
        path = folder / file
        if self.language != "diff":
            assert not path.exists(), f"{self.page.name} creates {self.file}, which exists"
            path.write_text(code)
            return
        text = path.read_text()
        for hunk in code.split("@@\n"):
            lines = hunk.splitlines()
            before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
            after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
            assert text.count(before) == 1, f"{self.page.name}: {self.file} has {text.count(before)} times:\n{before}"
            text = text.replace(before, after)
        path.write_text(text)

    def commands(self) -> Iterator[list[str]]:
        """Its commands, each as words."""
        for line in self.code.splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split = True
            for is_operator, words in groupby(lexer, lambda word: set(word) <= set("|&;<>")):
                if not is_operator:
                    yield list(words)

    def _of(self, key: str) -> str | None:
        name, _, value = self.info.partition("=")
        return value if name == key else None


def pages() -> list[Path]:
    """README, then the pages in the order in which they are read."""
    return [PROJECT_DIR / "README.md", *(PROJECT_DIR / "docs" / f"{name}.md" for name in READING_ORDER)]


def contributor_pages() -> list[Path]:
    """The pages about changing the code. A test follows the recipes among them in a copy of the repository."""
    return sorted((PROJECT_DIR / "docs" / "contribute").glob("*.md"))


def documents() -> list[Path]:
    """Everything in Markdown that people read."""
    rooms = (PROJECT_DIR, PROJECT_DIR / "shopify_sandbox", PROJECT_DIR / ".github")
    return [
        *(path for room in rooms for path in sorted(room.glob("*.md"))),
        *sorted((PROJECT_DIR / "docs").rglob("*.md")),
    ]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(page: Path) -> list[Block]:
    """The blocks that are run or written; those that only show something are left out."""
    found = [Block(page, b["language"], b["info"].strip(), b["code"]) for b in _BLOCK.finditer(page.read_text())]
    return [block for block in found if block.language == "sh" or block.file is not None]
