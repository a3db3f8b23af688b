"""`why`: every way into a segment and out of it, asked of a real database.

The desk holds each answer against the view for SQL readers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.life import SOURCE, Desk, support
from worker.cli.render import moment
from worker.cli.why.journal import Months
from worker.errors import ConfigurationError
from worker.jobs.expiry import Expiry
from worker.settings import Settings


@pytest.fixture
async def desk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Desk]:
    """With a segment `beta` and a user `ada` who is not in it."""
    async with support(settings, monkeypatch, capsys) as desk:
        await desk.life.segment()
        await desk.life.user()
        desk.life.passes(hours=1)
        yield desk


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def story(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["what"], one["command_id"]) for one in answer["story"]]


async def test_added_for_good(desk: Desk) -> None:
    at = await desk.life.change(add=["beta"], id="order-1")
    answer = await desk.why()
    assert answer["answer"] == (
        f"ada is in beta since {moment(at)}, for good: added by the command order-1 of {SOURCE}."
    )
    assert (answer["code"], answer["since"], answer["until"]) == ("added", instant(at), None)
    assert answer["cause"] | {"sequence": 0} == {
        "time": instant(at),
        "what": "entered",
        "reason": "command",
        "segment_id": answer["segment_id"],
        "expires_at": None,
        "command_id": "order-1",
        "command_source": SOURCE,
        "sequence": 0,
    }
    assert story(answer) == [("segment created", None), ("user registered", None), ("entered", "order-1")]
    assert answer["journal"]["is_whole"] is True


async def test_each_expiry_stands_with_its_segment(desk: Desk) -> None:
    """Entered before renewed, whatever the command's order was."""
    await desk.life.segment("other")
    far, farther = desk.life.now.replace(year=2990), desk.life.now.replace(year=2991)
    await desk.life.change(add=["beta"])
    items = [{"segment": "beta", "expires_at": instant(farther)}, {"segment": "other", "expires_at": instant(far)}]
    at = await desk.life.change(add=items, id="order-2")
    answer = await desk.why()
    assert f"until {moment(farther)}: renewed at {moment(at)} by the command order-2" in answer["answer"]
    assert [one["expires_at"] for one in answer["story"]][-2:] == [None, instant(farther)]
    assert (await desk.why(segment="other"))["until"] == instant(far)


async def test_by_percent_when_registering_and_when_rolled_out(desk: Desk) -> None:
    await desk.life.do("segment.update", {"segment": "beta", "percent": 40})
    inside = await desk.life.someone(40, inside=True)
    await desk.life.user(inside)
    answer = await desk.why(inside)
    assert answer["code"] == "percent"
    assert f"by its percent: bucket {answer['bucket']} is among the first 40 %, buckets 0–3999" in answer["answer"]
    assert answer["story"][-1]["reason"] == "user_registered"
    await desk.life.do("segment.update", {"segment": "beta", "percent": 100})
    answer = await desk.why()
    assert answer["code"] == "rollout_pending"
    assert answer["answer"].endswith("has not reached the user yet.")
    assert answer["rollout"]["is_awaited"] is True
    assert (await desk.why_text())[-1].endswith("and has not reached the user yet")
    await desk.life.roll_out_all()
    answer = await desk.why()
    assert (answer["code"], answer["cause"]["reason"]) == ("percent", "rollout")
    assert "its rollout was complete at" in (await desk.why_text())[-1]


async def test_a_command_confirms_what_the_percent_gave(desk: Desk) -> None:
    await desk.life.do("segment.update", {"segment": "beta", "percent": 100})
    await desk.life.roll_out_all()
    at = await desk.life.change(add=["beta"], id="sure")
    await desk.life.change(add=["beta"], id="again")
    answer = await desk.why()
    assert answer["cause"]["command_id"] == "sure"
    assert f"the command sure of /shop added it at {moment(at)} though it was in" in answer["answer"]


async def test_never_added(desk: Desk) -> None:
    answer = await desk.why()
    assert answer["answer"] == "ada is not in beta: never added; the segment has no percent."
    await desk.life.do("segment.update", {"segment": "beta", "percent": 12.5})
    outside = await desk.life.someone(12.5, inside=False)
    await desk.life.user(outside)
    answer = await desk.why(outside)
    assert answer["code"] == "outside_percent"
    assert answer["answer"] == (
        f"{outside} is not in beta: never added; bucket {answer['bucket']} is outside the first 12.5 %, buckets 0–1249."
    )


