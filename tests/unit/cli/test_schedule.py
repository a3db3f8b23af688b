"""What is yet to come, in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.cli import coming


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (
            "segment.create",
            {"segment": "s", "percent": 12.5, "tags": ["a", "b"]},
            "create the segment: 12.5 %, tags a, b",
        ),
        ("segment.update", {"segment": "s", "owner": "web\n"}, "change the segment: owner web�"),
        ("segment.delete", {"segment": "s"}, "delete the segment"),
        ("user.forget", {"user_id": "u"}, "forget the user"),
        ("import.commit", {"import": "i"}, "apply the list to beta"),
        (
            "membership.change",
            {"user_id": "u", "add": ["a", {"segment": "b", "expires_at": "2027-01-01T00:00:00Z"}], "remove": ["c"]},
            "+a +b until 2027-01-01T00:00:00Z -c",
        ),
        ("membership.change", {"user_id": "u", "add": list("abcdefg"), "remove": []}, "+a +b +c +d +e and 2 more"),
        ("segment.paint", {}, "segment.paint"),
    ],
)
def test_what_is_to_come(name: str, data: dict[str, Any], said: str) -> None:
    row: Any = {"command_type": name, "data": json.dumps(data), "import_segment": "beta"}
    assert coming.what(row) == said
