"""What is written for people: lines that fit, and a reason beside each type error that is not looked at."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tests.tidy.sources import PACKAGES, ROOT, files, name

LINE_CHARACTERS_MAX = 119
GENERATED = {"docs/contract-reference.md", "docs/settings.md"}
IGNORED = re.compile(r"# type: ignore(?P<codes>\[[a-z, -]+\])?(?P<reason> +# \w.{5,})?")


def test_an_ignored_type_error_has_its_reason_beside_it() -> None:
    lines = [
        (f"{name(path)}:{number}", found)
        for path in files(*PACKAGES)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (found := IGNORED.search(line)) and path.name != "test_words.py"
    ]
    assert len(lines) > 3
    assert [place for place, found in lines if not (found["codes"] and found["reason"])] == []


def test_lines_of_documents_fit() -> None:
    """But for what can't be broken, tables and what programs say, and for what a program writes."""
    documents = [path for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks") for path in folder.glob("*.md")]
    assert len(documents) > 5
    long = [
        f"{name(path)}:{number}"
        for path in documents
        if name(path) not in GENERATED
        for number, line in _prose(path.read_text(encoding="utf-8"))
        if len(line) > LINE_CHARACTERS_MAX
    ]
    assert long == []


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines that stand in no table and in no block of code, with their numbers."""
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        in_code ^= line.lstrip().startswith("```")
        if not in_code and not line.startswith("|"):
            yield number, line


def test_the_changelog_says_a_thing_once() -> None:
    """Within a version each kind of change has one section, and no item stands twice."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (\w+)", version, re.MULTILINE)
        items = [" ".join(item.split()) for item in re.split(r"^- |^### .*", version, flags=re.MULTILINE)[1:]]
        assert [section for section, count in Counter(sections).items() if count > 1] == []
        assert [item for item, count in Counter(filter(None, items)).items() if count > 1] == []