async def test_removed_and_so_kept_out(desk: Desk) -> None:
    await desk.life.change(add=["beta"])
    at = await desk.life.change(remove=["beta"], id="out")
    await desk.life.change(remove=["beta"], id="out-again")
    await desk.life.do("segment.update", {"segment": "beta", "percent": 100})
    await desk.life.roll_out_all()
    answer = await desk.why()
    assert (answer["code"], answer["cause"]["command_id"]) == ("removed", "out")
    assert f"removed at {moment(at)} by the command out of /shop, and so kept out of any percent" in answer["answer"]
    assert answer["is_inside"] is True


async def test_removed_though_not_in(desk: Desk) -> None:
    await desk.life.change(remove=["beta"], id="out")
    await desk.life.change(remove=["beta"], id="out-again")
    answer = await desk.why()
    assert (answer["code"], answer["cause"]["command_id"]) == ("removed", "out")
    assert "by the command out of /shop, though not in then, and so kept out" in answer["answer"]


async def test_expired_before_and_after_its_event(desk: Desk) -> None:
    until = desk.life.now.replace(microsecond=0) + timedelta(hours=2)
    await desk.life.change(add=[{"segment": "beta", "expires_at": instant(until)}])
    answer = await desk.why()
    assert (answer["code"], answer["story"][-1]["what"]) == ("expired", "entered")
    assert f"expired at {moment(until)} (the event is yet to come); the segment has no percent" in answer["answer"]
    desk.life.passes(hours=5)
    await desk.life.expire()
    answer = await desk.why()
    assert (answer["code"], answer["cause"]["reason"]) == ("expired", "expiry")
    assert answer["answer"] == f"ada is not in beta: expired at {moment(until)}; the segment has no percent."


async def test_an_expiry_that_fails_is_told(desk: Desk) -> None:
    await desk.life.change(add=["beta"], ttl="PT1S")
    trigger = "create trigger refuse before delete on memberships for each row execute function refuse()"
    await desk.life.sql(
        "do $do$ begin create function refuse() returns trigger language plpgsql as $$ begin"
        f" raise exception 'stuck'; end $$; {trigger}; end $do$"
    )
    desk.life.passes(hours=1)
    await Expiry(lambda: desk.life.now).turn(desk.life.looking)
    assert "(the event is yet to come, as ending it has failed: stuck)" in (await desk.why())["answer"]


async def test_after_its_own_time_it_goes_on_by_its_percent(desk: Desk) -> None:
    await desk.life.change(add=["beta"], ttl="PT1H")
    await desk.life.do("segment.update", {"segment": "beta", "percent": 100})
    await desk.life.roll_out_all()
    before = await desk.why()
    desk.life.passes(hours=2)
    await desk.life.expire()
    after = await desk.why()
    for answer in (before, after):
        assert answer["code"] == "percent_after_expiry"
        assert "and it goes on by its percent: bucket" in answer["answer"]
        assert answer["until"] is None
    assert (before["story"][-1]["what"], after["story"][-1]["what"]) == ("entered", "renewed")


@pytest.mark.parametrize(
    ("policy", "code", "does"), [("release", "released", "end it"), ("keep", "kept", "leave it in")]
)
async def test_the_percent_shrinks(desk: Desk, policy: str, code: str, does: str) -> None:
    await desk.life.do("segment.update", {"segment": "beta", "percent": 100})
    await desk.life.roll_out_all()
    await desk.life.do("segment.update", {"segment": "beta", "percent": 0, "on_decrease": policy})
    answer = await desk.why()
    assert answer["code"] == "rollout_pending"
    assert answer["answer"].endswith(f"is yet to {does}.")
    await desk.life.roll_out_all()
    assert (await desk.why())["code"] == code


async def test_forgotten_and_registered_again(desk: Desk) -> None:
    await desk.life.change(add=["beta"])
    at = await desk.life.do("user.forget", {"user_id": "ada"}, "gdpr")
    answer = await desk.why()
    assert answer["answer"] == f"ada is not in beta: forgotten at {moment(at)} by the command gdpr of /shop."
    assert answer["registered_at"] is None
    again = desk.life.passes(hours=1)
    await desk.life.user()
    answer = await desk.why()
    assert answer["code"] == "forgotten_before"
    assert f"registered again at {moment(again)}, and not added since" in answer["answer"]
    assert [what for what, _ in story(answer)] == ["segment created", "entered", "exited", "user registered"]
    await desk.life.do("user.forget", {"user_id": "ada"}, "twice")
    assert story(await desk.why())[-1] == ("forgotten", "twice"), "though it names no segment"


