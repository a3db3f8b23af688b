"""Pieces of applying: a command's name, and who is sorted where."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from schemas.decode import Command
from schemas.topics import Topic, topic_name
from tests.unit.line.received import received
from worker.errors import Unavailable
from worker.line.apply import Applier, Outcome
from worker.line.batch import Batch, Span
from worker.line.handlers import Context
from worker.line.names import command_name, reuse_name
from worker.postgres.session import Database, Session
from worker.settings import Settings

NOW = datetime(2025, 1, 31, tzinfo=UTC)


def command(source: str, command_id: str) -> Command[Any]:
    made: Command[Any] = received("user.register", {"user_id": "u"}).what
    return made._replace(source=source, id=command_id)


def test_a_name_is_of_source_and_id_alone() -> None:
    one = command("/a", "1")
    assert command_name(one) == command_name(one._replace(type="user.forget", correlationid="c", time=NOW))
    assert len(command_name(one)) == 16


@pytest.mark.parametrize("other", [("/a", "2"), ("/b", "1"), ("/a1", ""), ("/", "a1"), ("1", "/a"), ("/a:1", "1")])
def test_other_names(other: tuple[str, str]) -> None:
    assert command_name(command("/a", "1")) != command_name(command(*other))


def test_the_name_is_the_same_in_every_version() -> None:
    """It stands in the inbox for days: a change would apply replays again."""
    assert command_name(command("/tests", "1")).hex() == "7475896baeaeb51a230f080c28191e11"


def test_another_command_under_a_taken_name_has_its_own() -> None:
    one = command("/a", "1")
    names = {reuse_name(one), reuse_name(one._replace(content=1)), reuse_name(one._replace(id="2")), command_name(one)}
    assert len(names) == 4
    assert reuse_name(one) == reuse_name(one._replace(time=NOW, correlationid="c"))


def test_an_answer_goes_to_no_topic_of_ours() -> None:
    settings = Settings.model_construct(topic_prefix="t", users="registered", reply_topics="t2.*")
    applier = Applier(_session(), settings, clock=lambda: NOW, new_uuid=uuid4)
    context = Context(
        _session(), NOW, uuid4, register_unknown_users=False, record_bytes_kept=4_096, segments_of_user_max=5_000
    )
    query = received("membership.query", {"user_id": "u"}, replyto="t2.answers")
    harmful = received("membership.query", {"user_id": "u"}, replyto=topic_name("t", Topic.MEMBERSHIP_COMMANDS))
    assert applier._answerable([query, harmful], context) == [query]
    assert context.counts == {("membership.query", "invalid"): 1}
    assert [row.type for row in context.rows] == ["command.rejected"]


def test_outcomes_add_up() -> None:
    query = received("membership.query", {"user_id": "u"})
    one = Outcome([query], {("a", "applied"): 1, ("b", "applied"): 2}, 3)
    one.add(Outcome([query], {("b", "applied"): 5, ("c", "failed"): 1}, 4))
    assert one == Outcome([query, query], {("a", "applied"): 1, ("b", "applied"): 7, ("c", "failed"): 1}, 7)


async def test_a_database_that_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without end; here until it answers."""
    tries: list[Batch] = []
    batch = Batch((), (Span("t", 0, 1, 2, 3),))

    async def transact(_: Applier, tried: Batch, wait_seconds_max: float) -> Outcome:
        tries.append(tried)
        if len(tries) < 3:
            raise Unavailable("away")
        return Outcome(journaled=9)

    monkeypatch.setattr(Applier, "_transact", transact)
    applier = Applier(_session(), Settings.model_construct(), clock=lambda: NOW, new_uuid=uuid4)
    assert (await applier.apply(batch)).journaled == 9
    assert tries == [batch] * 3


def _session() -> Session:
    """One that is never opened."""
    return Database(Settings()).session("test")
