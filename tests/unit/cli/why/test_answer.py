"""The answer to "why is this user (not) in this segment?": what is said of which facts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from worker.cli.why.answer import answer, place, sentence
from worker.cli.why.facts import Change, Facts, Generation, Membership, Rollout
from worker.cli.why.story import Told, reason, story

START = datetime(2026, 5, 10, 12, tzinfo=UTC)
KEY, EARLIER_KEY = 7, 3


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """People read local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def change(hours: float, what: str, reason: str = "command", **others: Any) -> Change:
    named = {"command_id": f"c{hours:g}", "command_source": "/shop"} if reason in BY_COMMAND else {}
    values: dict[str, Any] = {"segment_key": KEY} | named | others
    return Change(round(hours * 10), at(hours), what, reason, **values)


BY_COMMAND = ("command", "user_registered", "user_forgotten")


def row(**others: Any) -> Membership:
    values: dict[str, Any] = {"is_included": True, "origin": "command", "since": at(1), "expires_at": None}
    return Membership(**(values | others))


def generation(**others: Any) -> Generation:
    values: dict[str, Any] = {
        "segment_key": KEY,
        "segment_id": "id",
        "created_at": at(0),
        "deleted_at": None,
        "percent": None,
        "bucket": 512,
        "is_inside": False,
        "is_active": False,
    }
    return Generation(**(values | others))


def facts(newest: Generation, *changes: Change, **others: Any) -> Facts:
    values: dict[str, Any] = {
        "user_id": "ada",
        "segment": "beta",
        "asked_at": at(100),
        "registered_at": at(0),
        "generations": [newest],
        "changes": changes,
        "told_from": at(0),
        "is_whole": True,
    }
    return Facts(**(values | others))


PERCENT: dict[str, Any] = {"percent": Decimal("12.50"), "is_inside": True}
OUTSIDE: dict[str, Any] = {"percent": Decimal("12.50"), "bucket": 7312}
AWAITED = Rollout(at(50), None, "release", True)
PASSED = Rollout(at(50), None, "release", False)
CUT: dict[str, Any] = {"is_whole": False, "told_from": at(30)}
IN, OUT = "ada is in beta since 2026-05-10 13:00", "ada is not in beta"
STAYS_OUT = "and so kept out of any percent until a command adds the user again"
CASES: list[tuple[Facts, str, str]] = [
    (
        facts(generation(is_active=True, membership=row()), change(1, "entered")),
        "added",
        f"{IN}, for good: added by the command c1 of /shop.",
    ),
    (
        facts(
            generation(is_active=True, membership=row(expires_at=at(200))), change(1, "entered"), change(2, "renewed")
        ),
        "added",
        f"{IN}, until 2026-05-18 20:00: renewed at 2026-05-10 14:00 by the command c2 of /shop.",
    ),
    (
        facts(
            generation(is_active=True, membership=row()),
            change(1, "entered", "rollout"),
            change(2, "unchanged"),
            change(3, "unchanged"),
        ),
        "added",
        f"{IN}, for good: the command c2 of /shop added it at 2026-05-10 14:00 though it was in, "
        "so no percent ends it.",
    ),
    (
        facts(generation(is_active=True, membership=row()), **CUT),
        "added",
        f"{IN}, for good: added by a command before 2026-05-11 18:00, where the journal that was read begins.",
    ),
    (
        facts(generation(is_active=True, membership=row(origin="rollout"), **PERCENT), change(1, "entered", "rollout")),
        "percent",
        f"{IN}: by its percent: bucket 512 is among the first 12.5 %, buckets 0–1249.",
    ),
    (
        facts(generation(is_active=True, membership=row(expires_at=at(90)), **PERCENT), change(1, "entered")),
        "percent_after_expiry",
        f"{IN}: its own time was over at 2026-05-14 06:00, and it goes on by its percent: "
        "bucket 512 is among the first 12.5 %, buckets 0–1249.",
    ),
    (
        facts(generation(is_active=True, membership=row(origin="rollout"), rollout=AWAITED, **OUTSIDE)),
        "rollout_pending",
        f"{IN}: by an earlier percent; bucket 7312 is outside the first 12.5 %, buckets 0–1249, "
        "and the rollout that began at 2026-05-12 14:00 is yet to end it.",
    ),
    (
        facts(generation(is_active=True, membership=row(origin="rollout"), rollout=PASSED, **OUTSIDE)),
        "kept",
        f"{IN}: by an earlier percent, and kept when that shrank; "
        "bucket 7312 is outside the first 12.5 %, buckets 0–1249.",
    ),
    (facts(generation()), "never_added", f"{OUT}: never added; the segment has no percent."),
    (
        facts(generation(**OUTSIDE)),
        "outside_percent",
        f"{OUT}: never added; bucket 7312 is outside the first 12.5 %, buckets 0–1249.",
    ),
    (
        facts(generation(), **CUT),
        "never_added",
        f"{OUT}: not added since 2026-05-11 18:00, where the journal that was read begins; the segment has no percent.",
    ),
    (
        facts(generation(rollout=AWAITED, **PERCENT)),
        "rollout_pending",
        f"{OUT}: never added; bucket 512 is among the first 12.5 %, buckets 0–1249, "
        "but the rollout that began at 2026-05-12 14:00 has not reached the user yet.",
    ),
    (
        facts(generation(rollout=PASSED, **PERCENT)),
        "unexplained",
        f"{OUT}: never added; bucket 512 is among the first 12.5 %, buckets 0–1249, "
        "so the user should be in: tell the developers.",
    ),
    (
        facts(generation(membership=row(is_included=False)), change(1, "entered"), change(2, "exited")),
        "removed",
        f"{OUT}: removed at 2026-05-10 14:00 by the command c2 of /shop, {STAYS_OUT}.",
    ),
    (
        facts(
            generation(membership=row(is_included=False)),
            change(1, "entered"),
            change(2, "exited", "expiry"),
            change(3, "unchanged"),
        ),
        "removed",
        f"{OUT}: removed at 2026-05-10 15:00 by the command c3 of /shop, though not in then, {STAYS_OUT}.",
    ),
    (
        facts(generation(membership=row(is_included=False)), **CUT),
        "removed",
        f"{OUT}: removed at 2026-05-10 13:00 by a command before 2026-05-11 18:00, "
        f"where the journal that was read begins, {STAYS_OUT}.",
    ),
    (
        facts(generation(membership=row(expires_at=at(90))), change(1, "entered", expires_at=at(90))),
        "expired",
        f"{OUT}: expired at 2026-05-14 06:00 (the event is yet to come); the segment has no percent.",
    ),
    (
        facts(generation(**OUTSIDE), change(1, "entered", expires_at=at(90)), change(91, "exited", "expiry")),
        "expired",
        f"{OUT}: expired at 2026-05-14 06:00; bucket 7312 is outside the first 12.5 %, buckets 0–1249.",
    ),
    (
        facts(generation(percent=Decimal(0)), change(1, "entered", "rollout"), change(9, "exited", "rollout")),
        "released",
        f"{OUT}: left at 2026-05-10 21:00, when its percent shrank; its percent is 0.",
    ),
    (
        facts(generation(), change(1, "entered"), change(2, "exited", "user_forgotten"), registered_at=None),
        "forgotten",
        f"{OUT}: forgotten at 2026-05-10 14:00 by the command c2 of /shop.",
    ),
    (
        facts(
            generation(),
            change(1, "entered"),
            change(2, "forgotten", "user_forgotten", segment_key=None),
            registered_at=at(3),
        ),
        "forgotten_before",
        f"{OUT}: forgotten at 2026-05-10 14:00 by the command c2 of /shop, registered again at 2026-05-10 15:00, "
        "and not added since; the segment has no percent.",
    ),
    (
        facts(generation(deleted_at=at(5)), change(1, "entered"), change(6, "exited", "segment_deleted")),
        "segment_deleted",
        f"{OUT}: the segment was deleted at 2026-05-10 17:00, and the user was in it until then.",
    ),
    (
        facts(generation(deleted_at=at(5), membership=row(expires_at=at(4))), change(1, "entered")),
        "segment_deleted",
        f"{OUT}: the segment was deleted at 2026-05-10 17:00.",
    ),
    (
        facts(
            generation(),
            change(-9, "entered", segment_key=EARLIER_KEY),
            generations=[generation(segment_key=EARLIER_KEY, created_at=at(-10), deleted_at=at(-1)), generation()],
        ),
        "never_added",
        f"{OUT}: never added to this segment (the one of that name that the user was in was deleted at "
        "2026-05-10 11:00); the segment has no percent.",
    ),
    (
        facts(generation(), change(1, "entered")),
        "unexplained",
        f"{OUT}: the journal says entered at 2026-05-10 13:00 (command), and no row holds it; "
        "the segment has no percent.",
    ),
]


