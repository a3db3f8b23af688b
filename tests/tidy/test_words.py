"""What is written for people: a reason beside each type error that is not looked at."""

from __future__ import annotations

import re

from tests.tidy.sources import PACKAGES, files, name

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
