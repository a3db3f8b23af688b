"""`history`: a user's events page by page, newest first, without a row too much or too few."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.life import Desk, support
from worker.errors import ConfigurationError
from worker.postgres.session import Session
from worker.settings import Settings


@pytest.fixture
async def desk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Desk]:
    """With two users, who come and go day by day, for the last 80 days."""
    async with support(settings, monkeypatch, capsys) as desk:
        life = desk.life
        await life.segment()
        for user in ("ada", "bob"):
            await life.user(user)
        for number in range(8):
            life.passes(days=10)
            for user in ("ada", "bob"):
                change = {"remove": ["beta"]} if number % 2 else {"add": ["beta"]}
                await life.change(user, f"{user}-{number}", **change)
        yield desk


def causes(events: list[dict[str, Any]]) -> list[str]:
    return [event["causationid"] for event in events]


async def test_pages_newest_first(desk: Desk) -> None:
    whole = await desk.history()
    assert causes(whole)[:8] == [f"ada-{number}" for number in range(7, -1, -1)]
    assert len(whole) == 9
    assert whole[-1]["data"]["reason"] == "user_registered"
    assert {event["causationsource"] for event in whole} == {"/shop"}
    pages, before = [], None
    while page := await desk.history(limit=2, before=before):
        pages.append(page)
        before = int(page[-1]["sequence"])
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert [event for page in pages for event in page] == whole


async def test_they_are_the_events_that_subscribers_have_read(desk: Desk) -> None:
    rows = await desk.life.looking.fetch("journal_read", 0, desk.life.now.replace(year=1970), 1_000, 10**9)
    journal_id = await desk.life.sql("select id from journal_head")
    ids = [f"{journal_id}-{row['sequence']}" for row in reversed(rows) if row["user_id"] == "ada"]
    assert [event["id"] for event in await desk.history()] == ids


async def test_a_person_is_told_how_to_go_on(desk: Desk) -> None:
    newest, _, more = await desk.history_text(limit=2)
    assert newest.split()[2:] == ["ada", "-beta", "ada-7", "of", "/shop", newest.split()[-1]]
    words = more.removeprefix("there is more: segmentation history ").split()
    assert words == ["--limit", "2", "--before", words[3], "ada"]
    last = await desk.history_text(limit=50, before=int(words[3]))
    assert (len(last), last[-1]) == (8, "that is all in the journal")
    assert await desk.history_text(before=1) == ["nothing in the journal"]


async def test_between_months(desk: Desk) -> None:
    whole = await desk.history()
    months = sorted({event["time"][:7] for event in whole})
    first, last = months[1], months[-2]
    inside = [event for event in whole if first <= event["time"][:7] <= last]
    assert inside
    assert await desk.history(since=first, until=last) == inside
    said = await desk.history_text(since=first, until=last, limit=1)
    assert said[-1].endswith(f"--since {first} --until {last} ada" if len(inside) > 1 else "the months that were read")
    assert await desk.history_text(until="2020-01") == ["nothing in the months that were read"]


async def test_a_full_page_reads_no_older_month(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    fetch = Session.fetch

    async def counting(session: Session, name: str, *arguments: Any) -> Any:
        rows = await fetch(session, name, *arguments)
        read.extend(f"{arguments[1]:%Y-%m}" for _ in rows if name == "journal_of_user")
        return rows

    monkeypatch.setattr(Session, "fetch", counting)
    newest = (await desk.history(limit=1))[0]["time"][:7]
    assert set(read) <= {newest, (await desk.history(limit=2))[1]["time"][:7]}


async def test_rejected_commands_are_the_users(desk: Desk) -> None:
    """By their key; a segment may be called as a user is."""
    await desk.life.change(add=["nowhere"], id="wrong")
    await desk.life.do("segment.delete", {"segment": "ada"}, "of-a-segment")
    rejected, *others = await desk.history()
    assert (rejected["causationid"], rejected["data"]["code"]) == ("wrong", "segment_not_found")
    assert len(others) == 9
    assert "rejected segment_not_found" in (await desk.history_text(limit=1))[0]
    await desk.life.change("carl", add=["beta"], id="unknown")
    assert causes(await desk.history("carl")) == ["unknown"], "though nobody has registered it"


async def test_an_unknown_user(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="User 'nobody' is not known"):
        await desk.history("nobody")


async def test_a_known_one_of_whom_the_journal_tells_nothing_any_more(desk: Desk) -> None:
    last = await desk.life.sql("select max(sequence) from journal")
    await desk.life.user("zoe")
    await desk.life.sql("delete from journal where sequence <= $1", last)
    (said,) = await desk.history_text()
    assert said.startswith("nothing in the journal, which goes back to ")


async def test_a_user_whose_id_looks_like_an_option(desk: Desk) -> None:
    await desk.life.user("--json")
    await desk.life.user("--json")
    assert (await desk.history_text("--json", limit=1))[-1].endswith("-- --json")


async def test_months_with_a_partition_of_their_own(desk: Desk) -> None:
    before = await desk.history()
    await desk.life.sql(
        "select count(journal_partition_make(month)) from"
        " (select distinct date_trunc('month', time at time zone 'UTC')::date as month from journal_default) m"
    )
    assert await desk.life.sql("select count(*) from journal_default") == 0
    assert await desk.history() == before