@pytest.mark.parametrize(("known", "code", "said"), CASES)
def test_the_answer(known: Facts, code: str, said: str) -> None:
    found = answer(known)
    assert (sentence(known, found), found.code) == (said, code)
    assert found.is_in is said.startswith(IN)


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        (Decimal("0.01"), "bucket 512 is outside the first 0.01 %, bucket 0"),
        (Decimal("33.33"), "bucket 512 is outside the first 33.33 %, buckets 0–3332"),
        (Decimal("100.00"), "bucket 512 is outside the first 100 %, buckets 0–9999"),
    ],
)
def test_the_buckets_of_a_percent(percent: Decimal, text: str) -> None:
    assert place(generation(percent=percent)) == text


def test_foreign_text_is_made_printable() -> None:
    known = facts(
        generation(is_active=True, membership=row()),
        change(1, "entered", command_id="\x1b[31m", command_source="\u202e"),
    )
    assert "added by the command �[31m of �" in sentence(known, answer(known))


def test_a_story_has_the_beginnings_and_ends_in_their_places() -> None:
    generations = [
        generation(segment_key=EARLIER_KEY, segment_id="old", created_at=at(-10), deleted_at=at(0)),
        generation(segment_id="new", created_at=at(0)),
    ]
    changes = [
        change(-9, "entered", segment_key=EARLIER_KEY),
        change(0, "entered"),
        change(1, "renewed", "expiry"),
        change(2, "exited", "user_forgotten"),
    ]
    told = story(facts(generations[1], *changes, generations=generations, registered_at=at(3)))
    assert [(one.what, one.segment_id, reason(one)) for one in told] == [
        ("segment created", "old", ""),
        ("entered", None, "the command c-9 of /shop"),
        ("segment deleted", "old", ""),
        ("segment created", "new", ""),
        ("entered", None, "the command c0 of /shop"),
        ("renewed", None, "its own time was over, and it goes on by its percent"),
        ("exited", None, "as the user was forgotten, the command c2 of /shop"),
        ("user registered", None, ""),
    ]


def test_reasons_to_come_are_shown_as_they_are() -> None:
    assert reason(Told(at(1), "exited", change(1, "exited", "merged"))) == "merged"
