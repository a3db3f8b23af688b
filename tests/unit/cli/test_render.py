"""Events as lines: what is shown for each, and that nothing in them is obeyed."""

from __future__ import annotations

import base64
from typing import Any, get_args

import pytest
from rich.console import Console

from schemas.envelope import qualified
from schemas.events import EventType, Reason
from schemas.rejections import RejectionCode
from worker.cli import render

SEGMENT: dict[str, Any] = {"segment": "beta", "segment_id": "0"}
STATE = SEGMENT | {"salt": "1", "description": None, "owner": None, "tags": [], "percent": None}


def event(name: str, data: object) -> dict[str, Any]:
    return {"type": qualified(name), "time": "2026-01-31T12:00:00.123456Z", "data": data}


def shown(name: str, data: object) -> str:
    return render.line(event(name, data)).plain.partition("  ")[2]


def changed(reason: str = "command", **lists: list[Any]) -> dict[str, Any]:
    return {"user_id": "ada", "reason": reason, "entered": [], "exited": [], "renewed": [], "unchanged": []} | lists


def rejected(**data: object) -> dict[str, Any]:
    return {"code": "malformed", "message": "It is none.", "errors": [], "record": None} | data


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("segment.created", STATE, "beta  segment created"),
        (
            "segment.updated",
            STATE | {"description": "new", "owner": "web", "tags": ["a", "b"], "percent": 12.5},
            "beta  segment updated  new · owner web · tags a, b · 12.5 % of all users",
        ),
        ("segment.deleted", SEGMENT, "beta  segment deleted"),
        (
            "segment.populated",
            SEGMENT | {"cause": "segment_deleted", "percent": None, "entered": 0, "exited": 1234},
            "beta  deletion complete: 1,234 exited",
        ),
        (
            "segment.populated",
            SEGMENT | {"cause": "rollout", "percent": 5, "entered": 0, "exited": 0},
            "beta  rollout complete: nobody was in it",
        ),
        ("membership.changed", changed(entered=[SEGMENT | {"expires_at": None}]), "ada  +beta"),
        ("membership.changed", changed(exited=[SEGMENT], reason="expiry"), "ada  -beta expired"),
        ("membership.changed", changed(unchanged=["beta"]), "ada  =beta as before"),
        ("membership.changed", changed(), "ada  nothing to change"),
        ("membership.changed", changed(reason="user_registered"), "ada  registered"),
        ("membership.changed", changed(reason="a_new_one", exited=[SEGMENT]), "ada  -beta a_new_one"),
        ("membership.snapshot", {"user_id": "ada", "segments": []}, "ada  is in no segment"),
        ("report.published", {"year": 2026, "month": 1, "link": "file:x"}, "2026-01  report published: file:x"),
        (
            "report.failed",
            {"year": 2026, "month": 1, "code": "c", "message": "m"},
            "2026-01  report failed, c: m",
        ),
        ("command.rejected", rejected(), "rejected malformed  It is none."),
    ],
)
def test_a_line_for_each(name: str, data: dict[str, Any], text: str) -> None:
    assert shown(name, data) == text


def test_every_event_reason_and_code_has_its_form() -> None:
    assert render.FORMS.keys() == set(get_args(EventType))
    assert render.REASONS.keys() == set(get_args(Reason))
    for code in RejectionCode:
        assert code in shown("command.rejected", rejected(code=code))


def test_an_expiry_is_shown_in_local_time_as_far_as_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC")
        time.tzset()
        for moment, text in (
            ("2027-01-01T00:00:00Z", "2027-01-01"),
            ("2027-01-01T10:30:00Z", "2027-01-01 10:30"),
            ("2027-01-01T00:00:07Z", "2027-01-01 00:00:07"),
        ):
            data = changed(renewed=[SEGMENT | {"expires_at": moment}])
            assert shown("membership.changed", data) == f"ada  ~beta renewed until {text}"
        assert render.line(event("segment.deleted", SEGMENT)).plain.startswith("12:00:00.123  ")
    time.tzset()


def test_each_error_of_a_rejection_has_its_line() -> None:
    errors = [{"field": f"data.add[{n}]", "message": f"segment 's{n}' does not exist"} for n in (1, 2)]
    lines = shown("command.rejected", rejected(code="segment_not_found", errors=errors)).splitlines()
    assert [line.strip() for line in lines[1:]] == [
        "data.add[1] segment 's1' does not exist",
        "data.add[2] segment 's2' does not exist",
    ]


def test_an_error_that_the_message_has_already_is_not_said_twice() -> None:
    one = {"field": "data.month", "message": "is not a known field here"}
    data = rejected(message="The command is invalid: data.month is not a known field here.", errors=[one])
    assert len(shown("command.rejected", data).splitlines()) == 1


def test_a_record_that_is_no_command_is_shown_in_part() -> None:
    record = base64.b64encode(b"hello\x1b[2J\n" + b"x" * 1000).decode()
    first, second = shown("command.rejected", rejected(record=record)).splitlines()
    assert first.endswith("It is none.")
    assert second.strip().startswith("the record: hello�[2J�xxx")
    assert len(second) < 120
    assert len(shown("command.rejected", rejected(record="!")).splitlines()) == 1


@pytest.mark.parametrize("text", ["[red]", "[/]", "\\[b]", ":fire:", "\x1b]0;title\x07", "a\nb", "a\u202eb"])
def test_what_others_wrote_is_shown_and_not_obeyed(text: str) -> None:
    line = render.line(event("segment.created", STATE | {"description": text}))
    console = Console(record=True, width=200, force_terminal=True, emoji=False)
    with console.capture() as capture:
        console.print(line)
    plain = "".join(character if character.isprintable() else "�" for character in text)
    assert plain in line.plain.replace("\n" + " " * 14, "�")
    assert "\x1b]" not in capture.get()
    assert "\u202e" not in capture.get()


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"type": 5, "time": 5, "data": 5},
        event("membership.changed", None),
        event("membership.changed", {"user_id": "ada"}),
        event("segment.created", []),
        event("command.rejected", {"code": 1, "message": 2, "errors": [3]}),
        event("command.scheduled", {}),
        event("brand.new", {"a": "ü"}),
    ],
)
def test_what_is_of_no_known_form_is_shown_as_it_is(strange: dict[str, Any]) -> None:
    assert render.line(strange).plain


def test_an_answer_is_a_table() -> None:
    item = {"segment": "b[red]", "segment_id": "0", "origin": "command", "since": "2026-01-31T12:00:00Z"}
    console = Console(width=100)
    with console.capture() as capture:
        for segments in ([], [item | {"expires_at": None}]):
            console.print(render.snapshot({"data": {"user_id": "ada", "segments": segments}}))
    assert "ada is in no segment" in capture.get()
    assert "ada is in 1 segment\n" in "\n".join(line.rstrip() + "\n" for line in capture.get().splitlines())
    assert "b[red]" in capture.get()
    assert "for good" in capture.get()


def test_unchanged_is_what_a_command_left_as_it_was() -> None:
    assert render.is_unchanged(event("membership.changed", changed(unchanged=["beta"])))
    assert not render.is_unchanged(event("membership.changed", changed(exited=[SEGMENT])))
    assert not render.is_unchanged(event("membership.changed", changed(reason="user_registered")))
    assert not render.is_unchanged(event("segment.created", STATE))