async def test_a_deleted_segment(desk: Desk) -> None:
    await desk.life.user("bob")
    await desk.life.change(add=["beta"])
    desk.life.passes(hours=1)
    at = await desk.life.do("segment.delete", {"segment": "beta"})
    why = f"the segment was deleted at {moment(at)}"
    assert (await desk.why("bob"))["answer"] == f"bob is not in beta: {why}."
    assert (await desk.why())["answer"].endswith(
        f"{why}, and the user was in it until then (the event is yet to come)."
    )
    desk.life.passes(hours=1)
    await desk.life.sweep()
    answer = await desk.why()
    assert answer["answer"].endswith(f"{why}, and the user was in it until then.")
    assert story(answer)[-2:] == [("segment deleted", None), ("exited", None)]
    await desk.life.segment()
    answer = await desk.why()
    assert answer["code"] == "never_added"
    assert f"(the one of that name that the user was in was deleted at {moment(at)})" in answer["answer"]
    ids = {one["segment_id"] for one in answer["story"] if one["what"] != "user registered"}
    assert len(ids) == 2
    await desk.life.change(add=["beta"], id="anew")
    assert (await desk.why())["cause"]["command_id"] == "anew"


async def test_who_or_what_is_unknown(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="User 'Ada' is not known, and the journal, which is whole"):
        await desk.why("Ada")
    with pytest.raises(ConfigurationError, match="Segment 'Beta' has never been there"):
        await desk.why(segment="Beta")


async def test_what_the_journal_does_not_tell_any_more(desk: Desk) -> None:
    """Its older months are gone: the state is known, its cause is not."""
    await desk.life.user("bob")
    await desk.life.user("eve")
    since = await desk.life.change(add=["beta"])
    out = await desk.life.change("bob", remove=["beta"])
    last = await desk.life.sql("select max(sequence) from journal")
    begins = desk.life.passes(days=40)
    await desk.life.user("zoe")
    await desk.life.sql("delete from journal where sequence <= $1", last)
    where = f"before {moment(begins)}, where the journal that was read begins"
    assert (await desk.why())[
        "answer"
    ] == f"ada is in beta since {moment(since)}, for good: added by a command {where}."
    assert f"removed at {moment(out)} by a command {where}, and so kept out" in (await desk.why("bob"))["answer"]
    assert f"not added since {moment(begins)}, where the journal" in (await desk.why("eve"))["answer"]
    assert (await desk.why("eve"))["journal"] == {"told_from": instant(begins), "is_whole": False}
    assert (await desk.why_text("eve"))[-2] == (
        f"the journal was read from {moment(begins)} on; what was before is not in it"
    )
    with pytest.raises(ConfigurationError, match="the journal, which goes back to"):
        await desk.why("nobody")
    await desk.life.sql("delete from journal")
    assert "added by a command, of which the journal does not tell" in (await desk.why())["answer"]
    with pytest.raises(ConfigurationError, match="the journal, of which nothing is left, has nothing"):
        await desk.why("nobody")


async def test_no_further_back_than_a_month(desk: Desk) -> None:
    await desk.life.change(add=["beta"], id="long-ago")
    month = f"{desk.life.passes(days=45):%Y-%m}"
    answer = await desk.why(since=month)
    assert "added by a command before" in answer["answer"]
    assert answer["journal"] == {"told_from": instant(Months(month).begins or desk.life.now), "is_whole": False}
    assert (await desk.why(since="2020-01"))["cause"]["command_id"] == "long-ago"


async def test_the_newest_lines_of_a_long_story(desk: Desk) -> None:
    for number in range(6):
        desk.life.passes(minutes=1)
        change = {"remove": ["beta"]} if number % 2 else {"add": ["beta"]}
        await desk.life.change("ada", f"n{number}", **change)
    answer = await desk.why(limit=2)
    assert (story(answer), answer["story_lines"]) == ([("entered", "n4"), ("exited", "n5")], 8)
    assert (await desk.why_text(limit=2))[1] == "the newest 2 of 8 lines of its story; --limit shows more"


async def test_what_others_wrote_is_shown_and_not_obeyed(desk: Desk) -> None:
    await desk.life.change(add=["beta"], id="[red]\u202egnp")
    text = "\n".join(await desk.why_text())
    assert "the command [red]�gnp of /shop" in text
    assert "\u202e" not in text
